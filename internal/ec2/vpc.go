package ec2

import (
	"context"
	"net/netip"

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

// A moreCIDR is a secondary range.
type moreCIDR struct {
	ID   string       `json:"id"` // vpc-cidr-assoc-…
	CIDR netip.Prefix `json:"cidr"`
}

// ranges are all of the VPC's, the primary first.
func (v *vpc) ranges() []netip.Prefix {
	all := []netip.Prefix{v.CIDR}
	for _, m := range v.More {
		all = append(all, m.CIDR)
	}
	return all
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
	born := func(k *kind) meta { return meta{ID: k.newID(), Account: m.Account, VPC: m.ID, Created: m.Created} }
	main := &table{meta: born(kindTable)}
	chosen := &association{meta: born(kindAssociation), Table: main.ID}
	g := &group{meta: born(kindGroup), Name: defaultGroupName, Description: "default VPC security group"}
	all := []object{v, main, chosen, g, egressAll(g)}
	all = append(all, &rule{meta: born(kindRule), Group: g.ID, Spec: spec{Protocol: allProtocols, From: -1, To: -1, Peer: g.ID}})
	return func(tx *store.Tx) (*ec2.CreateVpcOutput, error) {
		var count int
		if err := tx.QueryRow("SELECT count(*) FROM ec2_resources WHERE account = ? AND kind = ?", c.Account, kindVPC.name).Scan(&count); err != nil {
			return nil, err
		}
		if count >= maxVPCs {
			return nil, fail("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
		}
		return &ec2.CreateVpcOutput{Vpc: showVPC(v)}, s.put(tx, all...)
	}, nil
}

func showVPC(v *vpc) *ec2.Vpc {
	return &ec2.Vpc{
		VpcId: v.ID, OwnerId: v.Account, CidrBlock: v.CIDR.String(), State: ec2.VpcStateAvailable,
		InstanceTenancy: ec2.TenancyDefault, IsDefault: ptr(false), DhcpOptionsId: "default", Tags: tagList(v.Tags),
		CidrBlockAssociationSet: []ec2.VpcCidrBlockAssociation{{
			AssociationId: "vpc-cidr-assoc-" + v.ID[len(kindVPC.prefix):], CidrBlock: v.CIDR.String(),
			CidrBlockState: &ec2.VpcCidrBlockState{State: ec2.VpcCidrBlockStateCodeAssociated},
		}},
	}
}

func (s *Service) describeVPCs(_ context.Context, c *api.Call, in *ec2.DescribeVpcsInput, _ struct{}) (*ec2.DescribeVpcsOutput, error) {
	list, next, err := list(s, c, listing[*vpc, ec2.Vpc]{
		items: func(n *network) []*vpc { return []*vpc{n.vpc} },
		filters: filters[*vpc]{
			"cidr":                              func(_ *network, v *vpc) []string { return []string{v.CIDR.String()} },
			"cidr-block-association.cidr-block": func(_ *network, v *vpc) []string { return []string{v.CIDR.String()} },
			"cidr-block-association.state":      func(*network, *vpc) []string { return []string{"associated"} },
			"dhcp-options-id":                   func(*network, *vpc) []string { return []string{"default"} },
			"is-default":                        func(*network, *vpc) []string { return []string{"false"} },
			"isDefault":                         func(*network, *vpc) []string { return []string{"false"} },
			"owner-id":                          func(_ *network, v *vpc) []string { return []string{v.Account} },
			"state":                             func(*network, *vpc) []string { return []string{"available"} },
			"vpc-id":                            func(_ *network, v *vpc) []string { return []string{v.ID} },
		},
		show: func(_ *network, v *vpc) ec2.Vpc { return *showVPC(v) },
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
		n, err := change(tx, f.it.ID)
		if err != nil {
			return nil, err
		}
		for what, count := range map[string]int{
			"subnets": len(n.subnets), "VPC endpoints": len(n.endpoints), "network interfaces": len(n.interfaces),
			"security groups": len(n.groups) - 1, "route tables": len(n.tables) - 1,
		} {
			if count > 0 {
				return nil, inUse(f.it.ID, "it has "+what)
			}
		}
		all := []object{n.vpc, n.tables[0], n.main(), n.groups[0]}
		for _, r := range n.rules {
			all = append(all, r)
		}
		for _, l := range n.flowLogs {
			all = append(all, l)
		}
		return &ec2.DeleteVpcOutput{}, s.drop(tx, all...)
	}, nil
}

func (s *Service) readAttribute(_ context.Context, c *api.Call, in *ec2.DescribeVpcAttributeInput) (*found[*vpc], []api.Demand, error) {
	return one[*vpc](s, c, "DescribeVpcAttribute", in.VpcId)
}

func (s *Service) describeVPCAttribute(_ context.Context, _ *api.Call, in *ec2.DescribeVpcAttributeInput, f *found[*vpc]) (*ec2.DescribeVpcAttributeOutput, error) {
	out := &ec2.DescribeVpcAttributeOutput{VpcId: f.it.ID}
	switch in.Attribute {
	case ec2.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &ec2.AttributeBooleanValue{Value: &f.it.DNSSupport}
	case ec2.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &ec2.AttributeBooleanValue{Value: &f.it.DNSHostnames}
	case ec2.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = &ec2.AttributeBooleanValue{Value: ptr(false)}
	default:
		return nil, invalidValue(in.Attribute, "attribute", "Unknown attribute.")
	}
	return out, nil
}

func (s *Service) changedAttribute(_ context.Context, c *api.Call, in *ec2.ModifyVpcAttributeInput) (*found[*vpc], []api.Demand, error) {
	return one[*vpc](s, c, "ModifyVpcAttribute", in.VpcId)
}

func (s *Service) modifyVPCAttribute(_ context.Context, _ *api.Call, in *ec2.ModifyVpcAttributeInput, f *found[*vpc]) (api.Commit[ec2.ModifyVpcAttributeOutput], error) {
	support, hostnames := in.EnableDnsSupport, in.EnableDnsHostnames
	switch {
	case support != nil && hostnames != nil:
		return nil, fail("InvalidParameterCombination", "Fields for multiple attribute types specified: enableDnsSupport, enableDnsHostnames")
	case support != nil && support.Value != nil, hostnames != nil && hostnames.Value != nil:
	default:
		return nil, missingParameter("attribute")
	}
	return func(tx *store.Tx) (*ec2.ModifyVpcAttributeOutput, error) {
		n, err := change(tx, f.it.ID)
		if err != nil {
			return nil, err
		}
		if support != nil {
			n.vpc.DNSSupport = *support.Value
		} else {
			n.vpc.DNSHostnames = *hostnames.Value
		}
		return &ec2.ModifyVpcAttributeOutput{}, s.put(tx, n.vpc)
	}, nil
}
