package kms

import (
	"context"
	"maps"
	"slices"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
)

// ready says why a key that exists and may be used cannot be.
func (k *key) ready(now time.Time) error {
	if state := k.state(now); state == kms.KeyStateDisabled {
		return fail("DisabledException", "%s is disabled.", k.arn)
	}
	return k.changeable(now)
}

// takes says whether a key is for an operation, which is one of usage, and knows the
// algorithm that the request names.
func takes[A ~string](k *key, action string, usage kms.KeyUsageType, algorithms []A, asked A) error {
	if k.usage != usage {
		return fail("InvalidKeyUsageException", "%s key usage is %s which is not valid for %s.", k.arn, k.usage, action)
	}
	if !slices.Contains(algorithms, asked) {
		return fail("InvalidKeyUsageException", "Algorithm %s is incompatible with key spec %s.", asked, k.spec)
	}
	return nil
}

// dry ends a call that asks only whether it would succeed, when it would have.
func dry(asked *bool) error {
	if asked == nil || !*asked {
		return nil
	}
	return &api.Error{Code: "DryRunOperationException", Status: 412, Message: "The request would have succeeded, but the DryRun option is set."}
}

// A use is what an operation wants of a key that grants can allow.
type use struct {
	action  string // and the grant's operation
	key     string // as the request names it
	keys    policy.Context
	context map[string]string // encryption context
	tokens  []string          // of grants
}

// using finds the key of an operation and states the demand.
func (s *Service) using(ctx context.Context, c *api.Call, u use) (*named, []api.Demand, error) {
	n, err := s.find(ctx, c, u.key, anyOrAlias)
	if err != nil {
		return nil, nil, err
	}
	demand, err := s.wants(c, n, u)
	if err != nil {
		return nil, nil, err
	}
	return n, []api.Demand{demand}, nil
}

// wants states the demand of a use of a key.
func (s *Service) wants(c *api.Call, n *named, u use) (api.Demand, error) {
	demand := s.demand(c, u.action, n)
	maps.Copy(demand.Keys, u.keys)
	err := s.sound(c, demand.Keys, u.context, u.tokens)
	if err == nil {
		demand.Grant, err = granted(c, n, u)
	}
	return demand, err
}

// sound judges what a request says beside its key: an encryption context, whose
// condition keys it adds, and tokens, which must be of grants.
func (s *Service) sound(c *api.Call, keys policy.Context, context map[string]string, tokens []string) error {
	if err := setContext(keys, context); err != nil {
		return err
	}
	return s.checkTokens(c.Snapshot, tokens)
}

// condition is a request's one condition key.
func condition[V ~string](name string, value V) policy.Context {
	keys := policy.Context{}
	keys.Set(name, string(value))
	return keys
}
