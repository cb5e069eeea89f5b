package ec2

import (
	"cmp"
	"context"
	"net/netip"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// An acl is a network ACL. A VPC's default one exists from the beginning and is a
// row only once somebody changed it: see [network.defaultACL].
type acl struct {
	meta
	Default bool       `json:"default,omitzero"`
	Entries []aclEntry `json:"entries,omitempty"` // in the order of direction and number
}

func (*acl) kind() *kind { return kindACL }

// An aclEntry is one line. What no line matches is refused.
type aclEntry struct {
	Number   int32        `json:"number"`
	Egress   bool         `json:"egress,omitzero"`
	Allow    bool         `json:"allow,omitzero"`
	Protocol string       `json:"protocol"` // as a rule's
	From     int32        `json:"from"`
	To       int32        `json:"to"`
	CIDR     netip.Prefix `json:"cidr"`
}

const (
	maxACLs    = 200 // of a VPC
	maxEntries = 40  // of an ACL, in one direction
	lastEntry  = 32767
)

// compare is the order of entries: what comes in first, then by number.
func (e aclEntry) compare(o aclEntry) int {
	if e.Egress != o.Egress {
		if o.Egress {
			return -1
		}
		return 1
	}
	return cmp.Compare(e.Number, o.Number)
}

// defaultACLFor is the default ACL that an id would name as long as nobody has
// changed it; nil when there is no such VPC.
func defaultACLFor(q store.Querier, id string) (object, error) {
	o, err := row(q, vpcOfACL(id))
	if v, ok := o.(*vpc); ok && err == nil {
		return defaultACLOf(v), nil
	}
	return nil, err
}

// vpcOfACL is the VPC whose default ACL an id would name.
func vpcOfACL(id string) string { return kindVPC.prefix + strings.TrimPrefix(id, kindACL.prefix) }

func (s *Service) newACL(_ context.Context, c *api.Call, in *ec2.CreateNetworkAclInput) (*birth, []api.Demand, error) {
	return s.within(c, "CreateNetworkAcl", kindACL, in.VpcId, in.TagSpecifications)
}

func (s *Service) createNetworkACL(_ context.Context, c *api.Call, in *ec2.CreateNetworkAclInput, b *birth) (api.Commit[ec2.CreateNetworkAclOutput], error) {
	a := &acl{meta: b.meta}
	return func(tx *store.Tx) (*ec2.CreateNetworkAclOutput, error) {
		made, err := once(tx, c, "CreateNetworkAcl", in.ClientToken, in, func() ([]string, error) {
			n, err := change(tx, b.VPC)
			if err != nil {
				return nil, err
			}
			if len(where(n.acls, func(o *acl) bool { return !o.Default })) >= maxACLs-1 {
				return nil, fail("NetworkAclLimitExceeded", "The maximum number of network ACLs has been reached.")
			}
			return []string{a.ID}, s.put(tx, a)
		})
		if err != nil {
			return nil, err
		}
		n, err := change(tx, b.VPC)
		if err != nil {
			return nil, err
		}
		it := byID(n.acls, made[0])
		if it == nil {
			return nil, kindACL.missing(made[0])
		}
		return &ec2.CreateNetworkAclOutput{NetworkAcl: ptr(showACL(n, it)), ClientToken: in.ClientToken}, nil
	}, nil
}

func (s *Service) deletedACL(_ context.Context, c *api.Call, in *ec2.DeleteNetworkAclInput) (*found[*acl], []api.Demand, error) {
	return one[*acl](s, c, "DeleteNetworkAcl", in.NetworkAclId)
}

func (s *Service) deleteNetworkACL(_ context.Context, _ *api.Call, _ *ec2.DeleteNetworkAclInput, f *found[*acl]) (api.Commit[ec2.DeleteNetworkAclOutput], error) {
	if f.it.Default {
		return nil, fail("InvalidParameterValue", "cannot delete default network ACL %s", f.it.ID)
	}
	return func(tx *store.Tx) (*ec2.DeleteNetworkAclOutput, error) {
		n, err := change(tx, f.it.VPC)
		if err != nil {
			return nil, err
		}
		if used := n.behind(f.it); len(used) > 0 {
			return nil, inUse(f.it.ID, "association "+used[0].joint()+" of subnet "+used[0].ID+" names it")
		}
		return &ec2.DeleteNetworkAclOutput{}, s.drop(tx, f.it)
	}, nil
}
