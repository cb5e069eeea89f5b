package sts

import (
	"context"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/sts"
)

// defaultUserDuration is how long the sessions of users last, federated or not. The
// wire sees to the 15 minutes and 36 hours that they may.
const defaultUserDuration = 12 * time.Hour

// keep refuses everybody but a user with a key that she keeps: a session does not
// make one that outlives it.
func keep(c *api.Call, operation string) error {
	claim := c.Claim()
	if claim.Kind != api.KindUser || claim.Temporary() || claim.AccessKeyID == "" {
		return denied("Cannot call " + operation + " with session credentials")
	}
	return nil
}

func userDuration(seconds *int32) time.Duration {
	if seconds == nil {
		return defaultUserDuration
	}
	return time.Duration(*seconds) * time.Second
}

// ownSession is anybody's who has a key. AWS has no permission for it, and lets
// policies deny it.
func (s *Service) ownSession(ctx context.Context, c *api.Call, in *shape.GetSessionTokenInput) (*grant, []api.Demand, error) {
	if err := keep(c, "GetSessionToken"); err != nil {
		return nil, nil, err
	}
	g := &grant{resource: api.Any}
	g.claim = api.Claim{Kind: api.KindUser, Account: c.Account, ID: c.Claim().ID}
	if err := s.prove(ctx, c, g, in.SerialNumber, in.TokenCode); err != nil {
		return nil, nil, err
	}
	if g.mfa {
		g.claim.MFA = c.Now.UTC().Truncate(time.Microsecond)
	}
	return g, []api.Demand{{Action: "sts:GetSessionToken", Resource: g.resource, MFA: g.mfa, Free: true}}, nil
}

func (s *Service) getSessionToken(_ context.Context, c *api.Call, in *shape.GetSessionTokenInput, g *grant) (api.Commit[shape.GetSessionTokenOutput], error) {
	m, err := s.mint(c, g, userDuration(in.DurationSeconds), c.Claim().AccessKeyID)
	if err != nil {
		return nil, err
	}
	return spending(g, &shape.GetSessionTokenOutput{Credentials: m.credentials}), nil
}

// federatedUser is somebody to whom a user lends some of her permissions under a
// name.
func (s *Service) federatedUser(ctx context.Context, c *api.Call, in *shape.GetFederationTokenInput) (*grant, []api.Demand, error) {
	if err := keep(c, "GetFederationToken"); err != nil {
		return nil, nil, err
	}
	g := &grant{actions: []string{"sts:GetFederationToken"}, keys: policy.Context{}}
	g.resource = api.Resource{ARN: "arn:aws:sts::" + c.Account + ":federated-user/" + in.Name, Account: c.Account, Type: "AWS::STS::FederatedUser"}
	g.claim = api.Claim{Kind: api.KindFederated, Account: c.Account, ID: c.Claim().ID, SessionName: in.Name}
	if err := g.tag(api.Claim{}, in.Tags, nil); err != nil {
		return nil, nil, err
	}
	if err := s.narrow(ctx, c, g, in.Policy, in.PolicyArns); err != nil {
		return nil, nil, err
	}
	return g, g.demands(), nil
}

func (s *Service) getFederationToken(_ context.Context, c *api.Call, in *shape.GetFederationTokenInput, g *grant) (*shape.GetFederationTokenOutput, error) {
	m, err := s.mint(c, g, userDuration(in.DurationSeconds), c.Claim().AccessKeyID)
	if err != nil {
		return nil, err
	}
	who := &shape.FederatedUser{Arn: g.resource.ARN, FederatedUserId: c.Account + ":" + in.Name}
	c.Note("federatedUser", who.Arn)
	return &shape.GetFederationTokenOutput{Credentials: m.credentials, FederatedUser: who, PackedPolicySize: m.packed}, nil
}
