package ec2

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// An alteration is what rules of a group are to become.
type alteration struct {
	group *found[*group]
	rules []*found[*rule]
}

func (s *Service) changedRules(_ context.Context, c *api.Call, in *ec2.ModifySecurityGroupRulesInput) (*alteration, []api.Demand, error) {
	const action = "ModifySecurityGroupRules"
	g, err := find[*group](s, c, in.GroupId)
	if err != nil {
		return nil, nil, err
	}
	a, demands := &alteration{group: g}, []api.Demand{g.demand(action)}
	var ids []string
	for _, u := range in.SecurityGroupRules {
		ids = append(ids, u.SecurityGroupRuleId)
	}
	if a.rules, err = findAll[*rule](s, c, ids); err != nil {
		return nil, nil, err
	}
	demands = append(demands, demandAll(action, a.rules)...)
	for _, u := range in.SecurityGroupRules {
		if u.SecurityGroupRule == nil || u.SecurityGroupRule.PrefixListId == "" {
			continue
		}
		l, err := s.findList(c, u.SecurityGroupRule.PrefixListId)
		if err != nil {
			return nil, nil, err
		}
		demands = append(demands, l.demand(action))
	}
	return a, demands, nil
}

// modifySecurityGroupRules makes all of the changes at once, so that two rules may
// take each other's place. What a rule names, a range, a group or a list, stays of
// its sort.
func (s *Service) modifySecurityGroupRules(_ context.Context, _ *api.Call, in *ec2.ModifySecurityGroupRulesInput, a *alteration) (api.Commit[ec2.ModifySecurityGroupRulesOutput], error) {
	g, wanted := a.group.it, map[string]described{}
	for _, u := range in.SecurityGroupRules {
		d, err := parseRequest(u.SecurityGroupRule, g)
		if err != nil {
			return nil, err
		}
		if _, twice := wanted[u.SecurityGroupRuleId]; twice {
			return nil, invalidValue(u.SecurityGroupRuleId, "securityGroupRuleId", "It is named twice.")
		}
		wanted[u.SecurityGroupRuleId] = d
	}
	if len(wanted) == 0 {
		return nil, missingParameter("securityGroupRules")
	}
	return func(tx *store.Tx) (*ec2.ModifySecurityGroupRulesOutput, error) {
		book, err := readRulebook(tx, g)
		if err != nil {
			return nil, err
		}
		for id := range wanted {
			if byID(book.rules, id) == nil {
				return nil, kindRule.missing(id)
			}
		}
		type place struct {
			egress bool
			spec   spec
		}
		var changed []object
		seen := map[place]bool{}
		for _, r := range book.rules {
			if d, ok := wanted[r.ID]; ok {
				if sortOf(r.Spec) != sortOf(d.spec) {
					return nil, fail("InvalidParameterValue", "The rule %s names %s, and cannot be changed to name %s.", r.ID, sortOf(r.Spec), sortOf(d.spec))
				}
				if err := s.peered(tx, book, d.spec); err != nil {
					return nil, err
				}
				r.Spec, r.Description = d.spec, d.description
				changed = append(changed, r)
			}
			at := place{r.Egress, r.Spec}
			if seen[at] {
				return nil, fail("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", r.Spec)
			}
			seen[at] = true
		}
		if err := book.fits(); err != nil {
			return nil, err
		}
		return &ec2.ModifySecurityGroupRulesOutput{Return: ptr(true)}, errors.Join(s.put(tx, changed...), tx.Touch(kindGroup.key(g.ID)))
	}, nil
}

// sortOf tells what sort of thing a rule names.
func sortOf(p spec) string {
	switch {
	case p.Peer != "":
		return "a security group"
	case p.PrefixList != "":
		return "a prefix list"
	}
	return "a range"
}

// parseRequest reads the one rule of a request.
func parseRequest(in *ec2.SecurityGroupRuleRequest, g *group) (described, error) {
	if in == nil {
		return described{}, missingParameter("securityGroupRule")
	}
	p := ec2.IpPermission{IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort}
	if in.CidrIpv4 != "" {
		p.IpRanges = []ec2.IpRange{{CidrIp: in.CidrIpv4, Description: in.Description}}
	}
	if in.ReferencedGroupId != "" {
		p.UserIdGroupPairs = []ec2.UserIdGroupPair{{GroupId: in.ReferencedGroupId, Description: in.Description}}
	}
	if in.PrefixListId != "" {
		p.PrefixListIds = []ec2.PrefixListId{{PrefixListId: in.PrefixListId, Description: in.Description}}
	}
	all, err := parsePermission(p, g.Account, g.VPC)
	if err != nil {
		return described{}, err
	}
	if len(all) > 1 {
		return described{}, fail("InvalidParameterCombination", "Exactly one of cidrIpv4, prefixListId and referencedGroupId must be specified.")
	}
	return all[0], nil
}
