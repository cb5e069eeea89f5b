package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// KeySize is the length in bytes of every key of this package.
const KeySize = 32

// WrappedSize is the length in bytes of a wrapped key.
const WrappedSize = KeySize + Overhead

// Key is key material that does not print itself. Pass k[:] where a key is wanted, and Zero it when done.
type Key [KeySize]byte

// NewKey returns a random key.
func NewKey() Key {
	var k Key
	rand.Read(k[:])
	return k
}

// Zero overwrites the key.
func (k *Key) Zero() { clear(k[:]) }

// Format hides the material from package fmt, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// String hides the material.
func (k Key) String() string { return "seal.Key(hidden)" }

// MarshalText refuses: a key leaves memory only wrapped.
func (k Key) MarshalText() ([]byte, error) {
	return nil, errors.New("seal: a key is stored wrapped, never marshalled")
}

// Wrap seals key under kek (32 bytes) and binds it to aad. A wrapped key is not a message: Open refuses it, as
// Unwrap refuses messages.
func Wrap(kek []byte, key *Key, aad []byte) ([]byte, error) {
	return wrap.Seal(kek, key[:], aad)
}

// Unwrap returns the key that Wrap was given, or ErrOpen.
func Unwrap(kek, wrapped, aad []byte) (Key, error) {
	if len(wrapped) != WrappedSize {
		return Key{}, ErrOpen
	}
	plaintext, err := wrap.Open(kek, wrapped, aad)
	if err != nil {
		return Key{}, err
	}
	defer clear(plaintext)
	return Key(plaintext), nil
}
