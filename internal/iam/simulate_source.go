package iam

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
)

// A source is whose policies are simulated. The zero source has none: a simulation
// of custom policies.
type source struct {
	kind   kind
	entity *api.Entity // a user or role
	group  []policy.Doc
}

func (f *source) policies() []policy.Doc {
	if f.entity != nil {
		return f.entity.Policies
	}
	return f.group
}

func (f *source) boundary() *policy.Doc {
	if f.entity != nil {
		return f.entity.Boundary
	}
	return nil
}

// user is the source as a caller, if it is one who can be named by CallerArn.
func (f *source) user() *api.Entity {
	if f.entity != nil && f.entity.Kind == api.KindUser {
		return f.entity
	}
	return nil
}

// source demands an action on the user, group or role of the caller's account whose
// policies are asked for. Those of another account are as if they were not there.
func (s *Service) source(ctx context.Context, c *api.Call, name, action string) (*source, []api.Demand, error) {
	k, account, last := namedSource(name)
	if k == "" {
		return nil, nil, unclear(name)
	}
	var row *entity
	var err error
	if account == c.Account {
		if row, err = named(c.Snapshot, k, account, last); err != nil {
			return nil, nil, err
		}
	}
	if row == nil || row.arn() != name {
		return nil, api.On(action, api.Resource{ARN: name, Account: c.Account, Type: "AWS::IAM::" + string(k), Missing: noSuch(k, last)}), nil
	}
	from := &source{kind: k}
	if k == group {
		from.group, err = s.policiesOf(c.Snapshot, row)
	} else {
		from.entity, err = s.Principal(ctx, c.Snapshot, row.id)
	}
	return from, []api.Demand{row.demand(action)}, err
}

// namedSource takes the ARN of a user, group or role apart.
func namedSource(name string) (k kind, account, last string) {
	a, err := arn.Parse(name)
	what, path, _ := strings.Cut(a.Resource, "/")
	last = path[strings.LastIndex(path, "/")+1:]
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || last == "" {
		return "", "", ""
	}
	for _, k := range []kind{user, group, role} {
		if what == k.noun() {
			return k, a.Account, last
		}
	}
	return "", "", ""
}
