package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/rootkey"
	"bawn.dev/internal/store"
)

// RekeyRequest asks for another root key.
type RekeyRequest struct {
	Operator string `json:"operator"`
	To       string `json:"to"` // file, passphrase or pkcs11
	Module   string `json:"module,omitempty"`
	Token    string `json:"token,omitempty"`
	Secret   []byte `json:"secret,omitempty"` // passphrase or PIN; never recorded
}

// RekeyAnswer says which root was in force and which is.
type RekeyAnswer struct {
	From RootName  `json:"from"`
	To   RootName  `json:"to"`
	At   time.Time `json:"at"`
}

// A RootName tells a root from others.
type RootName struct {
	Kind  string `json:"kind"`
	ID    string `json:"id"`
	Token string `json:"token,omitempty"` // label of the token
	Key   string `json:"key,omitempty"`   // label of the key on it
}

func nameOf(r rootkey.Root) RootName { return RootName{r.Kind, r.ID, r.Token, r.Key} }

// Rekey puts another root key in force while everything goes on. What it does is
// recorded first: the moment that counts is the exchange of a file, which no
// transaction holds. Once that is done the old root opens nothing, whatever happens.
func (s *Server) Rekey(ctx context.Context, in RekeyRequest) (*RekeyAnswer, error) {
	defer clear(in.Secret)
	s.rekeying.Lock()
	defer s.rekeying.Unlock()
	if !s.ring.Settled() {
		if err := s.settle(ctx); err != nil {
			return nil, err
		}
	}
	// Of several copies of the server on one database another may have replaced the root.
	if err := rewrapRooms(ctx, s.store, s.ring); err != nil {
		return nil, fmt.Errorf("another copy of the server has replaced the root: copy its DIR/keys here first: %w", err)
	}
	next, err := rootkey.Make(s.cfg, config.Root{Kind: in.To, Module: in.Module, Token: in.Token, Secret: given(in.Secret)})
	if err != nil {
		return nil, err
	}
	defer next.Close()
	answer := &RekeyAnswer{From: nameOf(s.ring.Root()), To: nameOf(next.Root()), At: s.now().UTC()}
	ctx = context.WithoutCancel(ctx) // a command that is given up must not leave half of it
	for _, step := range s.rekeySteps(ctx, in.Operator, answer, next) {
		if err := step(); err != nil {
			return nil, s.rekeyFailed(ctx, in.Operator, answer, err)
		}
	}
	s.log.Info("another root key is in force", "kind", answer.To.Kind, "id", answer.To.ID, "before", answer.From.Kind)
	return answer, nil
}

// given answers a secret that came with the request, in a copy that may be cleared.
func given(secret []byte) func(string) ([]byte, error) {
	return func(what string) ([]byte, error) {
		if len(secret) == 0 {
			return nil, errors.New(what + " is needed")
		}
		return append([]byte(nil), secret...), nil
	}
}

// rekeySteps are what a rekey does. Ended between any two of them, the directory
// opens with the old root up to the second, and with the new one after it.
func (s *Server) rekeySteps(ctx context.Context, operator string, a *RekeyAnswer, next rootkey.Provider) []func() error {
	return append([]func() error{
		func() error { return s.recordRekey(ctx, operator, a) },
		func() error { return s.ring.Replace(next) },
	}, s.settling(ctx)...)
}

// recordRekey records that it is done.
func (s *Server) recordRekey(ctx context.Context, operator string, a *RekeyAnswer) error {
	return s.changed(ctx, "Rekey", operator, a, func(*store.Tx) error { return nil })
}

// rekeyFailed says how far it came, and records that.
func (s *Server) rekeyFailed(ctx context.Context, operator string, a *RekeyAnswer, err error) error {
	if nameOf(s.ring.Root()) == a.To {
		err = fmt.Errorf("the new root is in force, the old one opens nothing, but not all is sealed anew: the next rekey or start goes on with it: %w", err)
	} else {
		err = fmt.Errorf("the root stays as it was: %w", err)
	}
	failed := struct {
		*RekeyAnswer
		Failed string `json:"failed"`
	}{a, err.Error()}
	return errors.Join(err, s.changed(ctx, "RekeyFailed", operator, failed, func(*store.Tx) error { return nil }))
}
