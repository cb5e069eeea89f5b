package ledger

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a leaf or node of the tree, SHA-256.
type Hash = tlog.Hash

// LeafHash is the hash of a record's exact bytes (RFC 6962, 2.1: 0x00 before).
func LeafHash(record []byte) Hash { return tlog.RecordHash(record) }

// Checkpoint is a tree head: so many leaves, this root.
type Checkpoint struct {
	Origin string // names the log; one line
	Size   int64
	Root   Hash
}

// text is the body of the note: origin, size and root, a line each, the form
// that transparency logs share (C2SP tlog-checkpoint).
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// ErrCheckpoint says that a checkpoint is not one, or not signed by the key.
var ErrCheckpoint = errors.New("ledger: not a checkpoint signed by this log's key")

func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return Checkpoint{}, ErrCheckpoint
	}
	size, err := decimal(lines[1])
	if err != nil {
		return Checkpoint{}, ErrCheckpoint
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != sha256.Size {
		return Checkpoint{}, ErrCheckpoint
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: Hash(root)}, nil
}

// Signer signs checkpoints of one log. Its zero value signs nothing.
type Signer struct{ note note.Signer }

// NewSigner makes a log's signer from its name (one line, no spaces, no '+') and
// its Ed25519 key.
func NewSigner(name string, key ed25519.PrivateKey) (Signer, error) {
	if !validName(name) || len(key) != ed25519.PrivateKeySize {
		return Signer{}, errors.New("ledger: bad name or key of a signer")
	}
	public := key.Public().(ed25519.PublicKey)
	return Signer{&ed25519Signer{name: name, hash: keyHash(name, public), key: key}}, nil
}

// Origin is the log's name.
func (s Signer) Origin() string {
	if s.note == nil {
		return ""
	}
	return s.note.Name()
}

// Verifier returns the public half, for checking what was signed.
func (s Signer) Verifier() (Verifier, error) {
	if s.note == nil {
		return Verifier{}, errors.New("ledger: no key")
	}
	key := s.note.(*ed25519Signer)
	return ParseVerifier(verifierText(key.name, key.key.Public().(ed25519.PublicKey)))
}

// Secret derives a key from the signing key, for what the log's servers alone may do
// besides signing: another for each purpose.
func (s Signer) Secret(purpose string) ([]byte, error) {
	if s.note == nil {
		return nil, errors.New("ledger: no key to derive from")
	}
	return hkdf.Key(sha256.New, s.note.(*ed25519Signer).key.Seed(), nil, "bawn ledger: "+purpose, sha256.Size)
}

// Sign returns the checkpoint as a signed note.
func (s Signer) Sign(c Checkpoint) ([]byte, error) {
	if s.note == nil {
		return nil, errors.New("ledger: no key to sign with")
	}
	if c.Origin != s.note.Name() || c.Size < 0 {
		return nil, errors.New("ledger: a checkpoint of another log")
	}
	return note.Sign(&note.Note{Text: c.text()}, s.note)
}

// Verifier checks checkpoints of one log. Its zero value accepts nothing.
type Verifier struct {
	note note.Verifier
	text string
}

// ParseVerifier reads a public key as String prints it: name+hash+key.
func ParseVerifier(text string) (Verifier, error) {
	v, err := note.NewVerifier(text)
	if err != nil {
		return Verifier{}, fmt.Errorf("ledger: public key: %w", err)
	}
	return Verifier{v, text}, nil
}

func (v Verifier) String() string { return v.text }

// maxCheckpoint bounds a signed note that is read.
const maxCheckpoint = 16 << 10

// Open checks a signed checkpoint and returns what it says.
func (v Verifier) Open(signed []byte) (Checkpoint, error) {
	if v.note == nil || len(signed) > maxCheckpoint {
		return Checkpoint{}, ErrCheckpoint
	}
	n, err := note.Open(signed, note.VerifierList(v.note))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.note.Name() {
		return Checkpoint{}, fmt.Errorf("%w: it is of log %q", ErrCheckpoint, c.Origin)
	}
	return c, nil
}

type ed25519Signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

func (s *ed25519Signer) Name() string                    { return s.name }
func (s *ed25519Signer) KeyHash() uint32                 { return s.hash }
func (s *ed25519Signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

const algorithmEd25519 = 1 // package note's identifier

func keyHash(name string, public ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write(append([]byte{algorithmEd25519}, public...))
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func verifierText(name string, public ed25519.PublicKey) string {
	return fmt.Sprintf("%s+%08x+%s", name, keyHash(name, public),
		base64.StdEncoding.EncodeToString(append([]byte{algorithmEd25519}, public...)))
}

func validName(name string) bool {
	return name != "" && len(name) <= 256 && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r == '+' || r > '~'
	})
}
