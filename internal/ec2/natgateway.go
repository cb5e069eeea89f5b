package ec2

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A natGateway is the address of a proxy in a subnet: see package egress. What may
// be reached through it the operator says, per security group. It has no address in
// the internet of its own: connections go out by the machine's.
type natGateway struct {
	meta
	Subnet  string `json:"subnet"`
	Private bool   `json:"private,omitzero"` // leads nowhere outside
}

func (*natGateway) kind() *kind { return kindNAT }

const maxNATs = 5 // of a VPC

// noNAT tells operations on NAT gateways of a missing one: their codes have no dot
// in them, whereas those of routes to one do.
func noNAT(err error) error {
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e == nil {
		return err
	}
	rest, ok := strings.CutPrefix(e.Code, kindNAT.code+".")
	if !ok {
		return err
	}
	return fail("NatGateway"+rest, "%s", e.Message)
}

// A natBirth is a NAT gateway that a call makes, and where.
type natBirth struct {
	meta
	subnet *found[*subnet]
}

func (s *Service) newNAT(_ context.Context, c *api.Call, in *ec2.CreateNatGatewayInput) (*natBirth, []api.Demand, error) {
	f, err := find[*subnet](s, c, in.SubnetId)
	if err != nil {
		return nil, nil, err
	}
	vpcID := ""
	if !f.missing() {
		vpcID = f.it.VPC
	}
	m, demands := s.creation(c, "CreateNatGateway", kindNAT, vpcID, in.TagSpecifications)
	return &natBirth{m, f}, append(demands, f.demand("CreateNatGateway")), nil
}

func (s *Service) createNATGateway(_ context.Context, c *api.Call, in *ec2.CreateNatGatewayInput, b *natBirth) (api.Commit[ec2.CreateNatGatewayOutput], error) {
	sub := b.subnet.it
	var wanted netip.Addr
	if in.PrivateIpAddress != "" {
		var err error
		if wanted, err = netip.ParseAddr(in.PrivateIpAddress); err != nil || !wanted.Is4() {
			return nil, invalidValue(in.PrivateIpAddress, "privateIpAddress", "This is not a valid IPv4 address.")
		}
		if !usable(sub.CIDR, wanted) {
			return nil, invalidValue(in.PrivateIpAddress, "privateIpAddress", "Address does not fall within the subnet's address range, or is reserved.")
		}
	}
	g := &natGateway{meta: b.meta, Subnet: sub.ID, Private: in.ConnectivityType == ec2.ConnectivityTypePrivate}
	return func(tx *store.Tx) (*ec2.CreateNatGatewayOutput, error) {
		made, err := once(tx, c, "CreateNatGateway", in.ClientToken, in, func() ([]string, error) {
			return []string{g.ID}, s.placeNAT(tx, g, wanted)
		})
		if err != nil {
			return nil, err
		}
		n, err := change(tx, sub.VPC)
		if err != nil {
			return nil, err
		}
		it := byID(n.nats, made[0])
		if it == nil {
			return nil, noNAT(kindNAT.missing(made[0]))
		}
		return &ec2.CreateNatGatewayOutput{NatGateway: ptr(showNAT(n, it)), ClientToken: in.ClientToken}, nil
	}, nil
}

// placeNAT writes a new NAT gateway and its interface.
func (s *Service) placeNAT(tx *store.Tx, g *natGateway, wanted netip.Addr) error {
	n, err := change(tx, g.VPC)
	if err != nil {
		return err
	}
	sub := byID(n.subnets, g.Subnet)
	switch {
	case sub == nil:
		return kindSubnet.missing(g.Subnet)
	case !g.Private && n.internet == nil:
		return fail("Gateway.NotAttached", "Network %s has no Internet gateway attached", n.vpc.ID)
	case len(n.nats) >= maxNATs:
		return fail("NatGatewayLimitExceeded", "The maximum number of NAT gateways has been reached.")
	case len(n.interfaces) >= maxInterfaces:
		return fail("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached.")
	}
	taken := n.taken()
	if wanted.IsValid() && taken[wanted] {
		return fail("InvalidIPAddress.InUse", "The specified address %s is already in use.", wanted)
	}
	address := wanted
	if !address.IsValid() {
		var ok bool
		if address, ok = free(sub.CIDR, taken); !ok {
			return noAddress(sub.ID)
		}
	}
	return s.put(tx, g, &networkInterface{
		meta:   meta{ID: kindInterface.newID(), Account: g.Account, VPC: g.VPC, Created: g.Created},
		Subnet: sub.ID, Address: address, MAC: newMAC(), NAT: g.ID, Description: "Interface for NAT Gateway " + g.ID,
	})
}

