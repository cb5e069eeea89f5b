package ec2

import (
	"context"
	"errors"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func (s *Service) oldIngress(_ context.Context, c *api.Call, in *ec2.RevokeSecurityGroupIngressInput) (*found[*group], []api.Demand, error) {
	return one[*group](s, c, "RevokeSecurityGroupIngress", in.GroupId)
}

func (s *Service) oldEgress(_ context.Context, c *api.Call, in *ec2.RevokeSecurityGroupEgressInput) (*found[*group], []api.Demand, error) {
	return one[*group](s, c, "RevokeSecurityGroupEgress", in.GroupId)
}

func (s *Service) revokeIngress(_ context.Context, _ *api.Call, in *ec2.RevokeSecurityGroupIngressInput, f *found[*group]) (api.Commit[ec2.RevokeSecurityGroupIngressOutput], error) {
	list, err := flat(in.IpPermissions, in.CidrIp, in.IpProtocol, in.FromPort, in.ToPort)
	if err != nil {
		return nil, err
	}
	remove, err := s.revoke(f.it, false, list, in.SecurityGroupRuleIds)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.RevokeSecurityGroupIngressOutput, error) {
		gone, err := remove(tx)
		return &ec2.RevokeSecurityGroupIngressOutput{Return: ptr(true), RevokedSecurityGroupRules: gone}, err
	}, nil
}

func (s *Service) revokeEgress(_ context.Context, _ *api.Call, in *ec2.RevokeSecurityGroupEgressInput, f *found[*group]) (api.Commit[ec2.RevokeSecurityGroupEgressOutput], error) {
	remove, err := s.revoke(f.it, true, in.IpPermissions, in.SecurityGroupRuleIds)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.RevokeSecurityGroupEgressOutput, error) {
		gone, err := remove(tx)
		return &ec2.RevokeSecurityGroupEgressOutput{Return: ptr(true), RevokedSecurityGroupRules: gone}, err
	}, nil
}

// revoke prepares to take rules from a group: all that are named, or none.
func (s *Service) revoke(g *group, egress bool, list []ec2.IpPermission, ids []string) (func(*store.Tx) ([]ec2.RevokedSecurityGroupRule, error), error) {
	var all []described
	switch {
	case len(list) > 0 && len(ids) > 0:
		return nil, fail("InvalidParameterCombination", "The parameter 'securityGroupRuleIds' may not be used in combination with 'ipPermissions'")
	case len(ids) > maxRules:
		return nil, fail("InvalidParameterValue", "A security group has at most %d rules in one direction.", maxRules)
	case len(ids) == 0:
		var err error
		if all, err = g.parse(list); err != nil {
			return nil, err
		}
	}
	return func(tx *store.Tx) ([]ec2.RevokedSecurityGroupRule, error) {
		book, err := readRulebook(tx, g)
		if err != nil {
			return nil, err
		}
		there := book.facing(egress)
		var gone []*rule
		for _, id := range ids {
			r := byID(there, id)
			if r == nil {
				return nil, kindRule.missing(id)
			}
			if !slices.Contains(gone, r) {
				gone = append(gone, r)
			}
		}
		for _, d := range all {
			i := slices.IndexFunc(there, func(r *rule) bool { return r.Spec == d.spec })
			if i < 0 {
				return nil, fail("InvalidPermission.NotFound", "The specified rule does not exist in this security group: %s", d.spec)
			}
			gone = append(gone, there[i])
		}
		var dropped []object
		var out []ec2.RevokedSecurityGroupRule
		for _, r := range gone {
			dropped = append(dropped, r)
			out = append(out, ec2.RevokedSecurityGroupRule{
				SecurityGroupRuleId: r.ID, GroupId: r.Group, IsEgress: &r.Egress, IpProtocol: r.Spec.Protocol,
				FromPort: &r.Spec.From, ToPort: &r.Spec.To, CidrIpv4: r.Spec.cidr(), PrefixListId: r.Spec.PrefixList,
				ReferencedGroupId: r.Spec.Peer, Description: r.Description,
			})
		}
		return out, errors.Join(s.drop(tx, dropped...), tx.Touch(kindGroup.key(g.ID)))
	}, nil
}
