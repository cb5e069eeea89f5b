package ec2

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
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

// allACLs are the VPC's ACLs with the default one.
func (n *network) allACLs() []*acl {
	if all := n.acls; slices.ContainsFunc(all, func(a *acl) bool { return a.Default }) {
		return all
	}
	return append(slices.Clone(n.acls), n.defaultACL())
}

func showACL(n *network, a *acl) ec2.NetworkAcl {
	out := ec2.NetworkAcl{NetworkAclId: a.ID, VpcId: a.VPC, OwnerId: a.Account, IsDefault: &a.Default, Tags: tagList(a.Tags)}
	for _, o := range n.behind(a) {
		out.Associations = append(out.Associations, ec2.NetworkAclAssociation{NetworkAclAssociationId: o.joint(), NetworkAclId: a.ID, SubnetId: o.ID})
	}
	for _, egress := range []bool{false, true} {
		for _, e := range a.Entries {
			if e.Egress == egress {
				out.Entries = append(out.Entries, e.show())
			}
		}
		rest := aclEntry{Number: lastEntry, Egress: egress, Protocol: allProtocols, From: -1, To: -1, CIDR: everywhere}
		out.Entries = append(out.Entries, rest.show())
	}
	return out
}

// behind are the subnets at whose border an ACL is.
func (n *network) behind(a *acl) []*subnet {
	return where(n.subnets, func(o *subnet) bool { return n.aclOf(o).ID == a.ID })
}

func (s *Service) describeNetworkACLs(_ context.Context, c *api.Call, in *ec2.DescribeNetworkAclsInput, _ struct{}) (*ec2.DescribeNetworkAclsOutput, error) {
	associated := func(of func(*subnet) string) func(*network, *acl) []string {
		return func(n *network, a *acl) (out []string) {
			for _, o := range n.behind(a) {
				out = append(out, of(o))
			}
			return out
		}
	}
	// An entry is found by what is shown of it.
	entered := func(of func(ec2.NetworkAclEntry) string) func(*network, *acl) []string {
		return func(n *network, a *acl) (out []string) {
			for _, e := range showACL(n, a).Entries {
				if v := of(e); v != "" {
					out = append(out, v)
				}
			}
			return out
		}
	}
	port := func(e ec2.NetworkAclEntry) ec2.PortRange { return *cmp.Or(e.PortRange, &ec2.PortRange{}) }
	icmp := func(e ec2.NetworkAclEntry) ec2.IcmpTypeCode { return *cmp.Or(e.IcmpTypeCode, &ec2.IcmpTypeCode{}) }
	number := func(n *int32) string {
		if n == nil {
			return ""
		}
		return decimal(*n)
	}
	list, next, err := list(s, c, listing[*acl, ec2.NetworkAcl]{
		items: func(n *network) []*acl { return n.allACLs() },
		filters: filters[*acl]{
			"association.association-id": associated((*subnet).joint),
			"association.network-acl-id": func(n *network, a *acl) []string {
				return where([]string{a.ID}, func(string) bool { return len(n.behind(a)) > 0 })
			},
			"association.subnet-id": associated(func(o *subnet) string { return o.ID }),
			"default":               func(_ *network, a *acl) []string { return []string{strconv.FormatBool(a.Default)} },
			"entry.cidr":            entered(func(e ec2.NetworkAclEntry) string { return e.CidrBlock }),
			"entry.egress":          entered(func(e ec2.NetworkAclEntry) string { return strconv.FormatBool(*e.Egress) }),
			"entry.icmp.code":       entered(func(e ec2.NetworkAclEntry) string { return number(icmp(e).Code) }),
			"entry.icmp.type":       entered(func(e ec2.NetworkAclEntry) string { return number(icmp(e).Type) }),
			"entry.port-range.from": entered(func(e ec2.NetworkAclEntry) string { return number(port(e).From) }),
			"entry.port-range.to":   entered(func(e ec2.NetworkAclEntry) string { return number(port(e).To) }),
			"entry.protocol":        entered(func(e ec2.NetworkAclEntry) string { return e.Protocol }),
			"entry.rule-action":     entered(func(e ec2.NetworkAclEntry) string { return string(e.RuleAction) }),
			"entry.rule-number":     entered(func(e ec2.NetworkAclEntry) string { return number(e.RuleNumber) }),
			"network-acl-id":        func(_ *network, a *acl) []string { return []string{a.ID} },
			"owner-id":              func(_ *network, a *acl) []string { return []string{a.Account} },
			"vpc-id":                func(_ *network, a *acl) []string { return []string{a.VPC} },
		},
		show: showACL,
	}, ask{in.NetworkAclIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeNetworkAclsOutput{NetworkAcls: list, NextToken: next}, err
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
