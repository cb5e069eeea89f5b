package ec2

import (
	"context"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A rewiring is an endpoint and what is to be connected with it.
type rewiring struct {
	endpoint *found[*endpoint]
	*wiring
}

func (s *Service) changedEndpoint(_ context.Context, c *api.Call, in *ec2.ModifyVpcEndpointInput) (*rewiring, []api.Demand, error) {
	f, err := find[*endpoint](s, c, in.VpcEndpointId)
	if err != nil {
		return nil, nil, err
	}
	f.changes(
		given{"AddRouteTableIds", len(in.AddRouteTableIds) > 0}, given{"RemoveRouteTableIds", len(in.RemoveRouteTableIds) > 0},
		given{"AddSecurityGroupIds", len(in.AddSecurityGroupIds) > 0}, given{"RemoveSecurityGroupIds", len(in.RemoveSecurityGroupIds) > 0},
		given{"AddSubnetIds", len(in.AddSubnetIds) > 0}, given{"RemoveSubnetIds", len(in.RemoveSubnetIds) > 0},
		given{"PolicyDocument", in.PolicyDocument != ""}, given{"ResetPolicy", in.ResetPolicy != nil}, given{"PrivateDnsEnabled", in.PrivateDnsEnabled != nil},
	)
	w, more, err := s.wire(c, "ModifyVpcEndpoint", in.AddRouteTableIds, in.AddSubnetIds, in.AddSecurityGroupIds)
	return &rewiring{f, w}, append([]api.Demand{f.demand("ModifyVpcEndpoint")}, more...), err
}

func (s *Service) modifyVPCEndpoint(_ context.Context, c *api.Call, in *ec2.ModifyVpcEndpointInput, r *rewiring) (api.Commit[ec2.ModifyVpcEndpointOutput], error) {
	e := r.endpoint.it
	reset := in.ResetPolicy != nil && *in.ResetPolicy
	switch {
	case reset && in.PolicyDocument != "":
		return nil, fail("InvalidParameterCombination", "PolicyDocument and ResetPolicy cannot be used together.")
	case e.Gateway && len(in.AddSubnetIds)+len(in.RemoveSubnetIds)+len(in.AddSecurityGroupIds)+len(in.RemoveSecurityGroupIds) > 0:
		return nil, fail("InvalidParameter", "A Gateway endpoint has neither subnets nor security groups.")
	case e.Gateway && in.PrivateDnsEnabled != nil && *in.PrivateDnsEnabled:
		return nil, fail("InvalidParameter", "Private DNS can't be set for a Gateway endpoint.")
	case !e.Gateway && len(in.AddRouteTableIds)+len(in.RemoveRouteTableIds) > 0:
		return nil, fail("InvalidParameter", "An Interface endpoint has no route tables.")
	}
	if e.private() {
		if err := e.plain(in.PolicyDocument != "" || reset, in.PrivateDnsEnabled); err != nil {
			return nil, err
		}
	}
	if err := r.of(e.VPC); err != nil {
		return nil, err
	}
	if _, err := s.checkedPolicy(e, in.PolicyDocument); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.ModifyVpcEndpointOutput, error) {
		n, err := change(tx, e.VPC)
		if err != nil {
			return nil, err
		}
		e := byID(n.endpoints, e.ID)
		if e == nil {
			return nil, kindEndpoint.missing(in.VpcEndpointId)
		}
		if in.PolicyDocument != "" || reset {
			e.Policy = in.PolicyDocument
		}
		if in.PrivateDnsEnabled != nil {
			e.PrivateDNS = *in.PrivateDnsEnabled
		}
		var subnets []string
		for _, i := range n.interfacesOf(e) {
			subnets = append(subnets, i.Subnet)
		}
		if e.RouteTables, err = adjusted(e.RouteTables, in.AddRouteTableIds, in.RemoveRouteTableIds, kindTable); err != nil {
			return nil, err
		}
		if e.Groups, err = adjusted(e.Groups, in.AddSecurityGroupIds, in.RemoveSecurityGroupIds, kindGroup); err != nil {
			return nil, err
		}
		if subnets, err = adjusted(subnets, in.AddSubnetIds, in.RemoveSubnetIds, kindSubnet); err != nil {
			return nil, err
		}
		return &ec2.ModifyVpcEndpointOutput{Return: ptr(true)}, s.connect(tx, n, e, subnets, c)
	}, nil
}

// adjusted adds ids to a list and takes others out, which must be there.
func adjusted(list, add, remove []string, k *kind) ([]string, error) {
	for _, id := range remove {
		if !slices.Contains(list, id) {
			return nil, k.missing(id)
		}
	}
	return unique(where(slices.Concat(list, add), func(id string) bool { return !slices.Contains(remove, id) })), nil
}
