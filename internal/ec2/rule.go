package ec2

import (
	"context"
	"errors"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A rule is one line of a security group.
type rule struct {
	meta
	Group       string `json:"group"`
	Egress      bool   `json:"egress,omitzero"`
	Spec        spec   `json:"spec"`
	Description string `json:"description,omitzero"`
}

func (*rule) kind() *kind { return kindRule }

// maxRules is how many rules a group has in one direction, and so how many a
// request may name.
const maxRules = 60

// An authorization is what is to be added to a group.
type authorization struct {
	group *found[*group]
	tags  map[string]string
}

func (s *Service) newIngress(_ context.Context, c *api.Call, in *ec2.AuthorizeSecurityGroupIngressInput) (*authorization, []api.Demand, error) {
	return s.authorizing(c, "AuthorizeSecurityGroupIngress", in.GroupId, in.TagSpecifications)
}

func (s *Service) newEgress(_ context.Context, c *api.Call, in *ec2.AuthorizeSecurityGroupEgressInput) (*authorization, []api.Demand, error) {
	return s.authorizing(c, "AuthorizeSecurityGroupEgress", in.GroupId, in.TagSpecifications)
}

func (s *Service) authorizing(c *api.Call, action, groupID string, specs []ec2.TagSpecification) (*authorization, []api.Demand, error) {
	f, err := find[*group](s, c, groupID)
	if err != nil {
		return nil, nil, err
	}
	tags, wrong := specified(kindRule, specs)
	requestTags(f.keys, tags)
	demands := []api.Demand{f.demand(action)}
	if wrong != nil {
		demands[0].Resource.Missing = wrong
	}
	if len(tags) > 0 {
		vpcID := ""
		if !f.missing() {
			vpcID = f.it.VPC
		}
		keys := s.keys(c.Account, kindRule, "", vpcID, nil)
		requestTags(keys, tags)
		keys.Set("ec2:CreateAction", action)
		demands = append(demands, api.Demand{Action: "ec2:CreateTags", Keys: keys, Resource: api.Resource{
			ARN: s.arn(c.Account, kindRule, "*"), Account: c.Account, Type: kindRule.record,
		}})
	}
	return &authorization{f, tags}, demands, nil
}

func (s *Service) authorizeIngress(_ context.Context, c *api.Call, in *ec2.AuthorizeSecurityGroupIngressInput, a *authorization) (api.Commit[ec2.AuthorizeSecurityGroupIngressOutput], error) {
	all, err := flat(in.IpPermissions, in.CidrIp, in.IpProtocol, in.FromPort, in.ToPort)
	if err != nil {
		return nil, err
	}
	add, err := s.authorize(c, a, false, all)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
		rules, err := add(tx)
		return &ec2.AuthorizeSecurityGroupIngressOutput{Return: ptr(true), SecurityGroupRules: rules}, err
	}, nil
}

func (s *Service) authorizeEgress(_ context.Context, c *api.Call, in *ec2.AuthorizeSecurityGroupEgressInput, a *authorization) (api.Commit[ec2.AuthorizeSecurityGroupEgressOutput], error) {
	add, err := s.authorize(c, a, true, in.IpPermissions)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.AuthorizeSecurityGroupEgressOutput, error) {
		rules, err := add(tx)
		return &ec2.AuthorizeSecurityGroupEgressOutput{Return: ptr(true), SecurityGroupRules: rules}, err
	}, nil
}

// flat joins the two ways to write a permission, of which a request uses one.
func flat(list []ec2.IpPermission, cidr, protocol string, from, to *int32) ([]ec2.IpPermission, error) {
	if cidr == "" && protocol == "" && from == nil && to == nil {
		return list, nil
	}
	if len(list) > 0 {
		return nil, fail("InvalidParameterCombination", "The parameter 'ipPermissions' may not be used in combination with 'cidrIp', 'ipProtocol', 'fromPort' or 'toPort'")
	}
	return []ec2.IpPermission{{IpProtocol: protocol, FromPort: from, ToPort: to, IpRanges: []ec2.IpRange{{CidrIp: cidr}}}}, nil
}

