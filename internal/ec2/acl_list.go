package ec2

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
)

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
