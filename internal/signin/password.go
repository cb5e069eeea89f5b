package signin

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/text/unicode/norm"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

// A Source checks the passwords of people who come from another directory.
type Source interface {
	// Owns says whether the source keeps a person's password. Such a person has none
	// here.
	Owns(ctx context.Context, sn *store.Snapshot, userID string) (bool, error)
	// Authenticate says whether a password is hers. An error is the source's own
	// trouble, not a wrong password. It is bounded in time by the source.
	Authenticate(ctx context.Context, sn *store.Snapshot, userID, password string) (bool, error)
	// Pretend is the work of Authenticate for somebody whose password no source keeps,
	// at the source that pick says; nothing where there is none.
	Pretend(ctx context.Context, sn *store.Snapshot, pick uint64) error
}

const (
	passwordSealing seal.Purpose = "signin password"

	pbkdf2SHA256 = "PBKDF2-HMAC-SHA256"
	// iterations is the work of a new hash. An old one with less is replaced when its
	// password is given.
	iterations = 600_000
	saltLength = 16
	hashLength = 32
	// oneTimeLife is how long a password that an administrator set may wait for its
	// first use.
	oneTimeLife = 7 * 24 * time.Hour

	// hashPatience is how long a sign-in waits for others' hashes, and hashQueue how
	// many wait: guessing must not eat the machine.
	hashPatience = 3 * time.Second
	hashQueue    = 16
)

// A password is what is kept of one, sealed: a stolen database without the room's
// key gives nothing to guess at.
type password struct {
	Algorithm  string `json:"alg"`
	Iterations int    `json:"iterations"`
	Salt       []byte `json:"salt"`
	Hash       []byte `json:"hash"`

	mustChange bool
	expires    time.Time // of one that an administrator set; zero: never
	changed    int64     // when it was set, in microseconds
}

// since tells one password of a person from the next; 0 where none is kept here.
func (p *password) since() int64 {
	if p == nil {
		return 0
	}
	return p.changed
}

// A hasher does the work of passwords, of few at a time.
type hasher struct {
	slots, queue chan struct{}
	derive       func(password string, salt []byte, iterations int) ([]byte, error)
}

func newHasher() *hasher {
	return &hasher{
		slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		queue: make(chan struct{}, hashQueue),
		derive: func(password string, salt []byte, iterations int) ([]byte, error) {
			return pbkdf2.Key(sha256.New, password, salt, iterations, hashLength)
		},
	}
}

// hash waits for its turn. Where too many wait already, it is told to come later.
func (h *hasher) hash(ctx context.Context, password string, salt []byte, iterations int) ([]byte, error) {
	select {
	case h.queue <- struct{}{}:
		defer func() { <-h.queue }()
	default:
		return nil, tooFast("The server is busy with other sign-ins. Please try again in a moment.")
	}
	patience := time.NewTimer(hashPatience)
	defer patience.Stop()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-patience.C:
		return nil, tooFast("The server is busy with other sign-ins. Please try again in a moment.")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// One text has one form, whichever keyboard it was typed on.
	return h.derive(norm.NFC.String(password), salt, iterations)
}

// decoy is what is compared where there is no password: nobody has it, and to find
// that out is as much work as with one.
var decoy = &password{Algorithm: pbkdf2SHA256, Iterations: iterations, Salt: make([]byte, saltLength), Hash: make([]byte, hashLength)}

// matches says whether text is the password. p may be nil: it never is, and that
// costs the same.
func (h *hasher) matches(ctx context.Context, p *password, text string) (bool, error) {
	with := p
	if with == nil {
		with = decoy
	}
	if with.Algorithm != pbkdf2SHA256 {
		return false, fmt.Errorf("signin: a password is kept by %q", with.Algorithm)
	}
	got, err := h.hash(ctx, text, with.Salt, with.Iterations)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, with.Hash) == 1 && p != nil, nil
}

// keep makes what is to be kept of a password.
func (h *hasher) keep(ctx context.Context, text string) (*password, error) {
	salt := make([]byte, saltLength)
	rand.Read(salt)
	hash, err := h.hash(ctx, text, salt, iterations)
	return &password{Algorithm: pbkdf2SHA256, Iterations: iterations, Salt: salt, Hash: hash}, err
}

// personKey is the version key of all by which a person proves herself.
func personKey(userID string) string { return "signin:person/" + userID }

// password finds what is kept of a person's password; nil if there is none.
func (s *Service) password(sn *store.Snapshot, userID string) (*password, error) {
	if _, err := sn.Version(personKey(userID)); err != nil {
		return nil, err
	}
	var sealed []byte
	var expires int64
	p := &password{}
	err := sn.QueryRow(`SELECT sealed, must_change, expires, changed FROM signin_passwords WHERE user_id = ?`, userID).Scan(&sealed, &p.mustChange, &expires, &p.changed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err := passwordSealing.Open(s.Key[:], sealed, []byte(userID))
	if err != nil {
		return nil, err
	}
	if expires != 0 {
		p.expires = time.UnixMicro(expires)
	}
	return p, json.Unmarshal(raw, p)
}

// local is the password of a person that is kept here, nil if there is none; or it is
// owned by another directory, and one from before counts no more.
func (s *Service) local(ctx context.Context, c *api.Call, userID string) (p *password, owned bool, err error) {
	if s.Source != nil {
		if owned, err = s.Source.Owns(ctx, c.Snapshot, userID); err != nil || owned {
			return nil, owned, err
		}
	}
	p, err = s.password(c.Snapshot, userID)
	return p, false, err
}

// setPassword puts a password in the place of a person's.
func (s *Service) setPassword(tx *store.Tx, userID string, p *password, now time.Time) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	sealed, err := passwordSealing.Seal(s.Key[:], raw, []byte(userID))
	if err != nil {
		return err
	}
	expires := int64(0)
	if !p.expires.IsZero() {
		expires = p.expires.UnixMicro()
	}
	if _, err := tx.Exec(`DELETE FROM signin_passwords WHERE user_id = ?`, userID); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO signin_passwords (user_id, sealed, must_change, expires, changed) VALUES (?, ?, ?, ?, ?)`,
		userID, sealed, p.mustChange, expires, now.UnixMicro())
	return errors.Join(err, tx.Touch(personKey(userID)))
}
