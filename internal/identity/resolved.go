package identity

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// A resolved application is one as sign-in sees it, but for the issuers, which change
// by themselves. Calls share it: nobody writes to it.
type resolved struct {
	resource api.Resource
	detail   api.Application
	jwt      *shape.JwtBearerGrant // nil when it is not granted
}

type resolvedKey struct {
	application string
	tags        int64 // their version
}

// resolveApplication lets sign-in see an application and the issuers that it
// trusts.
func (s *Service) resolveApplication(_ context.Context, sn *store.Snapshot, arn string) (*api.Foreign, error) {
	if !strings.Contains(arn, ":application/") {
		return nil, nil
	}
	versions, err := sn.Versions(applicationKey(arn), tagsKey(arn))
	if err != nil {
		return nil, err
	}
	key := resolvedKey{arn, versions[1]}
	k, ok := s.applications.Get(key, versions[0])
	if !ok {
		a, err := s.application(sn, arn)
		if err != nil {
			return nil, err
		}
		r, err := s.resource(sn, arn, a)
		if err != nil || a == nil {
			return &api.Foreign{Resource: r}, err
		}
		k = s.applications.Put(key, versions[0], a.resolved(r))
	}
	detail := k.detail
	if k.jwt != nil {
		if detail.Issuers, err = s.trusted(sn, k.jwt.AuthorizedTokenIssuers); err != nil {
			return nil, err
		}
	}
	return &api.Foreign{Resource: k.resource, Detail: &detail}, nil
}

func (a *application) resolved(r api.Resource) *resolved {
	k := &resolved{resource: r, detail: api.Application{
		ARN: r.ARN, Name: a.Shown.Name, InstanceARN: a.Shown.InstanceArn, IdentityStoreARN: a.Shown.IdentityStoreArn,
		Enabled: a.Shown.Status == shape.ApplicationStatusEnabled, AssignmentRequired: a.AssignmentRequired,
		IAM: a.ActorPolicy != "", Scopes: a.Scopes, RefreshToken: a.Grants[shape.GrantTypeRefreshToken] != nil,
		TokenExchange: a.Grants[shape.GrantTypeUrnIetfParamsOauthGrantTypeTokenExchange] != nil, Background: a.Background,
	}}
	if g := a.Grants[shape.GrantTypeAuthorizationCode]; g != nil {
		k.detail.RedirectURIs = g.AuthorizationCode.RedirectUris
	}
	if g := a.Grants[shape.GrantTypeUrnIetfParamsOauthGrantTypeJwtBearer]; g != nil {
		k.jwt = g.JwtBearer
	}
	return k
}

// trusted are the issuers of a grant that were not deleted since.
func (s *Service) trusted(sn *store.Snapshot, granted []shape.AuthorizedTokenIssuer) ([]api.TrustedIssuer, error) {
	keys := make([]string, len(granted))
	for i, t := range granted {
		keys[i] = issuerKey(t.TrustedTokenIssuerArn)
	}
	versions, err := sn.Versions(keys...)
	if err != nil {
		return nil, err
	}
	var all []api.TrustedIssuer
	for i, t := range granted {
		arn := t.TrustedTokenIssuerArn
		oidc, ok := s.issuers.Get(arn, versions[i])
		if !ok {
			found, err := s.issuer(sn, arn)
			if err != nil {
				return nil, err
			}
			if found == nil {
				continue
			}
			oidc = s.issuers.Put(arn, versions[i], found.TrustedTokenIssuerConfiguration.OidcJwtConfiguration)
		}
		all = append(all, api.TrustedIssuer{
			ARN: arn, URL: oidc.IssuerUrl, Audiences: t.AuthorizedAudiences, ClaimPath: oidc.ClaimAttributePath, IdentityStorePath: oidc.IdentityStoreAttributePath,
		})
	}
	return all, nil
}
