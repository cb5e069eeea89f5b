package signin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
)

const (
	// clockSkew is what an issuer's clock may differ from ours.
	clockSkew = time.Minute
	// maxAssertion bounds a token in bytes, maxLife its life.
	maxAssertion = 16 << 10
	maxLife      = 24 * time.Hour
)

// algorithms are the signatures that are verified: asymmetric ones, so that a
// public key can never serve as a shared secret, and never "none".
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// A token is a verified assertion.
type token struct {
	id      string
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
	jws, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, nil, bad("is not a JWT signed with an algorithm that is accepted")
	}
	var told struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &told); err != nil {
		return nil, nil, bad("holds no JSON claims")
	}
	i := slices.IndexFunc(issuers, func(t api.TrustedIssuer) bool { return t.URL == told.Issuer })
	if i < 0 {
		return nil, nil, bad("comes from an issuer that the application does not trust")
	}
	issuer := &issuers[i]
	key, waited, err := s.keys.find(ctx, issuer.URL, jws.Signatures[0].Protected.KeyID, wait)
	if errors.Is(err, errNoKey) {
		return nil, nil, bad("is signed with a key that its issuer does not publish")
	}
	if err != nil {
		s.Trouble(fmt.Errorf("the keys of %s: %w", issuer.URL, err)) // what the network answered is not for the bearer
		return nil, nil, refused("InvalidGrantException", "The issuer's keys could not be read. The server's log says why.")
	}
	if waited {
		return nil, nil, api.ErrAgain
	}
	if key.Algorithm != "" && key.Algorithm != jws.Signatures[0].Protected.Algorithm {
		return nil, nil, bad("is signed with another algorithm than its key is for")
	}
	payload, err := jws.Verify(key.Key)
	if err != nil {
		return nil, nil, bad("has a signature that does not verify")
	}
	var std struct {
		Subject   string   `json:"sub"`
		Audience  audience `json:"aud"`
		ID        string   `json:"jti"`
		Expires   *float64 `json:"exp"`
		NotBefore *float64 `json:"nbf"`
		Issued    *float64 `json:"iat"`
	}
	t := &token{}
	if err := json.Unmarshal(payload, &std); err != nil {
		return nil, nil, bad("has claims of the wrong type")
	}
	if err := json.Unmarshal(payload, &t.claims); err != nil {
		return nil, nil, bad("holds no JSON claims")
	}
	now := s.Now()
	switch {
	case !slices.ContainsFunc(std.Audience, func(a string) bool { return slices.Contains(issuer.Audiences, a) }):
		return nil, nil, bad("is for an audience that the application does not accept")
	case std.Subject == "":
		return nil, nil, bad("has no sub")
	case std.ID == "" || len(std.ID) > 1024:
		return nil, nil, bad("has no jti")
	case std.Expires == nil || std.Issued == nil:
		return nil, nil, bad("has no exp or no iat")
	case now.After(at(*std.Expires).Add(clockSkew)):
		return nil, nil, bad("has expired")
	case at(*std.Issued).After(now.Add(clockSkew)), std.NotBefore != nil && at(*std.NotBefore).After(now.Add(clockSkew)):
		return nil, nil, bad("is not valid yet")
	case at(*std.Expires).Sub(at(*std.Issued)) > maxLife:
		return nil, nil, bad("lives longer than a day")
	}
	t.id, t.expires = std.ID, at(*std.Expires)
	return t, issuer, nil
}

func at(seconds float64) time.Time {
	// Bounded so that no number, however large, wraps round to a time in range.
	return time.Unix(int64(max(-1<<40, min(1<<40, seconds))), 0)
}

// audience is a string or a list of them (RFC 7519, 4.1.3).
type audience []string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
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

// jwt signs claims for a client that may look into them.
func (s *Service) jwt(claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: s.sign}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
