package signin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// How long an issuer's keys are believed, and how soon they are asked for again
// when a token names a key that is not among them.
const (
	keysFresh   = 10 * time.Minute
	keysAgain   = 10 * time.Second
	maxKeys     = 100
	maxIssuers  = 64
	wellKnown   = "/.well-known/openid-configuration"
	minRSABytes = 256 // 2048 bits
)

var errNoKey = errors.New("signin: the issuer publishes no such key")

// issuerKeys remembers what issuers publish.
type issuerKeys struct {
	fetch Fetcher
	now   func() time.Time

	mu      sync.Mutex
	issuers map[string]*published
}

type published struct {
	mu   sync.Mutex
	read time.Time
	keys []jose.JSONWebKey
}

// find answers the issuer's key with an id; with its only key when the token names
// none.
func (k *issuerKeys) find(ctx context.Context, issuer, id string) (*jose.JSONWebKey, error) {
	k.mu.Lock()
	p := k.issuers[issuer]
	if p == nil {
		if len(k.issuers) >= maxIssuers {
			clear(k.issuers)
		}
		p = &published{}
		k.issuers[issuer] = p
	}
	k.mu.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	age := k.now().Sub(p.read)
	if key := p.pick(id); key != nil && age < keysFresh {
		return key, nil
	}
	if p.read.IsZero() || age >= keysAgain {
		keys, err := k.read(ctx, issuer)
		if err != nil {
			return nil, err
		}
		p.keys, p.read = keys, k.now()
	}
	if key := p.pick(id); key != nil {
		return key, nil
	}
	return nil, errNoKey
}

func (p *published) pick(id string) *jose.JSONWebKey {
	if id == "" {
		if len(p.keys) == 1 {
			return &p.keys[0]
		}
		return nil
	}
	for i := range p.keys {
		if p.keys[i].KeyID == id {
			return &p.keys[i]
		}
	}
	return nil
}

// read follows OpenID Connect Discovery 1.0.
func (k *issuerKeys) read(ctx context.Context, issuer string) ([]jose.JSONWebKey, error) {
	raw, err := k.fetch.Get(ctx, strings.TrimSuffix(issuer, "/")+wellKnown)
	if err != nil {
		return nil, err
	}
	var found struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		return nil, errors.New("the discovery document is not JSON")
	}
	if found.Issuer != issuer {
		return nil, errors.New("the discovery document names another issuer")
	}
	if u, err := url.Parse(found.Keys); err != nil || u.Host == "" {
		return nil, errors.New("the discovery document names no keys")
	}
	if raw, err = k.fetch.Get(ctx, found.Keys); err != nil {
		return nil, err
	}
	var set struct {
		Keys []jose.JSONWebKey `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("the key set cannot be read")
	}
	if len(set.Keys) > maxKeys {
		return nil, errors.New("the key set is too large")
	}
	var usable []jose.JSONWebKey
	for _, key := range set.Keys {
		if key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig") && strong(key.Key) {
			usable = append(usable, key)
		}
	}
	return usable, nil
}
