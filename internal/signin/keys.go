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

// published is what one issuer last answered.
type published struct {
	asking sync.Mutex // held while the issuer is asked: one question at a time

	mu     sync.Mutex
	asked  time.Time
	failed error     // of the last question
	read   time.Time // when keys were answered
	keys   []jose.JSONWebKey
}

func (k *issuerKeys) of(issuer string) *published {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.issuers[issuer]
	if p == nil {
		if len(k.issuers) >= maxIssuers {
			clear(k.issuers)
		}
		p = &published{}
		k.issuers[issuer] = p
	}
	return p
}

// find answers the issuer's key with an id; with its only key when the token names
// none. Where the issuer must be asked it calls wait first, for an issuer takes
// what time it likes, and says so.
func (k *issuerKeys) find(ctx context.Context, issuer, id string, wait func()) (key *jose.JSONWebKey, waited bool, err error) {
	p := k.of(issuer)
	if key, known, err := p.look(id, k.now()); known {
		return key, false, err
	}
	wait()
	p.asking.Lock()
	defer p.asking.Unlock()
	if key, known, err := p.look(id, k.now()); known { // somebody else has asked meanwhile
		return key, true, err
	}
	keys, err := k.read(ctx, issuer)
	p.learn(keys, err, k.now())
	key, _, err = p.look(id, k.now())
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
		err = errNoKey
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
