package signin

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

// personClaims are what scopes let an application know of a person, as she is now. Her
// address is the directory's, which its administrators answer for.
func (s *Service) personClaims(c *api.Call, userID string, scopes []string) (map[string]any, error) {
	who, email, err := s.holder(c.Snapshot, userID)
	if errors.Is(err, api.ErrGone) {
		return nil, gone()
	}
	if err != nil {
		return nil, err
	}
	claims := map[string]any{"sub": userID}
	if slices.Contains(scopes, "profile") {
		claims["preferred_username"], claims["name"] = who.name, who.display
	}
	if slices.Contains(scopes, "email") && email != "" {
		claims["email"], claims["email_verified"] = email, true
	}
	if slices.Contains(scopes, "groups") {
		groups, err := s.groups(c.Snapshot, userID)
		if err != nil {
			return nil, err
		}
		names := []string{}
		for _, g := range groups {
			names = append(names, g.Name)
		}
		claims["groups"] = names
	}
	return claims, nil
}

// A bearing is who stands behind an access token.
type bearing struct {
	session *Session
	scopes  []string
}

// bearing proves a person by a token that an application has of her. It ends with her
// sign-in, with the application, and with her place in its groups.
func (s *Service) bearing(ctx context.Context, c *api.Call, in *shape.DescribeBearerInput) (*bearing, []api.Demand, error) {
	var b bearerToken
	if unseal(bearerSealing, s.Key, in.AccessToken, nil, &b) != nil || c.Now.After(b.Expires) {
		return nil, nil, gone()
	}
	f, err := familyOf(c.Snapshot, b.Family)
	if err != nil {
		return nil, nil, err
	}
	if f == nil {
		return nil, nil, gone()
	}
	a, _, err := application(c.Snapshot, f.application)
	if err != nil {
		return nil, nil, err
	}
	session, err := s.byID(ctx, c.Snapshot, f.session, c.Now)
	if errors.Is(err, api.ErrGone) || err == nil && a == nil {
		return nil, nil, gone()
	}
	if err != nil {
		return nil, nil, err
	}
	groups, err := s.groups(c.Snapshot, session.UserID)
	if err != nil {
		return nil, nil, err
	}
	if !a.welcomes(groups) {
		return nil, nil, gone()
	}
	c.Note("application", a.ID)
	return &bearing{session, b.Scopes}, nil, s.prove(ctx, c, session)
}

func (s *Service) describeBearer(_ context.Context, c *api.Call, _ *shape.DescribeBearerInput, b *bearing) (*shape.DescribeBearerOutput, error) {
	claims, err := s.personClaims(c, b.session.UserID, b.scopes)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(claims, json.Deterministic(true))
	return &shape.DescribeBearerOutput{Claims: string(raw)}, err
}

// A parting is an application's wish that a browser's sign-in end.
type parting struct {
	session *Session // nil: none ends
	to      string
}

// leavingApplication takes the word of an id token that was made for the very sign-in
// of the browser. Without one nothing ends: a link elsewhere must sign nobody out.
func (s *Service) leavingApplication(ctx context.Context, c *api.Call, in *shape.EndApplicationSessionInput) (*parting, []api.Demand, error) {
	if err := s.checkIssuer(in.Issuer); err != nil {
		return nil, nil, err
	}
	var hint struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Session  string `json:"sid"`
	}
	keys, err := signingKeys(c.Snapshot)
	if err != nil {
		return nil, nil, err
	}
	told := in.IdTokenHint != ""
	if told && (!ours(keys, in.IdTokenHint, &hint) || hint.Issuer != in.Issuer || in.ClientId != "" && in.ClientId != hint.Audience) {
		return nil, nil, fail("ValidationException", "The id token is none of this server's.")
	}
	p := &parting{}
	if in.PostLogoutRedirectUri != "" {
		a, _, err := application(c.Snapshot, hint.Audience)
		if err != nil {
			return nil, nil, err
		}
		if a == nil || !slices.Contains(a.SignedOut, in.PostLogoutRedirectUri) {
			return nil, nil, fail("ValidationException", "The address to which you would be sent back is not registered.")
		}
		p.to = in.PostLogoutRedirectUri
		if in.State != "" {
			sep := "?"
			if strings.Contains(p.to, "?") {
				sep = "&"
			}
			p.to += sep + url.Values{"state": {in.State}}.Encode()
		}
	}
	if in.Session == "" || !told {
		return p, nil, nil
	}
	session, err := s.bySecret(ctx, c.Snapshot, in.Session, c.Now)
	if errors.Is(err, api.ErrGone) || err == nil && session.ID != hint.Session {
		return p, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	p.session = session
	return p, nil, s.prove(ctx, c, session)
}

func (s *Service) endApplicationSession(_ context.Context, _ *api.Call, _ *shape.EndApplicationSessionInput, p *parting) (api.Commit[shape.EndApplicationSessionOutput], error) {
	ended := p.session != nil
	out := &shape.EndApplicationSessionOutput{RedirectTo: p.to, Ended: &ended}
	return func(tx *store.Tx) (*shape.EndApplicationSessionOutput, error) {
		if !ended {
			return out, nil
		}
		return out, end(tx, p.session.UserID, p.session.ID)
	}, nil
}
