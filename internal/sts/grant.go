package sts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/sts"
	"bawn.dev/internal/store"
)

const (
	defaultDuration = time.Hour
	minDuration     = 15 * time.Minute
	maxChained      = time.Hour // of a session that a session made
)

// A grant is a session that is about to be made, and what must be allowed for it.
type grant struct {
	resource api.Resource // a role or a federated user
	role     *api.Entity  // nil for a federated user, and for a role that is not there
	claim    api.Claim
	policies SessionPolicies
	actions  []string
	keys     policy.Context
	mfa      bool
	spend    func(*store.Tx) error // uses a one-time code up; nil where none was given
	until    time.Time             // what its provider sets for it; zero: nothing
}

// begin is a grant of a role's session. A role that is not there trusts nobody, and
// so is refused like one that does not trust the caller.
func begin(ctx context.Context, c *api.Call, action, name, session string) (*grant, error) {
	resource, entity, err := role(ctx, c, name)
	if err != nil {
		return nil, err
	}
	g := &grant{resource: resource, role: entity, actions: []string{action}, keys: policy.Context{}}
	g.claim = api.Claim{Kind: api.KindRole, Account: resource.Account}
	if entity != nil {
		g.claim.ID = entity.ID
	}
	g.name(session)
	return g, nil
}

// enter proves the bearer of something that a provider signed to be the caller.
func (g *grant) enter(ctx context.Context, c *api.Call, bearer api.Claim) error {
	bearer.Account, bearer.Provider, bearer.Issued = g.claim.Account, g.claim.Provider, c.Now
	err := c.Prove(ctx, bearer)
	if errors.Is(err, api.ErrGone) { // the account is closed
		return refused(g.resource.ARN)
	}
	return err
}

// name sets the session's name, which providers tell later than others do.
func (g *grant) name(session string) {
	g.claim.SessionName = session
	g.keys.Set("sts:RoleSessionName", session)
}

func (g *grant) demands() []api.Demand {
	var all []api.Demand
	for _, action := range g.actions {
		all = append(all, api.Demand{Action: action, Resource: g.resource, Keys: g.keys, MFA: g.mfa})
	}
	return all
}

// role finds a role as sts decides about it: its trust policy must allow.
func role(ctx context.Context, c *api.Call, name string) (api.Resource, *api.Entity, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || len(a.Account) != 12 || !strings.HasPrefix(a.Resource, "role/") {
		return api.Resource{}, nil, invalid("%s is invalid", name)
	}
	f, err := c.Resource(ctx, name)
	if err != nil {
		return api.Resource{}, nil, err
	}
	r := f.Resource
	r.RootOfTrust, r.Policy = true, nil
	if r.Missing != nil {
		r.Missing = refused(name)
		r.Policy, err = absent()
		return r, nil, err
	}
	e, ok := f.Detail.(*api.Entity)
	if !ok || e.Kind != api.KindRole {
		return api.Resource{}, nil, invalid("%s is invalid", name)
	}
	r.Policy = e.Trust
	return r, e, nil
}

// absent is the trust policy of roles that are not there. It trusts nobody who
// exists, so that the refusal reads like that of a role which is.
func absent() (*policy.Doc, error) {
	p, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"nobody.invalid"},"Action":"sts:AssumeRole"}]}`), policy.Trust)
	return &policy.Doc{Name: "trust policy of a role that is not there", Policy: p}, err
}

// identify sets the source identity: the one that the caller's session has, which
// cannot be changed, or else the one that is asked for.
func (g *grant) identify(inherited, asked string) error {
	if inherited != "" && asked != "" && inherited != asked {
		return denied("The source identity of a session cannot be changed.")
	}
	if asked == "" {
		asked = inherited
	}
	if asked != "" {
		g.claim.SourceIdentity = asked
		g.keys.Set("sts:SourceIdentity", asked)
		g.actions = append(g.actions, "sts:SetSourceIdentity")
	}
	return nil
}

// lifetime is how long a role's session lasts that asks for some seconds, or for
// none. It is told only to who may assume the role.
func (g *grant) lifetime(seconds *int32, now time.Time) (time.Duration, error) {
	duration := defaultDuration
	if seconds != nil {
		duration = time.Duration(*seconds) * time.Second
	}
	switch {
	case duration < minDuration:
		return 0, invalid("DurationSeconds must be at least 900.")
	case duration > g.role.MaxSession:
		return 0, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case g.claim.Chained && duration > maxChained:
		return 0, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	if left := g.until.Sub(now); !g.until.IsZero() && left < duration {
		duration = left
	}
	if duration < time.Second { // within what a provider's clock may differ
		return 0, fail("ExpiredTokenException", "The session at the identity provider is over.")
	}
	return duration, nil
}

// A made session is what its caller hears of it.
type made struct {
	credentials *shape.Credentials
	packed      *int32
}

// mint issues the credentials and notes them for the record.
func (s *Service) mint(c *api.Call, g *grant, duration time.Duration, madeBy string) (*made, error) {
	if slices.Contains(g.policies.Managed, "") {
		return nil, invalid("A policy that PolicyArns names does not exist.")
	}
	g.claim.Issued = c.Now.UTC().Truncate(time.Microsecond)
	g.claim.Expires = g.claim.Issued.Add(duration).Truncate(time.Second)
	issued, err := s.issue(g.claim, g.policies, madeBy)
	if err != nil {
		return nil, err
	}
	c.Note("accessKeyId", issued.AccessKeyID)
	c.Note("expiration", issued.Expiration.Format(time.RFC3339))
	if p := g.claim.Person; p != nil {
		c.Note("onBehalfOf", p.UserID)
	}
	m := &made{credentials: &shape.Credentials{
		AccessKeyId: issued.AccessKeyID, SecretAccessKey: issued.SecretAccessKey, SessionToken: issued.SessionToken, Expiration: issued.Expiration,
	}}
	if g.policies.any() || len(g.claim.Tags) > 0 {
		percent := int32(len(issued.SessionToken) * 100 / maxToken)
		m.packed = &percent
	}
	return m, nil
}

// assume makes a role's session.
func (s *Service) assume(c *api.Call, g *grant, seconds *int32) (*made, *shape.AssumedRoleUser, error) {
	duration, err := g.lifetime(seconds, c.Now)
	if err != nil {
		return nil, nil, err
	}
	m, err := s.mint(c, g, duration, "")
	if err != nil {
		return nil, nil, err
	}
	who := &shape.AssumedRoleUser{
		Arn:           "arn:aws:sts::" + g.role.Account + ":assumed-role/" + g.role.Name + "/" + g.claim.SessionName,
		AssumedRoleId: g.role.ID + ":" + g.claim.SessionName,
	}
	c.Note("assumedRoleUser", who.Arn)
	c.Note("assumedRoleId", who.AssumedRoleId)
	return m, who, nil
}
