// Package rootkey guards the store's key: the one key under which everything else
// in a data directory is sealed. What wraps it is the root: a key in a file, a
// passphrase, or a key on a PKCS#11 token.
//
// It trusts the program that speaks to the token, which stands beside bawn, and the
// token's library, which nobody but root can change. Who has the directory
// without the root gets nothing from it: a passphrase can be tried only at the price
// of its derivation, a token's key not at all. Who had an old root and a copy of the
// directory's keys from its time opens nothing that was written after the root was
// replaced: the store's key is replaced with it. Who can write DIR/keys can destroy,
// and can put an older state of DIR/keys back, which then does not open the rest.
//
// The forms are in docs/formats/root.md.
package rootkey

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"bawn.dev/internal/config"
	"bawn.dev/internal/seal"
)

// Kinds of roots.
const (
	File       = "file"
	Passphrase = "passphrase"
	PKCS11     = "pkcs11"
)

// A Root says which root there is, without any secret of it.
type Root struct {
	Kind string `json:"kind"`
	// ID is another for each root that ever was.
	ID string `json:"id"`

	Salt   []byte `json:"salt,omitempty"`  // of a passphrase
	Rounds int    `json:"rounds,omitzero"` // of a passphrase

	Module string `json:"module,omitempty"` // of a token: the library that speaks to it
	Token  string `json:"token,omitempty"`  // its label
	Key    string `json:"key,omitempty"`    // label of the key on it
}

// A Provider wraps and unwraps keys under one root.
type Provider interface {
	Root() Root
	// Wrap wraps a key and binds it to aad.
	Wrap(key *seal.Key, aad []byte) ([]byte, error)
	// Unwrap answers the key that Wrap was given. What does not open is ErrRefused.
	Unwrap(wrapped, aad []byte) (seal.Key, error)
	// Close forgets the root.
	Close() error
}

// ErrRefused says that a root does not open what it was given.
var ErrRefused = errors.New("the root does not open the store's key")

// open readies the root of an existing directory.
func open(cfg config.Config, r Root) (Provider, error) {
	switch r.Kind {
	case File:
		return openFile(cfg, r)
	case Passphrase:
		return openPassphrase(r, cfg.Secret)
	case PKCS11:
		return openToken(r, cfg.Secret)
	}
	return nil, fmt.Errorf("%s names a root of the kind %q, which this version does not know", manifestName, r.Kind)
}

// Make makes a new root as wanted. That of a file is not yet where it is looked
// for: see Manifest.
func Make(cfg config.Config, want config.Root) (Provider, error) {
	if want.Kind != PKCS11 && (want.Module != "" || want.Token != "") {
		return nil, fmt.Errorf("module and token are for a root on a token, not for a %s", want.Kind)
	}
	if err := ours(cfg); err != nil {
		return nil, err
	}
	switch want.Kind {
	case File, "":
		return makeFile(cfg)
	case Passphrase:
		return makePassphrase(want.Secret)
	case PKCS11:
		return makeToken(want)
	}
	return nil, fmt.Errorf("there is no root of the kind %q: it is file, passphrase or pkcs11", want.Kind)
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// ask gets a secret, which the caller clears.
func ask(secret func(string) ([]byte, error), what string) ([]byte, error) {
	if secret == nil {
		return nil, fmt.Errorf("%s is needed, and there is nobody to ask", what)
	}
	return secret(what)
}
