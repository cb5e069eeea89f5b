package apitest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape"
	"bawn.dev/internal/store"
)

// Role makes a role with identity policies, and answers its session "session".
func (r *Rig) Role(t testing.TB, account, name string, policies ...string) *Caller {
	t.Helper()
	c := r.User(t, account, name, policies...)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, c.AccessKeyID)
	delete(r.entities, c.Entity.ID)
	e := c.Entity
	e.Kind, e.ID = api.KindRole, fmt.Sprintf("AROATEST%012d", r.next)
	e.ARN = "arn:aws:iam::" + account + ":role/team/" + name
	r.entities[e.ID] = e
	c.Claim = &api.Claim{
		Kind: api.KindRole, Account: account, ID: e.ID, SessionName: "session", Issued: time.Now(), Expires: time.Now().Add(time.Hour),
	}
	return c
}

// SessionARN is the session that c is.
func (c *Caller) SessionARN() string {
	return "arn:aws:sts::" + c.Entity.Account + ":assumed-role/" + c.Entity.Name + "/" + c.Claim.SessionName
}

// Remove makes a user or role unknown from now on. Another of its name is another.
func (r *Rig) Remove(c *Caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.entities, c.Entity.ID)
}

// principals is what a rig has of IAM where IAM itself is not there: its users and
// roles are found by ARN.
func (r *Rig) principals() *api.Service {
	return &api.Service{Model: &shape.Service{Name: "principals of a rig", SigningName: "iam", Protocol: shape.Query}, Prefix: "iam", Resolver: r.resolve}
}

func (r *Rig) resolve(_ context.Context, _ *store.Snapshot, name string) (*api.Foreign, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entities {
		if e.ARN == name || e.Kind == api.KindRole && name == "arn:aws:iam::"+e.Account+":assumed-role/"+e.Name {
			return &api.Foreign{Resource: api.Resource{ARN: e.ARN, Account: e.Account, Type: "AWS::IAM::" + string(e.Kind)}, Detail: e}, nil
		}
	}
	missing := &api.Error{Code: "NoSuchEntity", Status: 404, Message: "there is no " + name[strings.LastIndexByte(name, '/')+1:]}
	return &api.Foreign{Resource: api.Resource{ARN: name, Missing: missing}}, nil
}
