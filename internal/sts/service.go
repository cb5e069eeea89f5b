// Package sts is the Security Token Service: it says who a caller is, and makes
// sessions of roles.
//
// A session is a sealed claim and nothing else: no row, no secret at rest. Its
// token carries ids, session policies, tags and the person behind it; what the
// role may do, whether it, its account and the person still exist, is read anew
// on each call by package authz. It trusts package api to have decided what a
// resolver demands, above all sts:AssumeRole against the role's trust policy, and
// the key in Config. Whoever holds tokens can use each with its own access key id
// and secret until it expires; he cannot change, extend or combine them, and
// nobody can shed or exchange the person whom a session carries.
package sts

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/cache"
	"bawn.dev/internal/policy"
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

// Policies knows managed policies by unique id. A missing one is ErrGone.
type Policies interface {
	Policy(sn *store.Snapshot, id string) (*policy.Doc, error)
}

// Config is what the service is made of.
type Config struct {
	Key      seal.Key // seals session tokens
	Contexts Contexts // nil: ProvidedContexts are refused
	Policies Policies // nil: PolicyArns are refused
	// Catalogue, when set, refuses session policies with condition keys that it
	// does not know.
	Catalogue policy.Catalogue
}

// Service is STS. It implements api.Credentials for temporary keys.
type Service struct {
	cfg    Config
	opened *cache.Cache[[32]byte, *session] // by the digest of key id and token
}

// cachedSessions bounds the tokens that are kept opened.
const cachedSessions = 4096

// New makes the service. It refuses a zero key.
func New(cfg Config) (*Service, error) {
	if cfg.Key == (seal.Key{}) {
		return nil, errors.New("sts: a key is needed to seal sessions with")
	}
	return &Service{cfg, cache.New[[32]byte, *session](cachedSessions, nil)}, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: shape.Model(), Prefix: "sts", Operations: []api.Operation{
		api.Read("GetCallerIdentity", s.caller, s.getCallerIdentity).
			Undeniable("who one is cannot be kept from oneself"),
		api.Read("AssumeRole", s.assumedRole, s.assumeRole).
			Demands("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext"),
	}}
}

func (s *Service) caller(context.Context, *api.Call, *shape.GetCallerIdentityInput) (struct{}, []api.Demand, error) {
	return struct{}{}, nil, nil
}

func (s *Service) getCallerIdentity(_ context.Context, c *api.Call, _ *shape.GetCallerIdentityInput, _ struct{}) (*shape.GetCallerIdentityOutput, error) {
	who := c.Caller()
	return &shape.GetCallerIdentityOutput{Account: c.Account, Arn: who.ARN, UserId: who.ID}, nil
}
