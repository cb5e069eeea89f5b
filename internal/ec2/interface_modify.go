package ec2

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func (s *Service) readInterface(_ context.Context, c *api.Call, in *ec2.DescribeNetworkInterfaceAttributeInput) (*found[*networkInterface], []api.Demand, error) {
	f, err := find[*networkInterface](s, c, in.NetworkInterfaceId)
	if err != nil {
		return nil, nil, err
	}
	d := f.demand("DescribeNetworkInterfaceAttribute")
	d.Resource.ARN = "*" // the action knows no resource
	return f, []api.Demand{d}, nil
}

func (s *Service) describeNetworkInterfaceAttribute(_ context.Context, c *api.Call, in *ec2.DescribeNetworkInterfaceAttributeInput, f *found[*networkInterface]) (*ec2.DescribeNetworkInterfaceAttributeOutput, error) {
	n, err := s.network(c.Snapshot, f.it.VPC)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeNetworkInterfaceAttributeOutput{NetworkInterfaceId: f.it.ID}
	switch in.Attribute {
	case ec2.NetworkInterfaceAttributeDescription:
		out.Description = &ec2.AttributeValue{Value: f.it.Description}
	case ec2.NetworkInterfaceAttributeGroupSet:
		out.Groups = n.groupsOf(f.it)
	case ec2.NetworkInterfaceAttributeSourceDestCheck:
		out.SourceDestCheck = &ec2.AttributeBooleanValue{Value: ptr(true)}
	case ec2.NetworkInterfaceAttributeAttachment:
		out.Attachment = f.it.attachment()
	case ec2.NetworkInterfaceAttributeAssociatePublicIpAddress:
		out.AssociatePublicIpAddress = ptr(false)
	default:
		return nil, fail("InvalidParameterCombination", "No attributes specified.")
	}
	return out, nil
}

// A regrouping is an interface and the groups that it is to be in.
type regrouping struct {
	it     *found[*networkInterface]
	groups []*found[*group]
}

func (s *Service) changedInterface(_ context.Context, c *api.Call, in *ec2.ModifyNetworkInterfaceAttributeInput) (*regrouping, []api.Demand, error) {
	const action = "ModifyNetworkInterfaceAttribute"
	f, err := find[*networkInterface](s, c, in.NetworkInterfaceId)
	if err != nil {
		return nil, nil, err
	}
	groups, err := findAll[*group](s, c, unique(in.Groups))
	if err != nil {
		return nil, nil, err
	}
	var attributes []string
	if in.Description != nil {
		attributes = append(attributes, "Description")
	}
	if len(in.Groups) > 0 {
		attributes = append(attributes, "Groups")
	}
	if in.SourceDestCheck != nil {
		attributes = append(attributes, "SourceDestCheck")
	}
	setAttributes(f.keys, attributes...)
	return &regrouping{f, groups}, append([]api.Demand{f.demand(action)}, demandAll(action, groups)...), nil
}

// modifyNetworkInterfaceAttribute changes a workload's interface. That of an endpoint,
// a NAT gateway or an endpoint service follows what it is of.
func (s *Service) modifyNetworkInterfaceAttribute(_ context.Context, _ *api.Call, in *ec2.ModifyNetworkInterfaceAttributeInput, r *regrouping) (api.Commit[ec2.ModifyNetworkInterfaceAttributeOutput], error) {
	groups, asked := unique(in.Groups), 0
	for _, given := range []bool{in.Description != nil, len(groups) > 0, in.SourceDestCheck != nil} {
		if given {
			asked++
		}
	}
	switch {
	case r.it.it.Workload == "":
		return nil, fail("OperationNotPermitted", "The network interface '%s' is managed by %s.", r.it.it.ID, r.it.it.requester())
	case asked != 1:
		return nil, fail("InvalidParameterCombination", "Exactly one of description, groupSet and sourceDestCheck must be specified.")
	case in.SourceDestCheck != nil && (in.SourceDestCheck.Value == nil || !*in.SourceDestCheck.Value):
		return nil, invalidValue(false, "sourceDestCheck", "An interface here sends and takes only what is its own address's.")
	case in.Description != nil && !plainText(in.Description.Value):
		return nil, invalidValue(in.Description.Value, "description", "Character sets beyond a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$* are not supported.")
	case len(groups) > maxGroupsOfOne:
		return nil, fail("SecurityGroupsPerInterfaceLimitExceeded", "An interface has at most %d security groups.", maxGroupsOfOne)
	}
	for _, g := range r.groups {
		if g.it.VPC != r.it.it.VPC {
			return nil, fail("InvalidParameter", "Security group %s and interface %s belong to different networks.", g.it.ID, r.it.it.ID)
		}
	}
	return func(tx *store.Tx) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
		i, err := owned[*networkInterface](tx, r.it.it.Account, r.it.it.ID)
		if err != nil {
			return nil, err
		}
		for _, id := range groups {
			if _, err := owned[*group](tx, i.Account, id); err != nil {
				return nil, err
			}
		}
		switch {
		case in.Description != nil:
			i.Description = in.Description.Value
		case len(groups) > 0:
			i.Groups = groups
		}
		return &ec2.ModifyNetworkInterfaceAttributeOutput{}, s.put(tx, i)
	}, nil
}