// parse reads permissions into the rules that they mean, each once.
func (g *group) parse(list []ec2.IpPermission) ([]described, error) {
	if len(list) == 0 {
		return nil, missingParameter("ipPermissions")
	}
	var all []described
	seen := map[spec]bool{}
	for _, p := range list {
		some, err := parsePermission(p, g.Account, g.VPC)
		if err != nil {
			return nil, err
		}
		for _, d := range some {
			if seen[d.spec] {
				return nil, fail("InvalidParameterValue", "The same permission must not appear multiple times")
			}
			seen[d.spec] = true
		}
		if all = append(all, some...); len(all) > maxRules {
			return nil, fail("RulesPerSecurityGroupLimitExceeded", "A security group has at most %d rules in one direction.", maxRules)
		}
	}
	return all, nil
}

// authorize prepares to add rules to a group.
func (s *Service) authorize(c *api.Call, a *authorization, egress bool, list []ec2.IpPermission) (func(*store.Tx) ([]ec2.SecurityGroupRule, error), error) {
	g := a.group.it
	all, err := g.parse(list)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) ([]ec2.SecurityGroupRule, error) {
		book, err := readRulebook(tx, g)
		if err != nil {
			return nil, err
		}
		there := book.facing(egress)
		var added []object
		var out []ec2.SecurityGroupRule
		for _, d := range all {
			if slices.ContainsFunc(there, func(r *rule) bool { return r.Spec == d.spec }) {
				return nil, fail("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", d.spec)
			}
			if err := s.peered(tx, book, d.spec); err != nil {
				return nil, err
			}
			r := &rule{
				meta:  meta{ID: kindRule.newID(), Account: g.Account, VPC: g.VPC, Created: c.Now, Tags: a.tags},
				Group: g.ID, Egress: egress, Spec: d.spec, Description: d.description,
			}
			book.rules = append(book.rules, r)
			added, out = append(added, r), append(out, s.showRule(nil, r))
		}
		if err := book.fits(); err != nil {
			return nil, err
		}
		return out, errors.Join(s.put(tx, added...), tx.Touch(kindGroup.key(g.ID)))
	}, nil
}

func (s *Service) showRule(_ *network, r *rule) ec2.SecurityGroupRule {
	out := ec2.SecurityGroupRule{
		SecurityGroupRuleId: r.ID, SecurityGroupRuleArn: s.arn(r.Account, kindRule, r.ID), GroupId: r.Group, GroupOwnerId: r.Account,
		IsEgress: &r.Egress, IpProtocol: r.Spec.Protocol, FromPort: &r.Spec.From, ToPort: &r.Spec.To,
		CidrIpv4: r.Spec.cidr(), PrefixListId: r.Spec.PrefixList, Description: r.Description, Tags: tagList(r.Tags),
	}
	if r.Spec.Peer != "" {
		out.ReferencedGroupInfo = &ec2.ReferencedSecurityGroup{GroupId: r.Spec.Peer, UserId: r.Account, VpcId: r.VPC}
	}
	return out
}

func (s *Service) describeSecurityGroupRules(_ context.Context, c *api.Call, in *ec2.DescribeSecurityGroupRulesInput, _ struct{}) (*ec2.DescribeSecurityGroupRulesOutput, error) {
	list, next, err := list(s, c, listing[*rule, ec2.SecurityGroupRule]{
		items: func(n *network) []*rule { return n.rules },
		filters: filters[*rule]{
			"group-id":               func(_ *network, r *rule) []string { return []string{r.Group} },
			"security-group-rule-id": func(_ *network, r *rule) []string { return []string{r.ID} },
		},
		show: s.showRule,
	}, ask{in.SecurityGroupRuleIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeSecurityGroupRulesOutput{SecurityGroupRules: list, NextToken: next}, err
}
