// Package bearer finds, for services that keep policies, whom the principals of a
// policy mean.
//
// It trusts IAM's resolver. Whoever may put a policy learns by it whether the users
// and roles that the policy names exist, in any account, as in AWS; he cannot make
// a policy mean anybody but the bearer of the name at that moment.
package bearer

import (
	"context"
	"errors"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
)

// In looks names up on the call's snapshot, which then depends on them.
func In(ctx context.Context, c *api.Call) policy.Bearer {
	return func(principal string) (string, error) {
		a, err := arn.Parse(principal)
		if err != nil {
			return principal, nil // an id means its bearer, and never another, whether or not there is one
		}
		if a.Service == "sts" {
			name, _, _ := strings.Cut(strings.TrimPrefix(a.Resource, "assumed-role/"), "/")
			a.Service, a.Resource = "iam", "assumed-role/"+name
		}
		f, err := c.Resource(ctx, a.String())
		if _, refused := errors.AsType[*api.Error](err); refused {
			return "", policy.ErrNoBearer
		}
		if err != nil {
			return "", err
		}
		e, ok := f.Detail.(*api.Entity)
		if f.Missing != nil || !ok {
			return "", policy.ErrNoBearer
		}
		return e.ID, nil
	}
}
