// Package sts is the Security Token Service: it says who a caller is, and makes
// sessions of roles and of users.
//
// A session is a sealed claim and nothing else: no row, no secret at rest. Its
// token carries ids, session policies, tags, what an identity provider vouched for
// and the person behind it; what the role or user may do, whether it, its account,
// its key and the person still exist, is read anew on each call by package authz
// and here. It trusts package api to have decided what a resolver demands, above
// all sts:AssumeRole against the role's trust policy, and the key in Config. Whoever
// holds tokens can use each with its own access key id and secret until it expires;
// he cannot change, extend or combine them, and nobody can shed or exchange the
// person whom a session carries.
//
// Whoever shows a token or an assertion instead of a signature is nobody until a
// provider that the role's own account registered has signed for him; nothing that
// he brings chooses a key, an algorithm or an address to ask. Who controls a provider
// speaks for its subjects, in the roles that name that provider and nowhere else.
package sts

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/cache"
	"bawn.dev/internal/oidc"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/saml"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/sts"
	"bawn.dev/internal/store"
)

// Contexts opens the assertions of the identity centre: who a person is that a
// role is assumed for. What does not open is ErrGone, what is too old ErrExpired;
// an *api.Error is told as it is.
type Contexts interface {
	Open(ctx context.Context, sn *store.Snapshot, assertion string, now time.Time) (*api.Person, error)
}

// Keys knows the access keys that users keep.
type Keys interface {
	// KeyActive says whether a key exists and may sign.
	KeyActive(ctx context.Context, sn *store.Snapshot, accessKeyID string) (bool, error)
	// KeyAccount is the account of a key, active or not. A missing one is ErrGone.
	KeyAccount(ctx context.Context, sn *store.Snapshot, accessKeyID string) (string, error)
}

// MFA checks one-time codes.
type MFA interface {
	// CheckMFA answers how to use up a good code of the user's device, in the
	// transaction that acts on it. A code that is not good is an *api.Error.
	CheckMFA(ctx context.Context, sn *store.Snapshot, userID, serial, code string, now time.Time) (spend func(*store.Tx) error, err error)
}

// Policies knows managed policies by unique id. A missing one is ErrGone.
type Policies interface {
	Policy(sn *store.Snapshot, id string) (*policy.Doc, error)
}

// Config is what the service is made of.
type Config struct {
	Key      seal.Key      // seals session tokens and authorization messages
	Contexts Contexts      // nil: ProvidedContexts are refused
	Policies Policies      // nil: PolicyArns are refused
	Keys     Keys          // nil: sessions of users do not open
	MFA      MFA           // nil: no one-time code is good
	Issuers  *oidc.Issuers // nil: no OpenID token is good
	// SAMLRecipients are the addresses, besides AWS's own, to which a SAML provider
	// sends people with assertions that are for here.
	SAMLRecipients []string
	// Catalogue, when set, refuses session policies with condition keys that it
	// does not know.
	Catalogue policy.Catalogue
	// Trouble hears why an issuer's keys could not be read; may be nil.
	Trouble func(error)
}

// Service is STS. It implements api.Credentials for temporary keys.
type Service struct {
	cfg      Config
	opened   *cache.Cache[[32]byte, *session]       // by the digest of key id and token
	metadata *cache.Cache[[32]byte, *saml.Metadata] // by the document's digest
}

// How much is kept of what was opened and parsed.
const (
	cachedSessions = 4096
	cachedMetadata = 64
)

// New makes the service. It refuses a zero key.
func New(cfg Config) (*Service, error) {
	if cfg.Key == (seal.Key{}) {
		return nil, errors.New("sts: a key is needed to seal sessions with")
	}
	if cfg.Trouble == nil {
		cfg.Trouble = func(error) {}
	}
	return &Service{
		cfg: cfg, opened: cache.New[[32]byte, *session](cachedSessions, nil), metadata: cache.New[[32]byte, *saml.Metadata](cachedMetadata, nil),
	}, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: shape.Model(), Prefix: "sts", Operations: []api.Operation{
		api.Read("GetCallerIdentity", s.caller, s.getCallerIdentity).
			Undeniable("who one is cannot be kept from oneself"),
		api.Write("AssumeRole", s.assumedRole, s.assumeRole).RecordedAsRead().
			Demands("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext"),
		api.Read("AssumeRoleWithWebIdentity", s.webIdentity, s.assumeRoleWithWebIdentity).
			Demands("sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity").
			Open("the token proves its bearer"),
		api.Read("AssumeRoleWithSAML", s.samlIdentity, s.assumeRoleWithSAML).
			Demands("sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity").
			Open("the assertion proves its bearer"),
		api.Write("GetSessionToken", s.ownSession, s.getSessionToken).RecordedAsRead(),
		api.Read("GetFederationToken", s.federatedUser, s.getFederationToken).Demands("sts:GetFederationToken", "sts:TagSession"),
		api.Read("GetAccessKeyInfo", s.namedKey, s.getAccessKeyInfo),
		api.Read("DecodeAuthorizationMessage", s.decodedMessage, s.decodeAuthorizationMessage),
	}}
}
