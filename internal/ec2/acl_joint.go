package ec2

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// kindJoint is of the ids of associations of subnets with network ACLs. They are no
// resources: each subnet has exactly one.
var kindJoint = &kind{prefix: "aclassoc-", noun: "association ID", code: "InvalidAssociationID"}

// joint is the id of the subnet's association with its ACL. The first one follows
// from the subnet's.
func (o *subnet) joint() string {
	if o.Joint != "" {
		return o.Joint
	}
	return kindJoint.prefix + strings.TrimPrefix(o.ID, kindSubnet.prefix)
}

// A bordering is a subnet, by its association with an ACL, and the ACL that it is to
// have.
type bordering struct {
	acl    *found[*acl]
	subnet *found[*subnet]
}

// replacedJoint demands the action on the subnet and on both ACLs: that which it has
// loses a subnet, as it does nowhere else.
func (s *Service) replacedJoint(_ context.Context, c *api.Call, in *ec2.ReplaceNetworkAclAssociationInput) (*bordering, []api.Demand, error) {
	const action = "ReplaceNetworkAclAssociation"
	b := &bordering{}
	var err error
	if b.acl, err = find[*acl](s, c, in.NetworkAclId); err != nil {
		return nil, nil, err
	}
	demands := []api.Demand{b.acl.demand(action)}
	sub, err := withJoint(c, in.AssociationId)
	if err != nil {
		return nil, nil, err
	}
	if sub == nil {
		missing := kindJoint.missing(in.AssociationId)
		if !kindJoint.names(in.AssociationId) {
			missing = kindJoint.malformed(in.AssociationId)
		}
		return b, append(demands, s.unnamed(c, action, kindSubnet, missing)), nil
	}
	if b.subnet, err = find[*subnet](s, c, sub.ID); err != nil {
		return nil, nil, err
	}
	n, err := s.network(c.Snapshot, sub.VPC)
	if err != nil {
		return nil, nil, err
	}
	old, err := find[*acl](s, c, n.aclOf(sub).ID)
	if err != nil {
		return nil, nil, err
	}
	return b, append(demands, old.demand(action), b.subnet.demand(action)), nil
}

// withJoint is the caller's subnet with an association; nil when there is none.
func withJoint(c *api.Call, id string) (*subnet, error) {
	if !kindJoint.names(id) {
		return nil, nil
	}
	all, err := ofKind[*subnet](c.Snapshot, c.Account)
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		if o.joint() == id {
			return o, nil
		}
	}
	return nil, nil
}

func (s *Service) replaceNetworkACLAssociation(_ context.Context, _ *api.Call, in *ec2.ReplaceNetworkAclAssociationInput, b *bordering) (api.Commit[ec2.ReplaceNetworkAclAssociationOutput], error) {
	a, sub := b.acl.it, b.subnet.it
	if a.VPC != sub.VPC {
		return nil, fail("InvalidParameterValue", "Network ACL %s and subnet %s belong to different networks", a.ID, sub.ID)
	}
	joint := kindJoint.newID()
	return func(tx *store.Tx) (*ec2.ReplaceNetworkAclAssociationOutput, error) {
		n, err := change(tx, sub.VPC)
		if err != nil {
			return nil, err
		}
		it := byID(n.subnets, sub.ID)
		switch {
		case it == nil || it.joint() != in.AssociationId:
			return nil, kindJoint.missing(in.AssociationId)
		case a.Default:
			it.ACL = ""
		case byID(n.acls, a.ID) == nil:
			return nil, kindACL.missing(a.ID)
		default:
			it.ACL = a.ID
		}
		it.Joint = joint
		return &ec2.ReplaceNetworkAclAssociationOutput{NewAssociationId: joint}, s.put(tx, it)
	}, nil
}
