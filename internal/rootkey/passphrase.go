package rootkey

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"unicode/utf8"

	"bawn.dev/internal/seal"
)

const (
	// rounds is what one guess costs: nearly three times the 210,000 that OWASP asks
	// for with SHA-512, since a start can wait a third of a second and who took the
	// disk can guess for years. PBKDF2 is what the FIPS module has.
	rounds = 600_000
	// maxRounds bounds what a changed directory can make a start cost.
	maxRounds = 100_000_000
	saltSize  = 32
	// minPassphrase is NIST SP 800-63B-4's least for a secret that stands alone.
	minPassphrase = 15
	maxPassphrase = 1024
)

type passphrase struct {
	root Root
	kek  *seal.Key
}

func makePassphrase(secret func(string) ([]byte, error)) (Provider, error) {
	text, err := ask(secret, "the new passphrase")
	if err != nil {
		return nil, err
	}
	defer clear(text)
	if n := utf8.RuneCount(text); n < minPassphrase || len(text) > maxPassphrase {
		return nil, fmt.Errorf("a passphrase has %d to %d characters, this one %d: take several random words", minPassphrase, maxPassphrase, n)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return derive(Root{Kind: Passphrase, ID: newID(), Salt: salt, Rounds: rounds}, text)
}

func openPassphrase(r Root, secret func(string) ([]byte, error)) (Provider, error) {
	if len(r.Salt) < 16 || r.Rounds < rounds || r.Rounds > maxRounds {
		return nil, fmt.Errorf("%s asks for a derivation (%d bytes of salt, %d rounds) that no version of bawn made", manifestName, len(r.Salt), r.Rounds)
	}
	text, err := ask(secret, "the passphrase")
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return derive(r, text)
}

func derive(r Root, text []byte) (Provider, error) {
	// The function wants a string, which cannot be cleared: Go's collector frees it.
	key, err := pbkdf2.Key(sha512.New, string(text), r.Salt, r.Rounds, seal.KeySize)
	if err != nil {
		return nil, err
	}
	return &passphrase{r, (*seal.Key)(key)}, nil // the same bytes, not a copy
}

// Root implements Provider.
func (p *passphrase) Root() Root { return p.root }

// Wrap implements Provider.
func (p *passphrase) Wrap(key *seal.Key, aad []byte) ([]byte, error) {
	return seal.Wrap(p.kek[:], key, aad)
}

// Unwrap implements Provider.
func (p *passphrase) Unwrap(wrapped, aad []byte) (seal.Key, error) {
	key, err := seal.Unwrap(p.kek[:], wrapped, aad)
	if errors.Is(err, seal.ErrOpen) {
		return seal.Key{}, fmt.Errorf("%w: the passphrase is wrong", ErrRefused)
	}
	return key, err
}

// Close implements Provider.
func (p *passphrase) Close() error {
	p.kek.Zero()
	return nil
}
