package authz

import (
	"context"

	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// Explain decides as Decide does and tells how it came to that, refusals that no
// policy makes included. What it answers holds text of every policy that applies:
// it is for who may read them all.
func (a *Authorizer) Explain(ctx context.Context, sn *store.Snapshot, q *Question) (policy.Explanation, error) {
	in, err := a.Gather(ctx, sn, q)
	if err != nil {
		return policy.Explanation{}, err
	}
	x := policy.Explain(in)
	if d := x.Decision; q.Free && !d.Allowed && d.Doc == "" {
		x = policy.Explain(a.freely(in))
	}
	if q.beyond() {
		x.Decision = policy.Decision{}
		rule := &policy.PolicyTrace{Gate: policy.GateRequest, Doc: "what sessions of users may never ask for", Statements: []policy.StatementTrace{{
			Effect: "Deny", Matched: true, Why: "applies to " + q.Subject.Principal.ARN + ", whatever policies allow",
		}}}
		x.Policies = append([]*policy.PolicyTrace{rule}, x.Policies...)
	}
	return x, nil
}
