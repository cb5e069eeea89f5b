// Package seal is the one place where Bawn turns plaintext into ciphertext: small messages (blobs), 32-byte
// keys (wraps) and byte streams that can be read at any offset.
//
// It trusts the key that the caller hands it and the operating system's random source, and nothing else: the
// sealed bytes may come from anyone. Who controls them can make Open or a read fail, and learns the plaintext's
// length; no change, cut, extension, exchange of chunks or of whole messages goes unnoticed, and nothing that
// fails to open is ever handed out. Who holds two messages of equal purpose, key and associated data can present
// one in place of the other: bind what must not be exchanged (an object's name and version, an encryption
// context) in the associated data.
//
// Every message has a key of its own, derived from the caller's by SP 800-108 (counter mode, HMAC-SHA-256) with a
// 32-byte random salt, then used with AES-256-GCM and a random nonce. Two messages share a derived key only if two
// salts collide: under 2^-128 after 2^64 messages with one key. A stream uses its key for at most MaxChunks
// nonces, which keeps the chance of a repeated nonce below 2^-42 (NIST SP 800-38D asks for 2^-32). All of it is
// available under GODEBUG=fips140=only. The byte layouts are in docs/formats/seal.md.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

const (
	// MaxPlaintext is the greatest length in bytes that Seal takes; use a stream for more.
	MaxPlaintext = 16 << 20
	// Overhead is how many bytes longer a blob is than its plaintext.
	Overhead = 1 + saltSize + nonceSize + tagSize

	blobVersion = 0x01
	saltSize    = 32
	nonceSize   = 12
	tagSize     = 16
)

// ErrOpen says that sealed bytes were refused. It never says why: wrong key, purpose or associated data, and any
// change to the bytes, look the same.
var ErrOpen = errors.New("seal: cannot open")

// Purpose separates domains: what is sealed for one purpose does not open for another, under the same key. It is
// 1 to 64 bytes of printable ASCII, a constant at the caller; the zero value refuses to seal and to open.
type Purpose string

const (
	message Purpose = "message"
	wrap    Purpose = "wrap"
)

// Seal encrypts plaintext (at most MaxPlaintext bytes) under the 32-byte key for the general purpose of a message
// and binds it to aad, which is authenticated and not stored.
func Seal(key, plaintext, aad []byte) ([]byte, error) { return message.Seal(key, plaintext, aad) }

// Open returns what Seal was given, or ErrOpen.
func Open(key, sealed, aad []byte) ([]byte, error) { return message.Open(key, sealed, aad) }

// Seal is the package's Seal in the purpose's domain.
func (p Purpose) Seal(key, plaintext, aad []byte) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("seal: %d bytes of plaintext, the limit is %d", len(plaintext), MaxPlaintext)
	}
	out := make([]byte, 1+saltSize, len(plaintext)+Overhead)
	out[0] = blobVersion
	salt := out[1:]
	rand.Read(salt) // never fails: the program ends instead
	aead, err := p.blobCipher(key, salt)
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, nil, plaintext, blobAAD(aad)), nil
}

// Open is the package's Open in the purpose's domain.
func (p Purpose) Open(key, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < Overhead || len(sealed) > MaxPlaintext+Overhead || sealed[0] != blobVersion {
		return nil, ErrOpen
	}
	aead, err := p.blobCipher(key, sealed[1:1+saltSize])
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, sealed[1+saltSize:], blobAAD(aad))
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

func (p Purpose) blobCipher(key, salt []byte) (cipher.AEAD, error) {
	if !p.valid() {
		return nil, errors.New("seal: a purpose is 1 to 64 bytes of printable ASCII")
	}
	return newCipher(key, "bawn.dev/seal blob v1 "+string(p), salt)
}

func (p Purpose) valid() bool {
	for i := range len(p) {
		if p[i] < ' ' || p[i] > '~' {
			return false
		}
	}
	return len(p) >= 1 && len(p) <= 64
}

// blobAAD puts the version byte under the tag as well: the label already depends on it, but a later version may
// keep the label.
func blobAAD(aad []byte) []byte {
	return append(append(make([]byte, 0, 1+len(aad)), blobVersion), aad...)
}

// newCipher derives a key for one message and readies AES-256-GCM with it.
func newCipher(key []byte, label string, context []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("seal: a key is %d bytes, not %d", KeySize, len(key))
	}
	derived := kdf(key, label, context)
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
