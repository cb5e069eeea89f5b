package sts

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/sts"
)

const (
	maxSessionPolicy = 2048 // characters
	maxPolicyARNs    = 10
)

// narrow reads the session policies. Managed ones must be the session's account's,
// or AWS's.
func (s *Service) narrow(ctx context.Context, c *api.Call, g *grant, inline string, managed []shape.PolicyDescriptorType) error {
	if inline != "" {
		p, err := policy.Parse([]byte(inline), policy.SessionPolicy)
		if err != nil {
			return malformed(err)
		}
		for _, f := range policy.Validate(p, s.cfg.Catalogue) {
			if !f.Tolerable() {
				return fail("MalformedPolicyDocument", "Statement %d: %s.", f.Statement+1, f.Message)
			}
		}
		if len(inline) > 4*maxSessionPolicy {
			return tooLarge(4 * len(inline))
		}
		g.policies.Inline = inline
	}
	if len(managed) > maxPolicyARNs {
		return invalid("A session may have %d managed policies.", maxPolicyARNs)
	}
	for _, d := range managed {
		account, ok := policyAccount(d.Arn)
		if s.cfg.Policies == nil || !ok || account != g.claim.Account && account != "aws" {
			return invalid("%s is not a policy of the session's account.", d.Arn)
		}
		f, err := c.Resource(ctx, d.Arn)
		if err != nil {
			return err
		}
		p, ok := f.Detail.(*iamshape.Policy)
		if f.Missing != nil || !ok || p.PolicyId == "" {
			// Who may not have the session must not learn what the account has.
			g.policies.Managed = append(g.policies.Managed, "")
			continue
		}
		if !slices.Contains(g.policies.Managed, p.PolicyId) {
			g.policies.Managed = append(g.policies.Managed, p.PolicyId)
		}
	}
	return nil
}

func policyAccount(name string) (string, bool) {
	a, err := arn.Parse(name)
	return a.Account, err == nil && a.Partition == "aws" && a.Service == "iam" && strings.HasPrefix(a.Resource, "policy/")
}
