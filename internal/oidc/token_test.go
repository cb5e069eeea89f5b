package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
)

// publishing is the memory of an issuer that answers with these keys.
func publishing(t *testing.T, keys ...jose.JSONWebKey) *Issuers {
	t.Helper()
	set, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return New(&idp{t: t, keys: set, held: func() bool { return false }}, time.Now)
}

func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, kid, payload string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// verified shows a token twice: to hear the issuer, and then to be believed.
func verified(t *testing.T, s *Issuers, raw string) (*Token, error) {
	t.Helper()
	u, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	waited := false
	token, err := s.Verify(context.Background(), u, func() { waited = true })
	if errors.Is(err, api.ErrAgain) {
		if !waited || token != nil {
			t.Error("the answer came without waiting, or after it without looking again")
		}
		token, err = s.Verify(context.Background(), u, func() { t.Error("the issuer is asked twice") })
	}
	return token, err
}

const payload = `{"iss":"` + issuerURL + `","sub":"ada","aud":["a","b"],"exp":1800000000.5,"iat":1700000000,"jti":"1","n":{"m":1}}`

func TestAlgorithms(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for alg, key := range map[jose.SignatureAlgorithm]crypto.Signer{
		jose.RS256: r, jose.RS384: r, jose.RS512: r, jose.PS256: r, jose.PS384: r, jose.PS512: r,
		jose.ES256: curve(elliptic.P256()), jose.ES384: curve(elliptic.P384()), jose.ES512: curve(elliptic.P521()), jose.EdDSA: ed,
	} {
		s := publishing(t, jose.JSONWebKey{Key: key.Public(), KeyID: "one"})
		token, err := verified(t, s, signed(t, alg, key, "one", payload))
		if err != nil || token.Subject != "ada" || len(token.Audience) != 2 || token.Expires.Unix() != 1_800_000_000 || token.Issued.Unix() != 1_700_000_000 ||
			!token.NotBefore.IsZero() || token.ID != "1" || token.Claims["n"] == nil {
			t.Errorf("%s: %+v, %v", alg, token, err)
		}
		// A key that says what it is for is for nothing else.
		s = publishing(t, jose.JSONWebKey{Key: key.Public(), KeyID: "one", Algorithm: "RSA-OAEP"})
		if _, err := verified(t, s, signed(t, alg, key, "one", payload)); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s with a key for another algorithm: %v", alg, err)
		}
		if _, err := verified(t, publishing(t, jose.JSONWebKey{Key: key.Public(), KeyID: "one", Use: "enc"}), signed(t, alg, key, "one", payload)); !errors.Is(err, ErrNoKey) {
			t.Errorf("%s with a key to encrypt with: %v", alg, err)
		}
	}
	if _, err := Parse(signed(t, jose.HS256, make([]byte, 32), "one", payload)); !errors.Is(err, ErrForm) {
		t.Errorf("a shared secret: %v", err)
	}
}

func TestKeysThatAreNotUsed(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one, two := jose.JSONWebKey{Key: key.Public(), KeyID: "one"}, jose.JSONWebKey{Key: other.Public(), KeyID: "two"}
	if _, err := verified(t, publishing(t, one), signed(t, jose.ES256, key, "", payload)); err != nil {
		t.Errorf("the only key, unnamed: %v", err)
	}
	if _, err := verified(t, publishing(t, one, two), signed(t, jose.ES256, key, "", payload)); !errors.Is(err, ErrNoKey) {
		t.Errorf("one of two, unnamed: %v", err)
	}
	if _, err := verified(t, publishing(t, one, two), signed(t, jose.ES256, key, "two", payload)); !errors.Is(err, ErrSignature) {
		t.Errorf("another's name: %v", err)
	}
	weak := jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}, KeyID: "one"}
	if _, err := verified(t, publishing(t, weak), signed(t, jose.ES256, key, "one", payload)); !errors.Is(err, ErrNoKey) {
		t.Errorf("a weak key: %v", err)
	}
	secret := jose.JSONWebKey{Key: []byte("secret"), KeyID: "one"}
	if _, err := verified(t, publishing(t, secret), signed(t, jose.ES256, key, "one", payload)); !errors.Is(err, ErrNoKey) {
		t.Errorf("a secret: %v", err)
	}
}

func TestClaimsOfTheWrongType(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := publishing(t, jose.JSONWebKey{Key: key.Public(), KeyID: "one"})
	for _, text := range []string{
		`[]`, `1`, `{`, `{"iss":1}`,
		`{"iss":"` + issuerURL + `","sub":1}`, `{"iss":"` + issuerURL + `","aud":{}}`, `{"iss":"` + issuerURL + `","exp":"1"}`,
		`{"iss":"` + issuerURL + `","sub":"a","sub":"b"}`, `{"iss":"` + issuerURL + `"} {}`,
	} {
		if token, err := verified(t, s, signed(t, jose.ES256, key, "one", text)); !errors.Is(err, ErrClaims) {
			t.Errorf("%s: %+v, %v", text, token, err)
		}
	}
	// No number, however large, is a time in range.
	token, err := verified(t, s, signed(t, jose.ES256, key, "one", `{"iss":"`+issuerURL+`","exp":-1e300,"nbf":1e300,"aud":"a"}`))
	if err != nil || !token.Expires.Before(time.Now()) || !token.NotBefore.After(time.Now()) || len(token.Audience) != 1 {
		t.Errorf("%+v, %v", token, err)
	}
}

// A token that its issuer signed for something else says nothing of who its bearer is.
func TestTokensForSomethingElse(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := publishing(t, jose.JSONWebKey{Key: key.Public(), KeyID: "one"})
	of := func(kind any, more string) string {
		opts := &jose.SignerOptions{}
		if kind != nil {
			opts.WithHeader("typ", kind)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "one"}}, opts)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign([]byte(`{"iss":"` + issuerURL + `","sub":"ada"` + more + `}`))
		if err != nil {
			t.Fatal(err)
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, kind := range []any{nil, "JWT", "jwt", "at+jwt", "application/at+jwt", "application/okta-internal-at+jwt"} {
		if _, err := verified(t, s, of(kind, "")); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
	}
	for _, kind := range []any{"logout+jwt", "application/logout+jwt", "secevent+jwt", "dpop+jwt", "oauth-authz-req+jwt", "entity-statement+jwt", "vc+sd-jwt", "", 7, []string{"JWT"}} {
		if _, err := verified(t, s, of(kind, "")); !errors.Is(err, ErrClaims) {
			t.Errorf("%v: %v", kind, err)
		}
	}
	for why, more := range map[string]string{
		"a sign-out":        `,"events":{"http://schemas.openid.net/event/backchannel-logout":{}}`,
		"bound to a key":    `,"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`,
		"bound to no key":   `,"cnf":null`,
		"an event, if null": `,"events":null`,
	} {
		if _, err := verified(t, s, of("JWT", more)); !errors.Is(err, ErrClaims) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("e30.e30.")
	f.Add("eyJhbGciOiJFUzI1NiJ9.e30.AAAA")
	f.Add(`{"payload":"","signatures":[]}`)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := Parse(raw)
		if (u == nil) == (err == nil) {
			t.Fatalf("%v, %v", u, err)
		}
	})
}
