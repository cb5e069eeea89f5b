package signin

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
)

// A sealed identity context: who stands behind an AssumeRole call. It says for
// what it was made, so that one thing of this room cannot be used as another.
type sealedContext struct {
	Person  api.Person
	Expires time.Time
}

const (
	contextAAD = "bawn signin identity context v1"
	accessAAD  = "bawn signin access token v1"
	maxContext = 4096
)

// tokens is what an exchange answers.
func (s *Service) tokens(p *api.Person, issuer *api.TrustedIssuer, scopes []string, now time.Time) (*shape.CreateTokenWithIAMOutput, error) {
	expires := now.Add(tokenLife)
	raw, err := json.Marshal(sealedContext{*p, expires})
	if err != nil {
		return nil, err
	}
	identity, err := seal.Seal(s.Key[:], raw, []byte(contextAAD))
	if err != nil {
		return nil, err
	}
	access, err := seal.Seal(s.Key[:], raw, []byte(accessAAD))
	if err != nil {
		return nil, err
	}
	instance := p.InstanceARN[strings.LastIndexByte(p.InstanceARN, '/')+1:]
	idToken, err := s.jwt(map[string]any{
		"iss": "https://identitycenter.amazonaws.com/" + instance, "sub": p.UserID, "aud": p.ApplicationARN,
		"act":                    map[string]any{"sub": issuer.ARN},
		"aws:identity_store_id":  p.IdentityStoreARN[strings.LastIndexByte(p.IdentityStoreARN, '/')+1:],
		"aws:identity_store_arn": p.IdentityStoreARN, "aws:instance_arn": p.InstanceARN, "aws:instance_account": s.Account,
		"aws:application_arn": p.ApplicationARN, "aws:credential_id": p.CredentialID,
		"sts:identity_context": encode(identity),
		"auth_time":            now.Unix(), "iat": now.Unix(), "exp": expires.Unix(),
	})
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		scopes = defaultScopes
	}
	life := int32(tokenLife / time.Second)
	return &shape.CreateTokenWithIAMOutput{
		AccessToken: encode(access), TokenType: "Bearer", ExpiresIn: &life, IdToken: idToken, Scope: scopes,
		IssuedTokenType:      "urn:ietf:params:oauth:token-type:access_token",
		AwsAdditionalDetails: &shape.AwsAdditionalDetails{IdentityContext: encode(identity)},
	}, nil
}

// Open reads the context assertion of an AssumeRole call. One that was not made
// here, or has expired, is refused.
func (s *Service) Open(_ context.Context, _ *store.Snapshot, assertion string, now time.Time) (*api.Person, error) {
	bad := &api.Error{Code: "InvalidParameterValue", Status: 400, Message: "The context assertion is not valid."}
	if assertion == "" || len(assertion) > maxContext {
		return nil, bad
	}
	sealed, err := base64.RawURLEncoding.DecodeString(assertion)
	if err != nil {
		return nil, bad
	}
	raw, err := seal.Open(s.Key[:], sealed, []byte(contextAAD))
	if err != nil {
		return nil, bad
	}
	var c sealedContext
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	if now.After(c.Expires) {
		return nil, &api.Error{Code: "ExpiredTokenException", Status: 400, Message: "The context assertion has expired."}
	}
	return &c.Person, nil
}
