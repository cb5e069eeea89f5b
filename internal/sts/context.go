package sts

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/sts"
)

const identityCenterARN = "arn:aws:iam::aws:contextProvider/IdentityCenter"

// person is who stands behind the new session: whoever stands behind the caller,
// and else the one whom a context of the identity centre names. Neither can be
// dropped, nor exchanged for another.
func (s *Service) person(ctx context.Context, c *api.Call, provided []shape.ProvidedContext, keys policy.Context) (*api.Person, error) {
	carried := c.Person()
	if len(provided) == 0 {
		return carried, nil
	}
	if len(provided) > 1 {
		return nil, invalid("Only one context can be provided.")
	}
	if s.cfg.Contexts == nil || provided[0].ProviderArn != identityCenterARN {
		return nil, invalid("The context provider %s is not supported.", provided[0].ProviderArn)
	}
	named, err := s.cfg.Contexts.Open(ctx, c.Snapshot, provided[0].ContextAssertion, c.Now)
	switch {
	case errors.Is(err, api.ErrExpired):
		return nil, fail("ExpiredTokenException", "The context assertion has expired.")
	case errors.Is(err, api.ErrGone), err == nil && (named == nil || named.UserID == ""):
		return nil, invalid("The context assertion is invalid.")
	case err != nil:
		return nil, err
	case carried != nil && (carried.UserID != named.UserID || carried.IdentityStoreARN != named.IdentityStoreARN):
		return nil, denied("The caller acts on behalf of one person and the provided context names another.")
	}
	keys.Set("sts:RequestContextProviders", identityCenterARN)
	if named.Audit {
		if carried != nil { // as whom she acts, and not only in records
			return carried, nil
		}
		return named, nil
	}
	for name, value := range map[string]string{
		"identitystore:UserId": named.UserID, "identitystore:IdentityStoreArn": named.IdentityStoreARN,
		"identitycenter:InstanceArn": named.InstanceARN, "identitycenter:ApplicationArn": named.ApplicationARN,
		"identitycenter:CredentialId": named.CredentialID,
	} {
		if value != "" {
			keys.Set("sts:RequestContext/"+name, value)
		}
	}
	return named, nil
}
