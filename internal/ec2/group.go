package ec2

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A group is a security group. Its rules are resources of their own.
type group struct {
	meta
	Name        string `json:"name"`
	Description string `json:"description"`
}

func (*group) kind() *kind { return kindGroup }

const (
	defaultGroupName = "default"
	maxGroups        = 500 // of a VPC
	maxText          = 255 // of a name or description, in characters
)

// plainText says whether a name or description is of the characters that AWS takes
// in one.
func plainText(s string) bool {
	const others = " ._-:/()#,@[]+=&;{}!$*"
	for i := range len(s) {
		ch := s[i] | 0x20
		if !('a' <= ch && ch <= 'z' || '0' <= s[i] && s[i] <= '9' || strings.IndexByte(others, s[i]) >= 0) {
			return false
		}
	}
	return len(s) <= maxText
}

func (s *Service) newGroup(_ context.Context, c *api.Call, in *ec2.CreateSecurityGroupInput) (*birth, []api.Demand, error) {
	vpcID, err := orDefault(c, in.VpcId)
	if err != nil {
		return nil, nil, err
	}
	b, demands, err := s.within(c, "CreateSecurityGroup", kindGroup, vpcID, in.TagSpecifications)
	if err == nil && vpcID == "" {
		demands[len(demands)-1].Resource.Missing = fail("VPCIdNotSpecified", "No default VPC for this user")
	}
	return b, demands, err
}

func (s *Service) createSecurityGroup(_ context.Context, _ *api.Call, in *ec2.CreateSecurityGroupInput, b *birth) (api.Commit[ec2.CreateSecurityGroupOutput], error) {
	switch {
	case strings.TrimSpace(in.GroupName) == "" || !plainText(in.GroupName):
		return nil, invalidValue(in.GroupName, "groupName", "Character sets beyond a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$* are not supported.")
	case strings.HasPrefix(in.GroupName, kindGroup.prefix):
		return nil, invalidValue(in.GroupName, "groupName", "Group names may not be in the format sg-*.")
	case in.GroupName == defaultGroupName:
		return nil, fail("InvalidGroup.Reserved", "The name '%s' is reserved.", in.GroupName)
	case in.Description == "" || !plainText(in.Description):
		return nil, invalidValue(in.Description, "GroupDescription", "Character sets beyond a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$* are not supported.")
	}
	g := &group{meta: b.meta, Name: in.GroupName, Description: in.Description}
	all := egressAll(g)
	return func(tx *store.Tx) (*ec2.CreateSecurityGroupOutput, error) {
		n, err := change(tx, b.VPC)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(n.groups, func(o *group) bool { return o.Name == g.Name }) {
			return nil, fail("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", g.Name, b.VPC)
		}
		if len(n.groups) >= maxGroups {
			return nil, fail("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.")
		}
		return &ec2.CreateSecurityGroupOutput{
			GroupId: g.ID, SecurityGroupArn: s.arn(g.Account, kindGroup, g.ID), Tags: tagList(g.Tags),
		}, s.put(tx, g, all)
	}, nil
}

// egressAll is the rule that every group begins with.
func egressAll(g *group) *rule {
	return &rule{
		meta:  meta{ID: kindRule.newID(), Account: g.Account, VPC: g.VPC, Created: g.Created},
		Group: g.ID, Egress: true, Spec: spec{Protocol: allProtocols, From: -1, To: -1, CIDR: everywhere},
	}
}

func (n *network) rulesOf(groupID string) []*rule { return slices.Clip(n.ruled[groupID]) }

func (s *Service) showGroup(n *network, g *group) ec2.SecurityGroup {
	rules := n.rulesOf(g.ID)
	return ec2.SecurityGroup{
		GroupId: g.ID, GroupName: g.Name, Description: g.Description, VpcId: g.VPC, OwnerId: g.Account,
		SecurityGroupArn: s.arn(g.Account, kindGroup, g.ID), Tags: tagList(g.Tags),
		IpPermissions:       permissions(where(rules, func(r *rule) bool { return !r.Egress })),
		IpPermissionsEgress: permissions(where(rules, func(r *rule) bool { return r.Egress })),
	}
}

