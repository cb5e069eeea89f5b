// Package signin is where people enter: it exchanges a token that a trusted issuer
// signed for an identity context that an AssumeRole call can carry.
//
// It trusts an application's configuration in the identity centre, and of a token
// only what its signature covers, by a key that the issuer publishes. An attacker
// who controls a token chooses neither algorithm nor key; one who steals a token
// that was exchanged already gets nothing for it; one who controls an issuer speaks
// for the people of that issuer's application and no others.
//
// It is also where people of the built-in directory prove who they are: see flow.go.
// An attacker who controls what a browser sends learns from no answer, and from the
// work behind none, whether a name is somebody's; guesses few passwords and codes
// (password_guard.go) without keeping out whom he guesses at; and cannot use a proof
// twice, in another browser or for another stage. One who reads the database can use
// nothing that is in it; one who writes it cannot put his proofs in another's place.
//
// People also enter by the word of external OpenID and SAML providers (external.go),
// and applications let people enter at themselves by ours (provider.go). A provider is
// trusted for who its subjects are, with whoever its configuration admits, and for
// nothing of another provider's. What comes back from one counts once, in the browser
// and for the request that it answers. An application is trusted with what its scopes
// let it know of people whom it may ask for, for as long as they are signed in; who
// controls one, or a browser on its way there, gets no code that another redirect URI,
// verifier or application could use.
package signin

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/oidc"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
)

// A Directory knows the people; the identity centre is one.
type Directory interface {
	// FindUser finds the one person with an attribute, or answers api.ErrGone.
	FindUser(ctx context.Context, sn *store.Snapshot, path, value string) (id string, err error)
	// Assigned says whether she may use an application.
	Assigned(ctx context.Context, sn *store.Snapshot, application, userID string) (bool, error)
	// Present answers api.ErrGone for a person who was removed, disabled or signed out
	// since.
	Present(ctx context.Context, sn *store.Snapshot, p *api.Person) error
	// Named is what a person is called, or api.ErrGone for one who was removed or
	// disabled.
	Named(sn *store.Snapshot, userID string) (userName, displayName, email string, err error)
	// Instance names the identity centre and its directory.
	Instance(sn *store.Snapshot) (instanceARN, storeARN string, err error)
}

// Config is what sign-in needs. All of it up to Now.
type Config struct {
	Key       seal.Key // seals contexts and tokens, and seeds the key that signs id tokens
	Account   string   // of the identity centre
	Directory Directory
	Issuers   *oidc.Issuers
	Now       func() time.Time
	// Site is the host name under which browsers reach Bawn: passkeys are bound to it.
	// Empty is localhost.
	Site string
	// Origins are the site's addresses, as "https://bawn.example.org:4680", now; nil is
	// Site with TLS on the port that browsers take for it.
	Origins func() []string
	// Source keeps the passwords of people who come from another directory; may be nil.
	Source Source
	// Access is what people may use in accounts; nil for nothing.
	Access Access
	// Sessions makes the credentials that they use it with.
	Sessions Sessions
	// Happened commits what nobody asked for, with its record: api.Door's.
	Happened func(ctx context.Context, e api.Event, change func(*store.Tx) error) error
	// Providers are external identity providers; may be nil.
	Providers Providers
	// Federation is what sign-in at external identity providers needs.
	Federation Federation
	// Trouble hears why an issuer's keys could not be read; may be nil.
	Trouble func(error)
}

// A Service is sign-in.
type Service struct {
	Config
	sign   ed25519.PrivateKey
	hasher *hasher
	crowd  crowd
	polls  polls
	uses   atomic.Uint64 // of assertions, since the start

	discoveries discoveries
}

// New makes the service.
func New(cfg Config) (*Service, error) {
	if cfg.Directory == nil || cfg.Issuers == nil || cfg.Now == nil || cfg.Account == "" || cfg.Key == (seal.Key{}) {
		return nil, errors.New("signin: key, account, directory, issuers and clock are all needed")
	}
	if cfg.Trouble == nil {
		cfg.Trouble = func(error) {}
	}
	seed, err := hkdf.Expand(sha256.New, cfg.Key[:], "bawn signin id token signing key v1", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	if cfg.Site == "" {
		cfg.Site = "localhost"
	}
	if cfg.Origins == nil {
		cfg.Origins = func() []string { return []string{"https://" + cfg.Site} }
	}
	s := &Service{Config: cfg, sign: ed25519.NewKeyFromSeed(seed), hasher: newHasher()}
	if s.Providers == nil {
		s.Providers = external{s}
	}
	return s, nil
}

// API lists what is served of sso-oidc.
func (s *Service) API() *api.Service {
	return &api.Service{Model: shape.Model(), Prefix: "sso-oauth", Operations: []api.Operation{
		api.Write("CreateTokenWithIAM", s.exchanged, s.exchange).Silent(),
		api.Read("RegisterClient", s.newClient, s.registerClient).Open(whyAnybody).Undeniable(whyAnybody),
		api.Write("StartDeviceAuthorization", s.newDevice, s.startDevice).Silent().Open(whyAnybody).Undeniable(whyAnybody),
		api.Write("CreateToken", s.granted, s.createToken).Silent().Open("what was approved proves its bearer").Undeniable(whyUndeniable),
	}}
}

// Migrations are the room's tables: which tokens were used already.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "signin", Version: 1, SQL: []string{
		`CREATE TABLE signin_used (id TEXT PRIMARY KEY, expires INTEGER NOT NULL)`,
		`CREATE INDEX signin_used_expires ON signin_used (expires)`,
	}}, sessionMigration, factorMigration, approvalMigration, federationMigration, lineageMigration}
}
