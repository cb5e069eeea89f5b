// Package oidctest is a tiny OpenID issuer for the sample and for tests: discovery,
// one signing key, and a function that signs a person's token. It authenticates
// nobody and is no part of Bawn.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// An Issuer signs tokens.
type Issuer struct {
	URL   string // set before it serves
	KeyID string
	key   *ecdsa.PrivateKey
}

// New makes an issuer with a fresh key.
func New() (*Issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &Issuer{KeyID: rand.Text(), key: key}, err
}

// ServeHTTP answers discovery and keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	case "/keys":
		public := jose.JSONWebKey{Key: i.key.Public(), KeyID: i.KeyID, Algorithm: string(jose.ES256), Use: "sig"}
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	default:
		http.NotFound(w, r)
	}
}

// Claims are a fresh token's for a person, to be changed before Sign.
func (i *Issuer) Claims(audience, subject, email string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": i.URL, "aud": audience, "sub": subject, "email": email, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
}

// Sign makes a token of claims.
func (i *Issuer) Sign(claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: i.KeyID}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// Public is the key that it publishes.
func (i *Issuer) Public() crypto.PublicKey { return i.key.Public() }
