package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A subnet is a range of a VPC's addresses.
type subnet struct {
	meta
	CIDR    netip.Prefix `json:"cidr"`
	Default bool         `json:"default,omitzero"`
	ACL     string       `json:"acl,omitzero"`      // empty: the VPC's default one
	Joint   string       `json:"aclJoint,omitzero"` // id of the association with it; see aclJoint
}

func (*subnet) kind() *kind { return kindSubnet }

const maxSubnets = 200 // of a VPC

// zone is the one availability zone: a machine fails as a whole.
func (s *Service) zone() string { return s.Region + "a" }

// zoneID is its id, made like AWS's: use1-az1 in us-east-1.
func (s *Service) zoneID() string {
	out := ""
	word := true
	for _, r := range s.Region {
		switch {
		case r == '-':
			word = true
		case '0' <= r && r <= '9':
			out += string(r)
		case word && len(out) == 0:
			out, word = s.Region[:min(2, len(s.Region))], false
		case word:
			out, word = out+string(r), false
		}
	}
	return out + "-az1"
}

// A birth is a resource that a call makes in a VPC.
type birth struct {
	meta
	vpc *found[*vpc]
}

// within states the demands of making a resource of a VPC: on the new one, and on
// the VPC.
func (s *Service) within(c *api.Call, action string, k *kind, vpcID string, specs []ec2.TagSpecification) (*birth, []api.Demand, error) {
	f, err := find[*vpc](s, c, vpcID)
	if err != nil {
		return nil, nil, err
	}
	known := vpcID
	if f.missing() {
		known = ""
	}
	m, demands := s.creation(c, action, k, known, specs)
	return &birth{m, f}, append(demands, f.demand(action)), nil
}

func (s *Service) newSubnet(_ context.Context, c *api.Call, in *ec2.CreateSubnetInput) (*birth, []api.Demand, error) {
	return s.within(c, "CreateSubnet", kindSubnet, in.VpcId, in.TagSpecifications)
}

func (s *Service) createSubnet(_ context.Context, _ *api.Call, in *ec2.CreateSubnetInput, b *birth) (api.Commit[ec2.CreateSubnetOutput], error) {
	if in.CidrBlock == "" {
		return nil, missingParameter("cidrBlock")
	}
	if err := s.inZone(in.AvailabilityZone, in.AvailabilityZoneId); err != nil {
		return nil, err
	}
	cidr, err := parseRange(in.CidrBlock, "InvalidSubnet.Range")
	if err != nil {
		return nil, err
	}
	sub := &subnet{meta: b.meta, CIDR: cidr}
	return func(tx *store.Tx) (*ec2.CreateSubnetOutput, error) {
		n, err := change(tx, b.VPC)
		if err != nil {
			return nil, err
		}
		if err := n.admits(cidr); err != nil {
			return nil, err
		}
		return &ec2.CreateSubnetOutput{Subnet: ptr(s.showSubnet(n, sub))}, s.put(tx, sub)
	}, nil
}

// inZone refuses a zone, by name or id, that is not the one there is.
func (s *Service) inZone(name, id string) error {
	if name != "" && name != s.zone() {
		return invalidValue(name, "availabilityZone", "Subnets can currently only be created in the following availability zones: "+s.zone()+".")
	}
	if id != "" && id != s.zoneID() {
		return invalidValue(id, "availabilityZoneId", "Subnets can currently only be created in the following availability zones: "+s.zoneID()+".")
	}
	return nil
}

// admits says why a range cannot be a new subnet's.
func (n *network) admits(cidr netip.Prefix) error {
	switch {
	case !n.vpc.has(cidr):
		return fail("InvalidSubnet.Range", "The CIDR '%s' is invalid.", cidr)
	case slices.ContainsFunc(n.subnets, func(o *subnet) bool { return o.CIDR.Overlaps(cidr) }):
		return fail("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", cidr)
	case len(n.subnets) >= maxSubnets:
		return fail("SubnetLimitExceeded", "The maximum number of subnets has been reached.")
	}
	return nil
}

