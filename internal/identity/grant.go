package identity

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// checkGrant refuses a grant that is not of its type, or whose parts cannot be meant.
func (s *Service) checkGrant(q store.Querier, kind shape.GrantType, g *shape.Grant) error {
	given := []bool{g.AuthorizationCode != nil, g.RefreshToken != nil, g.JwtBearer != nil, g.TokenExchange != nil}
	kinds := []shape.GrantType{shape.GrantTypeAuthorizationCode, shape.GrantTypeRefreshToken,
		shape.GrantTypeUrnIetfParamsOauthGrantTypeJwtBearer, shape.GrantTypeUrnIetfParamsOauthGrantTypeTokenExchange}
	for i, there := range given {
		if there != (kinds[i] == kind) {
			return invalid("Grant must hold what belongs to the grant type %s, and nothing else.", kind)
		}
	}
	switch {
	case g.AuthorizationCode != nil:
		if len(g.AuthorizationCode.RedirectUris) == 0 {
			return invalid("AuthorizationCode needs at least one of RedirectUris.")
		}
		for _, uri := range g.AuthorizationCode.RedirectUris {
			if !redirect(uri) {
				return invalid("RedirectUris: %q is neither https nor http on a loopback address, or has a fragment.", uri)
			}
		}
	case g.JwtBearer != nil:
		for _, t := range g.JwtBearer.AuthorizedTokenIssuers {
			if len(t.AuthorizedAudiences) == 0 {
				return invalid("An authorized token issuer needs at least one audience.")
			}
			if known, err := s.issuer(q, t.TrustedTokenIssuerArn); err != nil || known == nil {
				return errors.Join(err, notFound("Trusted token issuer %s does not exist.", t.TrustedTokenIssuerArn))
			}
		}
	}
	return nil
}

// redirect says whether codes may be sent to an address: over TLS, or to the machine
// that asks.
func redirect(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || strings.Contains(uri, "#") {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())
}

func (s *Service) putGrant(_ context.Context, c *api.Call, in *shape.PutApplicationGrantInput, _ *application) (api.Commit[shape.PutApplicationGrantOutput], error) {
	if in.Grant == nil {
		return nil, invalid("Grant is required.")
	}
	if err := s.checkGrant(c.Snapshot, in.GrantType, in.Grant); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.PutApplicationGrantOutput, error) {
		return &shape.PutApplicationGrantOutput{}, s.change(tx, in.ApplicationArn, func(a *application) error {
			a.Grants[in.GrantType] = in.Grant
			return nil
		})
	}, nil
}

func noGrant(kind shape.GrantType) *api.Error {
	return notFound("The application has no grant of type %s.", kind)
}

func (s *Service) getGrant(_ context.Context, _ *api.Call, in *shape.GetApplicationGrantInput, a *application) (*shape.GetApplicationGrantOutput, error) {
	g := a.Grants[in.GrantType]
	if g == nil {
		return nil, noGrant(in.GrantType)
	}
	return &shape.GetApplicationGrantOutput{Grant: g}, nil
}

func (s *Service) deleteGrant(_ context.Context, _ *api.Call, in *shape.DeleteApplicationGrantInput, _ *application) (api.Commit[shape.DeleteApplicationGrantOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteApplicationGrantOutput, error) {
		return &shape.DeleteApplicationGrantOutput{}, s.change(tx, in.ApplicationArn, func(a *application) error {
			if a.Grants[in.GrantType] == nil {
				return noGrant(in.GrantType)
			}
			delete(a.Grants, in.GrantType)
			return nil
		})
	}, nil
}

// listGrants shows all: there are four types.
func (s *Service) listGrants(_ context.Context, _ *api.Call, _ *shape.ListApplicationGrantsInput, a *application) (*shape.ListApplicationGrantsOutput, error) {
	out := &shape.ListApplicationGrantsOutput{Grants: []shape.GrantItem{}}
	for kind, g := range a.Grants {
		out.Grants = append(out.Grants, shape.GrantItem{Grant: g, GrantType: kind})
	}
	slices.SortFunc(out.Grants, func(a, b shape.GrantItem) int { return strings.Compare(string(a.GrantType), string(b.GrantType)) })
	return out, nil
}
