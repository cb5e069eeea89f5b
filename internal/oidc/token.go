// Package oidc reads tokens of OpenID Connect issuers: it finds an issuer's keys by
// discovery, remembers them for a while, and believes of a token what a signature
// by one of them covers.
//
// It trusts the fetcher to ask nobody who must not be asked, and TLS for what an
// issuer publishes. An attacker who controls a token chooses neither algorithm nor
// key: both are the issuer's, headers that point elsewhere are not followed, and a
// public key never serves as a shared secret. Which issuer is asked is its caller's
// choice, never the token's; by naming keys that do not exist a token can have that
// issuer asked once in ten seconds, and whoever waits meanwhile holds no snapshot.
// Issuer, audience and times are the caller's to judge: a Token only says that the
// issuer wrote them.
package oidc

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
)

// Why a token is not believed. What else Verify answers says why the issuer's keys
// could not be read, which is not for the bearer.
var (
	ErrForm      = errors.New("it is not a JWT signed with an algorithm that is accepted")
	ErrNoKey     = errors.New("it is signed with a key that its issuer does not publish")
	ErrAlgorithm = errors.New("it is signed with another algorithm than its key is for")
	ErrSignature = errors.New("its signature does not verify")
	ErrClaims    = errors.New("it has claims of the wrong type, or is a token for something else")
)

// algorithms are the signatures that are verified: asymmetric ones, so that a
// public key can never serve as a shared secret, and never "none".
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// An Unverified token says who wants to have signed it, and nothing else.
type Unverified struct {
	Issuer string
	signed *jose.JSONWebSignature
}

// Parse takes a token apart. Its length is the caller's to bound.
func Parse(raw string) (*Unverified, error) {
	signed, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, ErrForm
	}
	var told struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &told); err != nil {
		return nil, ErrClaims
	}
	return &Unverified{told.Issuer, signed}, nil
}

// A Token is what an issuer signed. Times that it does not hold are zero.
type Token struct {
	Subject   string
	Audience  []string
	ID        string
	Expires   time.Time
	NotBefore time.Time
	Issued    time.Time
	Claims    map[string]any // all of them
}

// Verify believes a token that a key of its own issuer signed. That the issuer is
// one to be believed its caller has seen to. Before the issuer is asked for its keys
// wait is called; then the answer is api.ErrAgain, for the rest is to be looked at
// anew.
func (s *Issuers) Verify(ctx context.Context, u *Unverified, wait func()) (*Token, error) {
	header := u.signed.Signatures[0].Protected
	key, waited, err := s.find(ctx, u.Issuer, header.KeyID, wait)
	switch {
	case err != nil:
		return nil, err
	case waited:
		return nil, api.ErrAgain
	case key.Algorithm != "" && key.Algorithm != header.Algorithm:
		return nil, ErrAlgorithm
	}
	payload, err := u.signed.Verify(key.Key)
	if err != nil {
		return nil, ErrSignature
	}
	var std struct {
		Subject   string   `json:"sub"`
		Audience  audience `json:"aud"`
		ID        string   `json:"jti"`
		Expires   *float64 `json:"exp"`
		NotBefore *float64 `json:"nbf"`
		Issued    *float64 `json:"iat"`
	}
	t := &Token{}
	if json.Unmarshal(payload, &std) != nil || json.Unmarshal(payload, &t.Claims) != nil || !identifies(header, t.Claims) {
		return nil, ErrClaims
	}
	t.Subject, t.Audience, t.ID = std.Subject, std.Audience, std.ID
	t.Expires, t.NotBefore, t.Issued = at(std.Expires), at(std.NotBefore), at(std.Issued)
	return t, nil
}

// identifies says whether a token is of a kind that says who somebody is. What an
// issuer signs for other uses may say the same of issuer, audience and subject: that
// somebody is to be signed out, say, which many applications hear (RFC 8725, 3.11). One
// that is bound to a key is for whoever shows that, which its bearer has not.
func identifies(header jose.Header, claims map[string]any) bool {
	_, event := claims["events"]
	_, bound := claims["cnf"]
	if event || bound {
		return false
	}
	told, there := header.ExtraHeaders[jose.HeaderType]
	kind, _ := told.(string)
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	return !there || kind == "jwt" || strings.HasSuffix(kind, "at+jwt") || kind == "id_token+jwt"
}

func at(seconds *float64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	// Bounded so that no number, however large, wraps round to a time in range.
	return time.Unix(int64(max(-1<<40, min(1<<40, *seconds))), 0)
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