func (n *network) available(sub *subnet) int {
	return int(size(sub.CIDR)) - keptInSubnet - len(n.interfacesIn(sub.ID))
}

func (s *Service) showSubnet(n *network, sub *subnet) ec2.Subnet {
	return ec2.Subnet{
		SubnetId: sub.ID, SubnetArn: s.arn(sub.Account, kindSubnet, sub.ID), VpcId: sub.VPC, OwnerId: sub.Account,
		CidrBlock: sub.CIDR.String(), State: ec2.SubnetStateAvailable, AvailabilityZone: s.zone(), AvailabilityZoneId: s.zoneID(),
		AvailableIpAddressCount: ptr(int32(n.available(sub))), DefaultForAz: &sub.Default, MapPublicIpOnLaunch: ptr(false),
		AssignIpv6AddressOnCreation: ptr(false), Tags: tagList(sub.Tags),
	}
}

func (s *Service) describeSubnets(_ context.Context, c *api.Call, in *ec2.DescribeSubnetsInput, _ struct{}) (*ec2.DescribeSubnetsOutput, error) {
	cidr := func(_ *network, o *subnet) []string { return []string{o.CIDR.String()} }
	zone := func(*network, *subnet) []string { return []string{s.zone()} }
	zoneID := func(*network, *subnet) []string { return []string{s.zoneID()} }
	isDefault := func(_ *network, o *subnet) []string { return []string{strconv.FormatBool(o.Default)} }
	list, next, err := list(s, c, listing[*subnet, ec2.Subnet]{
		items: func(n *network) []*subnet { return n.subnets },
		filters: filters[*subnet]{
			"availability-zone": zone, "availabilityZone": zone, "availability-zone-id": zoneID, "availabilityZoneId": zoneID,
			"available-ip-address-count": func(n *network, o *subnet) []string { return []string{fmt.Sprint(n.available(o))} },
			"cidr-block":                 cidr, "cidr": cidr, "cidrBlock": cidr,
			"default-for-az": isDefault, "defaultForAz": isDefault,
			"owner-id":   func(_ *network, o *subnet) []string { return []string{o.Account} },
			"state":      func(*network, *subnet) []string { return []string{"available"} },
			"subnet-arn": func(_ *network, o *subnet) []string { return []string{s.arn(o.Account, kindSubnet, o.ID)} },
			"subnet-id":  func(_ *network, o *subnet) []string { return []string{o.ID} },
			"vpc-id":     func(_ *network, o *subnet) []string { return []string{o.VPC} },
		},
		show: s.showSubnet,
	}, ask{in.SubnetIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeSubnetsOutput{Subnets: list, NextToken: next}, err
}

func (s *Service) deletedSubnet(_ context.Context, c *api.Call, in *ec2.DeleteSubnetInput) (*found[*subnet], []api.Demand, error) {
	return one[*subnet](s, c, "DeleteSubnet", in.SubnetId)
}

func (s *Service) deleteSubnet(_ context.Context, _ *api.Call, _ *ec2.DeleteSubnetInput, f *found[*subnet]) (api.Commit[ec2.DeleteSubnetOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteSubnetOutput, error) {
		n, err := change(tx, f.it.VPC)
		if err != nil {
			return nil, err
		}
		if used := n.interfacesIn(f.it.ID); len(used) > 0 {
			return nil, inUse(f.it.ID, used[0].held()+" is in it")
		}
		for _, a := range n.attachments {
			if a.stands() && slices.Contains(a.Subnets, f.it.ID) {
				return nil, inUse(f.it.ID, "transit gateway attachment "+a.ID+" is in it")
			}
		}
		all := []object{f.it}
		for _, a := range n.associations {
			if a.Subnet == f.it.ID {
				all = append(all, a)
			}
		}
		for _, l := range n.flowLogsOf(f.it.ID) {
			all = append(all, l)
		}
		return &ec2.DeleteSubnetOutput{}, s.drop(tx, all...)
	}, nil
}