// usable says whether something in a subnet may have an address: the first four of a
// subnet and its last nothing has.
func usable(p netip.Prefix, a netip.Addr) bool {
	for i := range uint32(keptAtStart) {
		if a == nth(p, i) {
			return false
		}
	}
	return p.Contains(a) && a != nth(p, size(p)-1)
}

func (n *network) interfaceOfNAT(id string) *networkInterface {
	for _, i := range n.interfaces {
		if i.NAT == id {
			return i
		}
	}
	return nil
}

func (g *natGateway) connectivity() ec2.ConnectivityType {
	if g.Private {
		return ec2.ConnectivityTypePrivate
	}
	return ec2.ConnectivityTypePublic
}

func showNAT(n *network, g *natGateway) ec2.NatGateway {
	out := ec2.NatGateway{
		NatGatewayId: g.ID, VpcId: g.VPC, SubnetId: g.Subnet, State: ec2.NatGatewayStateAvailable, ConnectivityType: g.connectivity(),
		CreateTime: g.Created, Tags: tagList(g.Tags),
	}
	if i := n.interfaceOfNAT(g.ID); i != nil {
		out.NatGatewayAddresses = []ec2.NatGatewayAddress{{
			NetworkInterfaceId: i.ID, PrivateIp: i.Address.String(), IsPrimary: ptr(true), Status: ec2.NatGatewayAddressStatusSucceeded,
		}}
	}
	return out
}

func (s *Service) describeNATGateways(_ context.Context, c *api.Call, in *ec2.DescribeNatGatewaysInput, _ struct{}) (*ec2.DescribeNatGatewaysOutput, error) {
	list, next, err := list(s, c, listing[*natGateway, ec2.NatGateway]{
		items: func(n *network) []*natGateway { return n.nats },
		filters: filters[*natGateway]{
			"connectivity-type": func(_ *network, g *natGateway) []string { return []string{string(g.connectivity())} },
			"nat-gateway-id":    func(_ *network, g *natGateway) []string { return []string{g.ID} },
			"state":             func(*network, *natGateway) []string { return []string{string(ec2.NatGatewayStateAvailable)} },
			"subnet-id":         func(_ *network, g *natGateway) []string { return []string{g.Subnet} },
			"vpc-id":            func(_ *network, g *natGateway) []string { return []string{g.VPC} },
		},
		show: showNAT,
	}, ask{in.NatGatewayIds, in.Filter, in.MaxResults, in.NextToken})
	return &ec2.DescribeNatGatewaysOutput{NatGateways: list, NextToken: next}, noNAT(err)
}

func (s *Service) deletedNAT(_ context.Context, c *api.Call, in *ec2.DeleteNatGatewayInput) (*found[*natGateway], []api.Demand, error) {
	f, demands, err := one[*natGateway](s, c, "DeleteNatGateway", in.NatGatewayId)
	if err == nil && f.missing() {
		demands[0].Resource.Missing, _ = errors.AsType[*api.Error](noNAT(f.resource.Missing))
	}
	return f, demands, err
}

// deleteNATGateway deletes a NAT gateway at once; routes to it are black holes from
// then on.
func (s *Service) deleteNATGateway(_ context.Context, _ *api.Call, _ *ec2.DeleteNatGatewayInput, f *found[*natGateway]) (api.Commit[ec2.DeleteNatGatewayOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteNatGatewayOutput, error) {
		n, err := change(tx, f.it.VPC)
		if err != nil {
			return nil, err
		}
		gone := []object{f.it}
		if i := n.interfaceOfNAT(f.it.ID); i != nil {
			gone = append(gone, n.withLogs(i)...)
		}
		return &ec2.DeleteNatGatewayOutput{NatGatewayId: f.it.ID}, s.drop(tx, gone...)
	}, nil
}

// withLogs is an interface with the flow logs of it.
func (n *network) withLogs(i *networkInterface) []object {
	all := []object{i}
	for _, l := range n.flowLogsOf(i.ID) {
		all = append(all, l)
	}
	return all
}
