package api

import (
	"context"
	"errors"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// Suppose answers what a decision would be made of if a user or role of the caller's
// account asked for an action by itself, from no particular place: for simulations.
// Nothing is decided, and nothing of other accounts is in the answer.
func (c *Call) Suppose(ctx context.Context, e *Entity, action, resource string) (*policy.Input, error) {
	claim := Claim{Kind: e.Kind, Account: c.Account, ID: e.ID, Issued: c.Now}
	if e.Kind == KindRole {
		claim.SessionName = "simulation"
	}
	s, err := c.door.Authorizer.Subject(ctx, c.Snapshot, claim)
	if err != nil {
		return nil, err
	}
	return c.door.Authorizer.Gather(ctx, c.Snapshot, &authz.Question{
		Subject: s, Action: action, Target: authz.Target{ARN: resource, Account: c.Account}, Region: c.Region, Now: c.Now,
	})
}

// Resource finds a resource of any service by ARN, as Call.Resource does, for who
// explains decisions. Where no service owns such a name it answers nil.
func (d *Door) Resource(ctx context.Context, sn *store.Snapshot, name string) (*Foreign, error) {
	f, err := d.foreign(ctx, sn, name)
	if _, unknown := errors.AsType[*Error](err); unknown {
		return nil, nil
	}
	return f, err
}
