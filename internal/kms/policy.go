package kms

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// The only policy that a key has is called so.
const policyName = "default"

// defaultPolicy is AWS's for a key that was made without one: the account's IAM
// policies decide.
func defaultPolicy(account string) string {
	return `{
  "Version": "2012-10-17",
  "Id": "key-default-1",
  "Statement": [
    {
      "Sid": "Enable IAM User Permissions",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::` + account + `:root"
      },
      "Action": "kms:*",
      "Resource": "*"
    }
  ]
}`
}

// checked is parsePolicy for what a customer puts.
func (s *Service) checked(text, account string) (*policy.Doc, error) {
	doc, err := parsePolicy(text, account)
	if err != nil || s.Catalogue == nil {
		return doc, err
	}
	if found := policy.Validate(doc.Policy, s.Catalogue); len(found) > 0 {
		return nil, fail("MalformedPolicyDocumentException", "%s", found[0].Message)
	}
	return doc, nil
}

// delegation stands in for the policy of a key that does not exist.
func delegation(account string) *policy.Doc {
	doc, err := parsePolicy("", account)
	if err != nil {
		return nil // and so nobody may know
	}
	return doc
}

// parsePolicy reads a key policy, or the default one where there is none.
func parsePolicy(text, account string) (*policy.Doc, error) {
	if text == "" {
		text = defaultPolicy(account)
	}
	p, err := policy.Parse([]byte(text), policy.Resource)
	if err != nil {
		return nil, malformed(err)
	}
	return &policy.Doc{Name: "key policy", Policy: p}, nil
}

func malformed(err error) error {
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return fail("MalformedPolicyDocumentException", "%s", e.Error())
	}
	return err
}

// lockout refuses a policy under which the caller could not put the next one,
// unless she says that she means it. n carries the new policy.
func (s *Service) lockout(ctx context.Context, c *api.Call, n *named, bypass *bool) error {
	if bypass != nil && *bypass {
		return nil
	}
	demand := s.demand(c, "PutKeyPolicy", n)
	demand.Keys.Set("kms:BypassPolicyLockoutSafetyCheck", "false")
	err := c.Allowed(ctx, demand)
	if _, refused := errors.AsType[*api.Error](err); refused {
		return fail("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	}
	return err
}

func (s *Service) replacedPolicy(ctx context.Context, c *api.Call, in *kms.PutKeyPolicyInput) (*named, []api.Demand, error) {
	if err := onlyDefault(in.PolicyName); err != nil {
		return nil, nil, err
	}
	n, demands, err := s.on(ctx, c, "PutKeyPolicy", in.KeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Keys.Set("kms:BypassPolicyLockoutSafetyCheck", boolean(in.BypassPolicyLockoutSafetyCheck))
	return n, demands, nil
}

func (s *Service) putKeyPolicy(ctx context.Context, c *api.Call, in *kms.PutKeyPolicyInput, n *named) (api.Commit[kms.PutKeyPolicyOutput], error) {
	if in.Policy == "" {
		return nil, invalid("Policy must not be empty.")
	}
	doc, err := s.checked(in.Policy, c.Account)
	if err != nil {
		return nil, err
	}
	changed := *n
	changed.resource.Policy = doc
	if err := s.lockout(ctx, c, &changed, in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.PutKeyPolicyOutput, error) {
		return &kms.PutKeyPolicyOutput{}, n.set(tx, "policy", in.Policy)
	}, nil
}

func (s *Service) readPolicy(ctx context.Context, c *api.Call, in *kms.GetKeyPolicyInput) (*named, []api.Demand, error) {
	if err := onlyDefault(in.PolicyName); err != nil {
		return nil, nil, err
	}
	return s.on(ctx, c, "GetKeyPolicy", in.KeyId, ownKey)
}

func onlyDefault(name string) error {
	if name != "" && name != policyName {
		return fail("NotFoundException", "No such policy exists")
	}
	return nil
}

func (s *Service) getKeyPolicy(_ context.Context, _ *api.Call, _ *kms.GetKeyPolicyInput, n *named) (*kms.GetKeyPolicyOutput, error) {
	return &kms.GetKeyPolicyOutput{Policy: n.text, PolicyName: policyName}, nil
}

func (s *Service) listedPolicies(ctx context.Context, c *api.Call, in *kms.ListKeyPoliciesInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "ListKeyPolicies", in.KeyId, ownKey)
}

func (s *Service) listKeyPolicies(context.Context, *api.Call, *kms.ListKeyPoliciesInput, *named) (*kms.ListKeyPoliciesOutput, error) {
	no := false
	return &kms.ListKeyPoliciesOutput{PolicyNames: []string{policyName}, Truncated: &no}, nil
}
