package ec2

import (
	"context"
	"net/netip"
	"strconv"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A vpc is a private network.
type vpc struct {
	meta
	CIDR         netip.Prefix `json:"cidr"`
	DNSSupport   bool         `json:"dnsSupport"`
	DNSHostnames bool         `json:"dnsHostnames"`
	Default      bool         `json:"default,omitzero"`
	More         []moreCIDR   `json:"more,omitempty"`
}

func (*vpc) kind() *kind { return kindVPC }

const maxVPCs = 100 // of an account

func (s *Service) newVPC(_ context.Context, c *api.Call, in *ec2.CreateVpcInput) (meta, []api.Demand, error) {
	m, demands := s.creation(c, "CreateVpc", kindVPC, "", in.TagSpecifications)
	return m, demands, nil
}

func (s *Service) createVPC(_ context.Context, c *api.Call, in *ec2.CreateVpcInput, m meta) (api.Commit[ec2.CreateVpcOutput], error) {
	if in.CidrBlock == "" {
		return nil, missingParameter("cidrBlock")
	}
	if in.InstanceTenancy != "" && in.InstanceTenancy != ec2.TenancyDefault {
		return nil, invalidValue(in.InstanceTenancy, "instanceTenancy", "Every workload has a kernel of its own; the only tenancy is default.")
	}
	cidr, err := parseRange(in.CidrBlock, "InvalidVpc.Range")
	if err != nil {
		return nil, err
	}
	v := &vpc{meta: m, CIDR: cidr, DNSSupport: true}
	return func(tx *store.Tx) (*ec2.CreateVpcOutput, error) {
		if err := roomForVPC(tx, c.Account); err != nil {
			return nil, err
		}
		return &ec2.CreateVpcOutput{Vpc: s.showVPC(v)}, s.put(tx, furnished(v)...)
	}, nil
}

// furnished is a new VPC with what comes into being with it.
func furnished(v *vpc) []object {
	born := func(k *kind) meta { return meta{ID: k.newID(), Account: v.Account, VPC: v.ID, Created: v.Created} }
	main := &table{meta: born(kindTable)}
	chosen := &association{meta: born(kindAssociation), Table: main.ID}
	g := &group{meta: born(kindGroup), Name: defaultGroupName, Description: "default VPC security group"}
	among := &rule{meta: born(kindRule), Group: g.ID, Spec: spec{Protocol: allProtocols, From: -1, To: -1, Peer: g.ID}}
	return []object{v, main, chosen, g, egressAll(g), among}
}

func roomForVPC(tx *store.Tx, account string) error {
	var count int
	if err := tx.QueryRow("SELECT count(*) FROM ec2_resources WHERE account = ? AND kind = ?", account, kindVPC.name).Scan(&count); err != nil {
		return err
	}
	if count >= maxVPCs {
		return fail("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
	}
	return nil
}

func (s *Service) showVPC(v *vpc) *ec2.Vpc {
	out := &ec2.Vpc{
		VpcId: v.ID, OwnerId: v.Account, CidrBlock: v.CIDR.String(), State: ec2.VpcStateAvailable, InstanceTenancy: ec2.TenancyDefault,
		IsDefault: &v.Default, DhcpOptionsId: s.dhcpOptionsID(v.Account), Tags: tagList(v.Tags),
	}
	for _, m := range v.associated() {
		out.CidrBlockAssociationSet = append(out.CidrBlockAssociationSet, m.show(ec2.VpcCidrBlockStateCodeAssociated))
	}
	return out
}

func (s *Service) describeVPCs(_ context.Context, c *api.Call, in *ec2.DescribeVpcsInput, _ struct{}) (*ec2.DescribeVpcsOutput, error) {
	associated := func(of func(moreCIDR) string) func(*network, *vpc) []string {
		return func(_ *network, v *vpc) (out []string) {
			for _, m := range v.associated() {
				out = append(out, of(m))
			}
			return out
		}
	}
	isDefault := func(_ *network, v *vpc) []string { return []string{strconv.FormatBool(v.Default)} }
	list, next, err := list(s, c, listing[*vpc, ec2.Vpc]{
		items: func(n *network) []*vpc { return []*vpc{n.vpc} },
		filters: filters[*vpc]{
			"cidr":                                  func(_ *network, v *vpc) []string { return []string{v.CIDR.String()} },
			"cidr-block-association.association-id": associated(func(m moreCIDR) string { return m.ID }),
			"cidr-block-association.cidr-block":     associated(func(m moreCIDR) string { return m.CIDR.String() }),
			"cidr-block-association.state":          func(*network, *vpc) []string { return []string{"associated"} },
			"dhcp-options-id":                       func(_ *network, v *vpc) []string { return []string{s.dhcpOptionsID(v.Account)} },
			"is-default":                            isDefault, "isDefault": isDefault,
			"owner-id": func(_ *network, v *vpc) []string { return []string{v.Account} },
			"state":    func(*network, *vpc) []string { return []string{"available"} },
			"vpc-id":   func(_ *network, v *vpc) []string { return []string{v.ID} },
		},
		show: func(_ *network, v *vpc) ec2.Vpc { return *s.showVPC(v) },
	}, ask{in.VpcIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeVpcsOutput{Vpcs: list, NextToken: next}, err
}

func (s *Service) deletedVPC(_ context.Context, c *api.Call, in *ec2.DeleteVpcInput) (*found[*vpc], []api.Demand, error) {
	return one[*vpc](s, c, "DeleteVpc", in.VpcId)
}

// one finds the one resource that an operation is about.
func one[T object](s *Service, c *api.Call, action, id string) (*found[T], []api.Demand, error) {
	f, err := find[T](s, c, id)
	if err != nil {
		return nil, nil, err
	}
	return f, []api.Demand{f.demand(action)}, nil
}

// deleteVPC deletes an empty VPC with what came into being with it.
func (s *Service) deleteVPC(_ context.Context, _ *api.Call, _ *ec2.DeleteVpcInput, f *found[*vpc]) (api.Commit[ec2.DeleteVpcOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteVpcOutput, error) {
		n, err := changeRuled(tx, f.it.ID)
		if err != nil {
			return nil, err
		}
		if why := n.inhabited(); why != "" {
			return nil, inUse(f.it.ID, why)
		}
		all := []object{n.vpc, n.tables[0], n.main(), n.groups[0]}
		for _, a := range n.acls {
			all = append(all, a)
		}
		for _, a := range n.attachments { // rejected ones
			all = append(all, a)
		}
		for _, r := range n.rules {
			all = append(all, r)
		}
		for _, l := range n.flowLogs {
			all = append(all, l)
		}
		if n.vpc.Default {
			if err := tx.Touch(defaultKey(n.vpc.Account)); err != nil {
				return nil, err
			}
		}
		return &ec2.DeleteVpcOutput{}, s.drop(tx, all...)
	}, nil
}

// inhabited says what of a VPC must be gone before it can be deleted; empty when
// nothing is left but what came into being with it.
func (n *network) inhabited() string {
	if n.internet != nil {
		return "internet gateway " + n.internet.ID + " is attached to it"
	}
	for _, a := range n.attachments {
		if a.stands() {
			return "transit gateway attachment " + a.ID + " joins it"
		}
	}
	for _, e := range n.endpoints {
		return "VPC endpoint " + e.ID + " is in it"
	}
	for _, i := range n.interfaces {
		return i.held() + " is in it"
	}
	for _, o := range n.subnets {
		return "subnet " + o.ID + " is in it"
	}
	for _, g := range n.groups {
		if g.Name != defaultGroupName {
			return "security group " + g.ID + " is in it"
		}
	}
	for _, t := range n.tables {
		if t.ID != n.main().Table {
			return "route table " + t.ID + " is in it"
		}
	}
	for _, a := range n.acls {
		if !a.Default {
			return "network ACL " + a.ID + " is in it"
		}
	}
	return ""
}

// held says by what an interface holds its subnet and VPC.
func (i *networkInterface) held() string {
	if i.NAT != "" {
		return "NAT gateway " + i.NAT
	}
	return "network interface " + i.ID
}
