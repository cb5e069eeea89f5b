package signin

import (
	"context"
	"encoding/base64"
	"slices"
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
	contextAAD                      = "bawn signin identity context v1"
	auditAAD                        = "bawn signin audit context v1"
	applicationSealing seal.Purpose = "signin exchanged access token"
	maxContext                      = 4096
)

// given is what an exchange answers, and whether the lineage must be kept for it.
func (s *Service) given(p *api.Person, l *lineage, scopes []string, requested string, renewable bool, now time.Time) (*shape.CreateTokenWithIAMOutput, bool, error) {
	life := min(tokenLife, l.until.Sub(now)).Truncate(time.Second)
	expires, seconds := now.Add(life), int32(life/time.Second)
	out := &shape.CreateTokenWithIAMOutput{TokenType: "Bearer", ExpiresIn: &seconds, Scope: scopes, IssuedTokenType: accessType}
	access := accessToken{Person: *p, Expires: expires, Scopes: scopes, Until: l.until, Parent: l.parent, Actor: l.actor}
	if renewable {
		access.Line = l.id
	}
	var err error
	if out.AccessToken, err = s.sealed(applicationSealing, access); err != nil {
		return nil, false, err
	}
	if renewable {
		if out.RefreshToken, err = s.sealed(lineSealing, lineRenewal{l.id, l.serial + 1}); err != nil {
			return nil, false, err
		}
	}
	if requested == refreshType {
		if !renewable {
			return nil, false, refused("UnauthorizedClientException", "The application has no refresh_token grant.")
		}
		out.IssuedTokenType = refreshType
	}
	if slices.Contains(scopes, "sts:identity_context") {
		context, err := s.sealContext(contextAAD, p, expires)
		if err != nil {
			return nil, false, err
		}
		out.AwsAdditionalDetails = &shape.AwsAdditionalDetails{IdentityContext: context}
	}
	if slices.Contains(scopes, "openid") {
		out.IdToken, err = s.idToken(p, l, out.AwsAdditionalDetails, now, expires)
	}
	return out, renewable, err
}

func (s *Service) sealContext(aad string, p *api.Person, expires time.Time) (string, error) {
	raw, err := json.Marshal(sealedContext{*p, expires})
	if err != nil {
		return "", err
	}
	sealed, err := seal.Seal(s.Key[:], raw, []byte(aad))
	return encode(sealed), err
}

func (s *Service) idToken(p *api.Person, l *lineage, more *shape.AwsAdditionalDetails, now, expires time.Time) (string, error) {
	claims := map[string]any{
		"iss": "https://identitycenter.amazonaws.com/" + p.InstanceARN[strings.LastIndexByte(p.InstanceARN, '/')+1:], "sub": p.UserID, "aud": p.ApplicationARN,
		"aws:identity_store_id":  p.IdentityStoreARN[strings.LastIndexByte(p.IdentityStoreARN, '/')+1:],
		"aws:identity_store_arn": p.IdentityStoreARN, "aws:instance_arn": p.InstanceARN, "aws:instance_account": s.Account,
		"aws:application_arn": p.ApplicationARN, "aws:credential_id": p.CredentialID,
		"auth_time": p.SignedIn.Unix(), "iat": now.Unix(), "exp": expires.Unix(),
	}
	if l.actor != "" {
		claims["act"] = map[string]any{"sub": l.actor}
	}
	if more != nil {
		claims["sts:identity_context"] = more.IdentityContext
		var err error
		if claims["sts:audit_context"], err = s.sealContext(auditAAD, p, expires); err != nil {
			return "", err
		}
	}
	return s.jwt(claims)
}

// Open reads the context assertion of an AssumeRole call, an identity or an audit
// context. One that was not made here, or has expired, is refused.
func (s *Service) Open(_ context.Context, _ *store.Snapshot, assertion string, now time.Time) (*api.Person, error) {
	bad := &api.Error{Code: "InvalidParameterValue", Status: 400, Message: "The context assertion is not valid."}
	if assertion == "" || len(assertion) > maxContext {
		return nil, bad
	}
	sealed, err := base64.RawURLEncoding.DecodeString(assertion)
	if err != nil {
		return nil, bad
	}
	audit := false
	raw, err := seal.Open(s.Key[:], sealed, []byte(contextAAD))
	if err != nil {
		audit = true
		raw, err = seal.Open(s.Key[:], sealed, []byte(auditAAD))
	}
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
	c.Person.Audit = audit
	return &c.Person, nil
}
