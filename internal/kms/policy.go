package kms

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/bearer"
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

// check judges what a customer puts.
func (s *Service) check(text string) error {
	p, err := policy.Parse([]byte(text), policy.Resource)
	if err != nil {
		return malformed(err)
	}
	if s.Catalogue == nil {
		return nil
	}
	if found := policy.Validate(p, s.Catalogue); len(found) > 0 {
		return fail("MalformedPolicyDocumentException", "%s", found[0].Message)
	}
	return nil
}

// bind answers a policy that check accepts, as it is meant.
func bind(ctx context.Context, c *api.Call, text string) (*policy.Doc, policy.Bindings, error) {
	bindings, err := policy.Bind(text, bearer.In(ctx, c))
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return nil, nil, fail("MalformedPolicyDocumentException", "%s", e.Message)
	}
	if err != nil {
		return nil, nil, err
	}
	p, err := bindings.Parse(text, policy.Resource)
	return &policy.Doc{Name: "key policy", Policy: p}, bindings, err
}

// delegation stands in for the policy of a key that does not exist.
func delegation(account string) *policy.Doc {
	p, err := policy.Parse([]byte(defaultPolicy(account)), policy.Resource)
	if err != nil {
		return nil // and so nobody may know
	}
	return &policy.Doc{Name: "key policy", Policy: p}
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
	if err := s.check(in.Policy); err != nil {
		return nil, err
	}
	doc, bindings, err := bind(ctx, c, in.Policy)
	if err != nil {
		return nil, err
	}
	changed := *n
	changed.resource.Policy = doc
	if err := s.lockout(ctx, c, &changed, in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.PutKeyPolicyOutput, error) {
		if err := n.set(tx, "bindings", bindings.Text()); err != nil {
			return nil, err
		}
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

func (s *Service) getKeyPolicy(ctx context.Context, c *api.Call, _ *kms.GetKeyPolicyInput, n *named) (*kms.GetKeyPolicyOutput, error) {
	shown, err := n.bindings.Shown(n.text, bearer.In(ctx, c))
	return &kms.GetKeyPolicyOutput{Policy: shown, PolicyName: policyName}, err
}

func (s *Service) listedPolicies(ctx context.Context, c *api.Call, in *kms.ListKeyPoliciesInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "ListKeyPolicies", in.KeyId, ownKey)
}

func (s *Service) listKeyPolicies(context.Context, *api.Call, *kms.ListKeyPoliciesInput, *named) (*kms.ListKeyPoliciesOutput, error) {
	no := false
	return &kms.ListKeyPoliciesOutput{PolicyNames: []string{policyName}, Truncated: &no}, nil
}
