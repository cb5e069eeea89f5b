package sts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/oidc"
	shape "bawn.dev/internal/shape/sts"
)

// webGrant is a grant to the bearer of an OpenID token.
type webGrant struct {
	*grant
	provider, audience, subject string
}

// webIdentity believes the token before it says anything about the role: who has
// none that is good learns only whether the account has registered its issuer, as
// with AWS.
func (s *Service) webIdentity(ctx context.Context, c *api.Call, in *shape.AssumeRoleWithWebIdentityInput) (*webGrant, []api.Demand, error) {
	g, err := begin(ctx, c, "sts:AssumeRoleWithWebIdentity", in.RoleArn, in.RoleSessionName)
	if err != nil {
		return nil, nil, err
	}
	if in.ProviderId != "" {
		return nil, nil, invalid("ProviderId is for OAuth 2.0 access tokens, which are not supported. Leave it out with an OpenID Connect ID token.")
	}
	told, err := oidc.Parse(in.WebIdentityToken)
	if err != nil {
		return nil, nil, badToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	provider, err := s.issuer(ctx, c, g.claim.Account, told.Issuer)
	if err != nil {
		return nil, nil, err
	}
	token, err := s.signed(ctx, c, told)
	if err != nil {
		return nil, nil, err
	}
	w := &webGrant{grant: g, provider: provider.ARN, subject: token.Subject}
	if w.audience, err = audience(token, provider.ClientIDs); err != nil {
		return nil, nil, err
	}
	if err := current(token, c.Now); err != nil {
		return nil, nil, err
	}
	issuer := strings.TrimPrefix(told.Issuer, "https://")
	g.claim.Provider, g.claim.Vouched = provider.ARN, vouchedBy(issuer, token)
	if err := g.enter(ctx, c, api.Claim{Kind: api.KindWebIdentity, ID: token.Subject, Vouched: s.asked(issuer, token, g.claim.Vouched)}); err != nil {
		return nil, nil, err
	}
	if err := g.claimed(token.Claims); err != nil {
		return nil, nil, err
	}
	if err := s.narrow(ctx, c, g, in.Policy, in.PolicyArns); err != nil {
		return nil, nil, err
	}
	return w, g.demands(), nil
}

// issuer is the provider that an account registered for an issuer, letter by letter.
func (s *Service) issuer(ctx context.Context, c *api.Call, account, url string) (*api.OIDCProvider, error) {
	if len(url) > maxSubject {
		url = ""
	}
	unknown := badToken("No OpenIDConnect provider found in your account for " + url)
	name, ok := strings.CutPrefix(url, "https://")
	host, _, _ := strings.Cut(name, "/")
	if s.cfg.Issuers == nil || !ok || !strings.Contains(host, ".") || strings.ContainsAny(name, "@?# ") {
		return nil, unknown
	}
	f, err := c.Resource(ctx, "arn:aws:iam::"+account+":oidc-provider/"+name)
	if _, ok := errors.AsType[*api.Error](err); ok { // no name of a provider
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	p, ok := f.Detail.(*api.OIDCProvider)
	if f.Missing != nil || !ok || p.URL != url {
		return nil, unknown
	}
	return p, nil
}

// signed verifies a token with the keys of its issuer.
func (s *Service) signed(ctx context.Context, c *api.Call, told *oidc.Unverified) (*oidc.Token, error) {
	token, err := s.cfg.Issuers.Verify(ctx, told, c.Release)
	switch {
	case err == nil, errors.Is(err, api.ErrAgain):
		return token, err
	case errors.Is(err, oidc.ErrNoKey):
		return nil, badToken("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	case errors.Is(err, oidc.ErrAlgorithm), errors.Is(err, oidc.ErrSignature), errors.Is(err, oidc.ErrClaims):
		return nil, badToken("The web identity token provided could not be validated: " + err.Error())
	}
	s.cfg.Trouble(fmt.Errorf("the keys of %s: %w", told.Issuer, err)) // what the network answered is not for the bearer
	return nil, fail("IDPCommunicationError", "Could not communicate with the identity provider, or it does not answer as OpenID Connect Discovery wants. Please try again.")
}

func (s *Service) assumeRoleWithWebIdentity(_ context.Context, c *api.Call, in *shape.AssumeRoleWithWebIdentityInput, w *webGrant) (*shape.AssumeRoleWithWebIdentityOutput, error) {
	m, who, err := s.assume(c, w.grant, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	return &shape.AssumeRoleWithWebIdentityOutput{
		AssumedRoleUser: who, Audience: w.audience, Credentials: m.credentials, PackedPolicySize: m.packed,
		Provider: w.provider, SourceIdentity: w.claim.SourceIdentity, SubjectFromWebIdentityToken: w.subject,
	}, nil
}
