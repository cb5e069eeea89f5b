package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bawn.dev/internal/authz"
)

// authorize resolves what a call is about and decides every demand. The answer to
// "there is no such thing" is given only after every demand was allowed.
func (d *Door) authorize(ctx context.Context, c *Call) (any, error) {
	c.touched = c.touched[:0]
	delete(c.notes, noteGrants)
	resource, demands, err := c.op.resolve(ctx, c, c.in)
	if err != nil {
		return nil, err
	}
	if c.op.undeniable != "" {
		return resource, nil
	}
	if c.subject == nil {
		return nil, fmt.Errorf("api: %s has not proved its caller", c)
	}
	if len(demands) == 0 && (!c.op.each || len(c.touched) == 0) {
		return nil, fmt.Errorf("api: %s demands nothing", c)
	}
	var missing *Error
	for _, demand := range demands {
		err := d.decide(ctx, c, demand)
		var e *Error
		if errors.As(err, &e) && e == demand.Resource.Missing {
			missing = e
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	if missing != nil {
		return nil, missing
	}
	return resource, nil
}

// decide answers nil, the resource's Missing, a refusal, or an error of ours.
func (d *Door) decide(ctx context.Context, c *Call, demand Demand) error {
	if c.op == nil {
		return fmt.Errorf("api: %s is asked for outside an operation", demand.Action)
	}
	if !slices.Contains(c.op.actions, demand.Action) {
		return fmt.Errorf("api: %s demands %s, which it did not declare", c, demand.Action)
	}
	r := demand.Resource
	if r.ARN != "*" && !slices.ContainsFunc(c.touched, func(t Resource) bool { return t.ARN == r.ARN }) {
		c.touched = append(c.touched, r)
	}
	q := &authz.Question{
		Subject: c.subject,
		Action:  demand.Action,
		Target: authz.Target{
			ARN: r.ARN, Account: r.Account, Policy: r.Policy, RootOfTrust: r.RootOfTrust, AWSManaged: r.AWSManaged, Tags: r.Tags,
		},
		Keys:      demand.Keys,
		Grant:     demand.Grant,
		Free:      demand.Free,
		MFA:       demand.MFA,
		Aside:     !strings.HasPrefix(demand.Action, c.service.Prefix+":"),
		Origin:    c.origin,
		Via:       c.via,
		Region:    c.Region,
		Now:       c.Now,
		UserAgent: c.agent,
	}
	decision, err := d.Authorizer.Decide(ctx, c.Snapshot, q)
	if err != nil {
		return err
	}
	if !decision.Allowed {
		name := cmp.Or(r.Called, r.ARN)
		refusal := denied(decision.Reason(demand.Action, name, c.subject.Principal.ARN))
		if d.encodes(c.service) {
			sealed, err := d.encoded(ctx, c, q, name, decision)
			if err != nil {
				return err
			}
			refusal.Message += encodedAfter + sealed
		}
		return refusal
	}
	if decision.Grant != "" {
		c.noteGrant(decision.Grant)
	}
	if r.Missing != nil {
		return r.Missing
	}
	return nil
}

// noteGrants is where the record names the grants of keys that the call rested on.
const noteGrants = "grantIds"

func (c *Call) noteGrant(id string) {
	ids, _ := c.notes[noteGrants].([]string)
	if !slices.Contains(ids, id) {
		c.Note(noteGrants, append(ids, id))
	}
}
