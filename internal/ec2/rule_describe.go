package ec2

import (
	"context"
	"errors"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func (s *Service) describedIngress(_ context.Context, c *api.Call, in *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput) (*found[*group], []api.Demand, error) {
	return one[*group](s, c, "UpdateSecurityGroupRuleDescriptionsIngress", in.GroupId)
}

func (s *Service) describedEgress(_ context.Context, c *api.Call, in *ec2.UpdateSecurityGroupRuleDescriptionsEgressInput) (*found[*group], []api.Demand, error) {
	return one[*group](s, c, "UpdateSecurityGroupRuleDescriptionsEgress", in.GroupId)
}

func (s *Service) describeIngress(_ context.Context, _ *api.Call, in *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput, f *found[*group]) (api.Commit[ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput], error) {
	write, err := s.describe(f.it, false, in.IpPermissions, in.SecurityGroupRuleDescriptions)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
		return &ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput{Return: ptr(true)}, write(tx)
	}, nil
}

func (s *Service) describeEgress(_ context.Context, _ *api.Call, in *ec2.UpdateSecurityGroupRuleDescriptionsEgressInput, f *found[*group]) (api.Commit[ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput], error) {
	write, err := s.describe(f.it, true, in.IpPermissions, in.SecurityGroupRuleDescriptions)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
		return &ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput{Return: ptr(true)}, write(tx)
	}, nil
}

// describe prepares to write what is said beside rules, named by what they admit or by
// id. Nothing said takes away what was.
func (s *Service) describe(g *group, egress bool, list []ec2.IpPermission, byRule []ec2.SecurityGroupRuleDescription) (func(*store.Tx) error, error) {
	var all []described
	switch {
	case len(list) > 0 && len(byRule) > 0:
		return nil, fail("InvalidParameterCombination", "The parameter 'securityGroupRuleDescriptions' may not be used in combination with 'ipPermissions'")
	case len(byRule) > maxRules:
		return nil, fail("InvalidParameterValue", "A security group has at most %d rules in one direction.", maxRules)
	case len(byRule) == 0:
		var err error
		if all, err = g.parse(list); err != nil {
			return nil, err
		}
	}
	for _, d := range byRule {
		if !plainText(d.Description) {
			return nil, invalidValue(d.Description, "description", "Invalid rule description.")
		}
	}
	return func(tx *store.Tx) error {
		book, err := readRulebook(tx, g)
		if err != nil {
			return err
		}
		there := book.facing(egress)
		var changed []object
		for _, d := range byRule {
			r := byID(there, d.SecurityGroupRuleId)
			if r == nil {
				return kindRule.missing(d.SecurityGroupRuleId)
			}
			r.Description, changed = d.Description, append(changed, r)
		}
		for _, d := range all {
			i := slices.IndexFunc(there, func(r *rule) bool { return r.Spec == d.spec })
			if i < 0 {
				return fail("InvalidPermission.NotFound", "The specified rule does not exist in this security group: %s", d.spec)
			}
			there[i].Description, changed = d.description, append(changed, there[i])
		}
		return errors.Join(s.put(tx, changed...), tx.Touch(kindGroup.key(g.ID)))
	}, nil
}
