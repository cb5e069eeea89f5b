package kms

import (
	"strings"

	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// Suppose is what a decision on a key would be made of, beside policies, if somebody
// asked for an action with an encryption context: the key's condition keys, and the
// grant that would allow it, or nil. It is for explanations, and knows not what a new
// grant would hold, nor which grant is to be retired.
func (s *Service) Suppose(sn *store.Snapshot, who policy.Principal, action, keyARN string, context map[string]string) (policy.Context, *policy.Grant, error) {
	keys := policy.Context{}
	_, id, _ := strings.Cut(keyARN, ":key/")
	k, err := s.get(sn, id)
	if err != nil || k == nil || k.arn != keyARN {
		return keys, nil, err
	}
	k.kind(keys)
	keys.Set("kms:ResourceAliases", k.aliases...)
	if len(context) > 0 {
		if err := setContext(keys, context); err != nil {
			return nil, nil, err
		}
	}
	op := kms.GrantOperation(strings.TrimPrefix(action, "kms:"))
	if op == kms.GrantOperationRetireGrant {
		return keys, nil, nil
	}
	g, err := allowing(sn, who, k, wanted{setOf(op), context, true})
	return keys, g, err
}
