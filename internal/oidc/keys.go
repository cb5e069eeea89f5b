package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
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
	maxIssuers  = 1024
	wellKnown   = "/.well-known/openid-configuration"
	minRSABytes = 256 // 2048 bits
)

// A Fetcher reads documents of issuers; *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, url string) ([]byte, error)
}

// Issuers remembers the keys that issuers publish.
type Issuers struct {
	fetch Fetcher
	now   func() time.Time

	mu  sync.Mutex
	all map[string]*published
}

// New makes an empty memory.
func New(fetch Fetcher, now func() time.Time) *Issuers {
	return &Issuers{fetch: fetch, now: now, all: map[string]*published{}}
}

// published is what one issuer last answered.
type published struct {
	asking sync.Mutex // held while the issuer is asked: one question at a time

	mu     sync.Mutex
	asked  time.Time
	failed error     // of the last question
	read   time.Time // when keys were answered
	keys   []jose.JSONWebKey
}

func (s *Issuers) of(issuer string) *published {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.all[issuer]
	if p == nil {
		if len(s.all) >= maxIssuers {
			clear(s.all)
		}
		p = &published{}
		s.all[issuer] = p
	}
	return p
}

// find answers the issuer's key with an id; with its only key when the token names
// none. Where the issuer must be asked it calls wait first, for an issuer takes
// what time it likes, and says so.
func (s *Issuers) find(ctx context.Context, issuer, id string, wait func()) (key *jose.JSONWebKey, waited bool, err error) {
	p := s.of(issuer)
	if key, known, err := p.look(id, s.now()); known {
		return key, false, err
	}
	wait()
	p.asking.Lock()
	defer p.asking.Unlock()
	if key, known, err := p.look(id, s.now()); known { // somebody else has asked meanwhile
		return key, true, err
	}
	keys, err := s.read(ctx, issuer)
	p.learn(keys, err, s.now())
	key, _, err = p.look(id, s.now())
	return key, true, err
}

// look answers from what is known, unless the issuer must be asked. A failure is
// believed for a while too, lest everybody wait for an issuer that is down.
func (p *published) look(id string, now time.Time) (key *jose.JSONWebKey, known bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if key := p.pick(id); key != nil && now.Sub(p.read) < keysFresh {
		return key, true, nil
	}
	if err = p.failed; err == nil {
		err = ErrNoKey
	}
	return nil, !p.asked.IsZero() && now.Sub(p.asked) < keysAgain, err
}

// learn takes an answer. A failure leaves what was read before for as long as it is
// fresh.
func (p *published) learn(keys []jose.JSONWebKey, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.failed = now, err
	if err == nil {
		p.keys, p.read = keys, now
	}
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
func (s *Issuers) read(ctx context.Context, issuer string) ([]jose.JSONWebKey, error) {
	raw, err := s.fetch.Get(ctx, strings.TrimSuffix(issuer, "/")+wellKnown)
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
	if raw, err = s.fetch.Get(ctx, found.Keys); err != nil {
		return nil, err
	}
	var set struct {
		Keys []jose.JSONWebKey `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("the key set cannot be read")
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

// strong says whether a published key is one that the FIPS module verifies with.
func strong(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.Size() >= minRSABytes
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}
