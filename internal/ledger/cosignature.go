package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// A cosignature is a witness's word that a checkpoint extends all that it saw of the log
// before, and when it saw it (C2SP tlog-cosignature, Ed25519).

const (
	algorithmCosignature = 4
	cosignatureSize      = 8 + ed25519.SignatureSize
)

// Cosigner co-signs checkpoints. Its zero value signs nothing.
type Cosigner struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

// NewCosigner makes a witness's signer from its name (as a log's) and its key, which
// serves nothing else.
func NewCosigner(name string, key ed25519.PrivateKey) (Cosigner, error) {
	if !validName(name) || len(key) != ed25519.PrivateKeySize {
		return Cosigner{}, errors.New("ledger: bad name or key of a witness")
	}
	public := key.Public().(ed25519.PublicKey)
	return Cosigner{name, cosignerHash(name, public), key}, nil
}

// Public is the key that verifies what it signs, as ParseWitness reads it.
func (c Cosigner) Public() string {
	public := c.key.Public().(ed25519.PublicKey)
	return fmt.Sprintf("%s+%08x+%s", c.name, c.hash, base64.StdEncoding.EncodeToString(append([]byte{algorithmCosignature}, public...)))
}

// Cosign returns the signature line for a checkpoint, of which it checks nothing.
func (c Cosigner) Cosign(signed []byte, at time.Time) ([]byte, error) {
	body, ok := noteText(signed)
	if !ok || c.key == nil || at.Unix() < 0 {
		return nil, ErrCheckpoint
	}
	seconds := uint64(at.Unix()) //nolint:gosec // not negative
	raw := binary.BigEndian.AppendUint32(nil, c.hash)
	raw = binary.BigEndian.AppendUint64(raw, seconds)
	raw = append(raw, ed25519.Sign(c.key, cosigned(seconds, body))...)
	return fmt.Appendf(nil, "— %s %s\n", c.name, base64.StdEncoding.EncodeToString(raw)), nil
}

// cosigned is what a cosignature signs.
func cosigned(seconds uint64, body string) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", seconds, body)
}

// noteText is the body of a signed note, which is not checked.
func noteText(signed []byte) (string, bool) {
	if len(signed) > maxCheckpoint {
		return "", false
	}
	i := strings.LastIndex(string(signed), "\n\n")
	if i < 0 {
		return "", false
	}
	body := string(signed[:i+1])
	_, err := parseCheckpoint(body)
	return body, err == nil
}

// Witness verifies cosignatures of one witness.
type Witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// ParseWitness reads a witness's public key: name+hash+key.
func ParseWitness(text string) (Witness, error) {
	bad := fmt.Errorf("ledger: %q is not a witness's key", text)
	name, rest, ok := strings.Cut(text, "+")
	hash, encoded, ok2 := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || !ok2 || err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algorithmCosignature || !validName(name) {
		return Witness{}, bad
	}
	w := Witness{name, cosignerHash(name, raw[1:]), raw[1:]}
	if hash != fmt.Sprintf("%08x", w.hash) {
		return Witness{}, bad
	}
	return w, nil
}

// Name tells witnesses apart.
func (w Witness) Name() string { return w.name }

// Seen is when the witness co-signed the checkpoint. ErrCheckpoint if it did not.
func (w Witness) Seen(signed []byte) (time.Time, error) {
	if w.key == nil || len(signed) > maxCheckpoint {
		return time.Time{}, ErrCheckpoint
	}
	var at time.Time
	_, err := note.Open(signed, note.VerifierList(cosignature{w, &at}))
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: not co-signed by %s: %w", ErrCheckpoint, w.name, err)
	}
	return at, nil
}

// cosignature is a note's verifier that notes when the signature was made.
type cosignature struct {
	witness Witness
	at      *time.Time
}

func (c cosignature) Name() string    { return c.witness.name }
func (c cosignature) KeyHash() uint32 { return c.witness.hash }

// Verify checks a cosignature of the note's body.
func (c cosignature) Verify(body, signature []byte) bool {
	if len(signature) != cosignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(signature)
	if seconds > 1<<62 || !ed25519.Verify(c.witness.key, cosigned(seconds, string(body)), signature[8:]) {
		return false
	}
	*c.at = time.Unix(int64(seconds), 0).UTC() //nolint:gosec // bounded above
	return true
}

func cosignerHash(name string, public ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write(append([]byte{algorithmCosignature}, public...))
	return binary.BigEndian.Uint32(h.Sum(nil))
}
