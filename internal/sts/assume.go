package sts

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/sts"
	"bawn.dev/internal/store"
)

// assumedRole finds the role and demands all that the request amounts to.
func (s *Service) assumedRole(ctx context.Context, c *api.Call, in *shape.AssumeRoleInput) (*grant, []api.Demand, error) {
	g, err := begin(ctx, c, "sts:AssumeRole", in.RoleArn, in.RoleSessionName)
	if err != nil {
		return nil, nil, err
	}
	g.claim.Chained = c.Claim().Kind == api.KindRole
	if in.ExternalId != "" {
		g.keys.Set("sts:ExternalId", in.ExternalId)
	}
	if err := g.tag(c.Claim(), in.Tags, in.TransitiveTagKeys); err != nil {
		return nil, nil, err
	}
	if err := g.identify(c.Claim().SourceIdentity, in.SourceIdentity); err != nil {
		return nil, nil, err
	}
	if g.claim.Person, err = s.person(ctx, c, in.ProvidedContexts, g.keys); err != nil {
		return nil, nil, err
	}
	// Who assumes one role after the other stays named in the record; a job's session the
	// job's. No policy knows of it: for that, the context must be given again.
	if p := c.Claim().Person; p != nil && g.claim.Person == nil {
		behind := *p
		behind.Audit = true
		g.claim.Person = &behind
	}
	g.claim.Workload, g.claim.WorkloadType = c.Claim().Workload, c.Claim().WorkloadType
	if len(in.ProvidedContexts) > 0 {
		g.actions = append(g.actions, "sts:SetContext")
	}
	if err := s.narrow(ctx, c, g, in.Policy, in.PolicyArns); err != nil {
		return nil, nil, err
	}
	if err := s.prove(ctx, c, g, in.SerialNumber, in.TokenCode); err != nil {
		return nil, nil, err
	}
	return g, g.demands(), nil
}

// prove checks the one-time code of a user, if the request has one. It is checked
// before anything is decided, since the decision depends on it; whose device it
// would be only that user can try.
func (s *Service) prove(ctx context.Context, c *api.Call, g *grant, serial, code string) error {
	if serial == "" && code == "" {
		return nil
	}
	if serial == "" || code == "" {
		return denied("MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
	}
	if c.Claim().Kind != api.KindUser || s.cfg.MFA == nil {
		return denied("MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
	}
	var err error
	g.spend, err = s.cfg.MFA.CheckMFA(ctx, c.Snapshot, c.Claim().ID, serial, code, c.Now)
	g.mfa = err == nil
	return err
}

// assumeRole commits nothing but that a one-time code was used.
func (s *Service) assumeRole(_ context.Context, c *api.Call, in *shape.AssumeRoleInput, g *grant) (api.Commit[shape.AssumeRoleOutput], error) {
	m, who, err := s.assume(c, g, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	out := &shape.AssumeRoleOutput{
		AssumedRoleUser: who, SourceIdentity: g.claim.SourceIdentity, Credentials: m.credentials, PackedPolicySize: m.packed,
	}
	return spending(g, out), nil
}

// spending answers out once the grant's one-time code is used up.
func spending[Out any](g *grant, out *Out) api.Commit[Out] {
	return func(tx *store.Tx) (*Out, error) {
		if g.spend != nil {
			if err := g.spend(tx); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}