// peerAccount is the account of the group that a rule names.
func (r *rule) peerAccount() string {
	if r.Spec.Peer == "" {
		return ""
	}
	return r.Account
}

func (s *Service) describeSecurityGroups(_ context.Context, c *api.Call, in *ec2.DescribeSecurityGroupsInput, _ struct{}) (*ec2.DescribeSecurityGroupsOutput, error) {
	filters := filters[*group]{
		"description": func(_ *network, g *group) []string { return []string{g.Description} },
		"group-id":    func(_ *network, g *group) []string { return []string{g.ID} },
		"group-name":  func(_ *network, g *group) []string { return []string{g.Name} },
		"owner-id":    func(_ *network, g *group) []string { return []string{g.Account} },
		"vpc-id":      func(_ *network, g *group) []string { return []string{g.VPC} },
	}
	for prefix, egress := range map[string]bool{"ip-permission.": false, "egress.ip-permission.": true} {
		of := func(field func(*rule) string) func(*network, *group) []string {
			return func(n *network, g *group) (out []string) {
				for _, r := range n.rulesOf(g.ID) {
					if r.Egress == egress {
						out = append(out, field(r))
					}
				}
				return out
			}
		}
		filters[prefix+"cidr"] = of(func(r *rule) string { return r.Spec.cidr() })
		filters[prefix+"from-port"] = of(func(r *rule) string { return decimal(r.Spec.From) })
		filters[prefix+"to-port"] = of(func(r *rule) string { return decimal(r.Spec.To) })
		filters[prefix+"group-id"] = of(func(r *rule) string { return r.Spec.Peer })
		filters[prefix+"group-name"] = func(n *network, g *group) (out []string) {
			for _, r := range n.rulesOf(g.ID) {
				if r.Egress == egress && r.Spec.Peer != "" {
					out = append(out, byID(n.groups, r.Spec.Peer).Name)
				}
			}
			return out
		}
		filters[prefix+"prefix-list-id"] = of(func(r *rule) string { return r.Spec.PrefixList })
		filters[prefix+"protocol"] = of(func(r *rule) string { return r.Spec.Protocol })
		filters[prefix+"user-id"] = of((*rule).peerAccount)
	}
	named, err := s.namedGroups(c, in.GroupNames)
	if err != nil {
		return nil, err
	}
	list, next, err := list(s, c, listing[*group, ec2.SecurityGroup]{
		items: func(n *network) []*group { return n.groups }, filters: filters, show: s.showGroup,
	}, ask{slices.Concat(in.GroupIds, named), in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: list, NextToken: next}, err
}

func (s *Service) deletedGroup(_ context.Context, c *api.Call, in *ec2.DeleteSecurityGroupInput) (*found[*group], []api.Demand, error) {
	return one[*group](s, c, "DeleteSecurityGroup", in.GroupId)
}

func (s *Service) deleteSecurityGroup(_ context.Context, _ *api.Call, _ *ec2.DeleteSecurityGroupInput, f *found[*group]) (api.Commit[ec2.DeleteSecurityGroupOutput], error) {
	g := f.it
	if g.Name == defaultGroupName {
		return nil, fail("CannotDelete", "the specified group: \"%s\" name: \"%s\" cannot be deleted by a user", g.ID, g.Name)
	}
	return func(tx *store.Tx) (*ec2.DeleteSecurityGroupOutput, error) {
		n, err := changeRuled(tx, g.VPC)
		if err != nil {
			return nil, err
		}
		all := []object{g}
		for _, r := range n.rules {
			switch {
			case r.Group == g.ID:
				all = append(all, r)
			case r.Spec.Peer == g.ID:
				return nil, fail("DependencyViolation", "resource %s has a dependent object: %s of %s names it", g.ID, r.ID, r.Group)
			}
		}
		for _, i := range n.interfaces {
			if slices.Contains(i.Groups, g.ID) {
				return nil, fail("DependencyViolation", "resource %s has a dependent object: %s is in it", g.ID, i.ID)
			}
		}
		return &ec2.DeleteSecurityGroupOutput{GroupId: g.ID, Return: ptr(true)}, s.drop(tx, all...)
	}, nil
}
