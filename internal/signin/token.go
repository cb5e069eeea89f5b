package signin

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/oidc"
)

const (
	// clockSkew is what an issuer's clock may differ from ours.
	clockSkew = time.Minute
	// maxAssertion bounds a token in bytes, maxLife its life.
	maxAssertion = 16 << 10
	maxLife      = 24 * time.Hour
)

// A token is a verified assertion.
type token struct {
	id      string
	issued  time.Time
	expires time.Time
	claims  map[string]any
}

// verify checks an assertion against the issuers that an application trusts: the
// signature by a key that the issuer publishes, issuer and audience exactly, times,
// and that there is an id to be used once. When wait had to be called, the rest is
// not looked at and the answer is api.ErrAgain.
func (s *Service) verify(ctx context.Context, raw string, issuers []api.TrustedIssuer, wait func()) (*token, *api.TrustedIssuer, error) {
	bad := func(why string) error { return refused("InvalidGrantException", "The assertion "+why+".") }
	if raw == "" || len(raw) > maxAssertion {
		return nil, nil, refused("InvalidRequestException", "assertion is missing or too long.")
	}
	told, err := oidc.Parse(raw)
	if err != nil {
		return nil, nil, unbelieved(err)
	}
	i := slices.IndexFunc(issuers, func(t api.TrustedIssuer) bool { return t.URL == told.Issuer })
	if i < 0 {
		return nil, nil, bad("comes from an issuer that the application does not trust")
	}
	issuer := &issuers[i]
	signed, err := s.Issuers.Verify(ctx, told, wait)
	switch refusal := unbelieved(err); {
	case err == nil:
	case refusal != nil:
		return nil, nil, refusal
	case errors.Is(err, api.ErrAgain):
		return nil, nil, err
	default:
		s.Trouble(fmt.Errorf("the keys of %s: %w", issuer.URL, err)) // what the network answered is not for the bearer
		return nil, nil, refused("InvalidGrantException", "The issuer's keys could not be read. The server's log says why.")
	}
	now := s.Now()
	switch {
	case !slices.ContainsFunc(signed.Audience, func(a string) bool { return slices.Contains(issuer.Audiences, a) }):
		return nil, nil, bad("is for an audience that the application does not accept")
	case signed.Subject == "":
		return nil, nil, bad("has no sub")
	case signed.ID == "" || len(signed.ID) > 1024:
		return nil, nil, bad("has no jti")
	case signed.Expires.IsZero() || signed.Issued.IsZero():
		return nil, nil, bad("has no exp or no iat")
	case now.After(signed.Expires.Add(clockSkew)):
		return nil, nil, bad("has expired")
	case signed.Issued.After(now.Add(clockSkew)), signed.NotBefore.After(now.Add(clockSkew)):
		return nil, nil, bad("is not valid yet")
	case signed.Expires.Sub(signed.Issued) > maxLife:
		return nil, nil, bad("lives longer than a day")
	}
	return &token{signed.ID, signed.Issued, signed.Expires, signed.Claims}, issuer, nil
}

// unbelieved is the refusal of a token, or nil where it is not the token's fault.
func unbelieved(err error) error {
	for _, why := range []error{oidc.ErrForm, oidc.ErrNoKey, oidc.ErrAlgorithm, oidc.ErrSignature, oidc.ErrClaims} {
		if errors.Is(err, why) {
			return refused("InvalidGrantException", "The assertion is refused: "+why.Error()+".")
		}
	}
	return nil
}

// attribute is the text at a path of claims.
func (t *token) attribute(path string) (string, error) {
	var v any = t.claims
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	text, ok := v.(string)
	if !ok || text == "" || len(text) > 1024 {
		return "", refused("InvalidGrantException", fmt.Sprintf("The assertion has no text at %s.", path))
	}
	if path == "email" {
		if verified, told := t.claims["email_verified"]; told && verified != true {
			return "", refused("InvalidGrantException", "The assertion's e-mail address is not verified.")
		}
	}
	return text, nil
}

// idHeader begins every token that jwt signs.
var idHeader = encode([]byte(`{"alg":"EdDSA","typ":"JWT"}`)) + "."

// jwt signs claims for a client that may look into them.
func (s *Service) jwt(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding
	text := make([]byte, 0, len(idHeader)+b64.EncodedLen(len(payload))+1+b64.EncodedLen(ed25519.SignatureSize))
	text = b64.AppendEncode(append(text, idHeader...), payload)
	signature := ed25519.Sign(s.sign, text)
	return string(b64.AppendEncode(append(text, '.'), signature)), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
