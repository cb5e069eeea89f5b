package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const (
	// sessionLife is how long a sign-in lasts, whatever is done with it.
	sessionLife = 8 * time.Hour
	// sessionIdle ends one that nobody used.
	sessionIdle = 2 * time.Hour
	// seenEvery bounds how often use is written down.
	seenEvery = 5 * time.Minute
)

// A Session is a person's sign-in: what her browser, her command line and the
// tokens made for them hang on. Ending it ends all of these on their next use.
type Session struct {
	ID       string // of the row, in records and lists; no secret
	UserID   string
	Created  time.Time
	Seen     time.Time
	Expires  time.Time
	Methods  []string // how she proved herself, as RFC 8176 names it: "pwd", "otp", "hwk", "fed"
	Provider string   // the external identity provider; empty for the built-in directory
	Source   string   // address that she came from
	Agent    string   // what her browser says it is
}

// Strong says whether she proved herself with more than one factor here.
func (s *Session) Strong() bool {
	for _, m := range s.Methods {
		if m == "otp" || m == "hwk" || m == "mfa" {
			return true
		}
	}
	return false
}

func sessionKey(id string) string { return "signin:session/" + id }

// sessionMigration holds sign-ins. The secret that stands for one is kept as its
// digest: who reads the database can end sessions, not use them.
var sessionMigration = store.Migration{Room: "signin", Version: 2, SQL: []string{
	`CREATE TABLE signin_sessions (id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, created INTEGER NOT NULL,
		seen INTEGER NOT NULL, expires INTEGER NOT NULL, methods TEXT NOT NULL, provider TEXT NOT NULL, source TEXT NOT NULL, agent TEXT NOT NULL)`,
	`CREATE INDEX signin_sessions_user ON signin_sessions (user_id)`,
	`CREATE INDEX signin_sessions_expires ON signin_sessions (expires)`,
}}

// begin writes a new sign-in and answers the secret that stands for it. UserID,
// Methods, Provider, Source and Agent are the caller's, and ID may be; the rest is set
// here.
func begin(tx *store.Tx, in *Session, now time.Time) (secret string, err error) {
	secret = rand.Text() + rand.Text()
	if in.ID == "" {
		in.ID = uuid.New()
	}
	in.Created, in.Seen, in.Expires = now.UTC(), now.UTC(), now.UTC().Add(sessionLife)
	if _, err := tx.Exec(`DELETE FROM signin_sessions WHERE expires < ?`, now.UnixMicro()); err != nil {
		return "", err
	}
	_, err = tx.Exec(`INSERT INTO signin_sessions (id, digest, user_id, created, seen, expires, methods, provider, source, agent)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, in.ID, digest(secret), in.UserID, in.Created.UnixMicro(), in.Seen.UnixMicro(),
		in.Expires.UnixMicro(), strings.Join(in.Methods, " "), in.Provider, in.Source, clip(in.Agent, 256))
	return secret, errors.Join(err, tx.Touch(sessionKey(in.ID)))
}

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// clip bounds a text that somebody else chose.
func clip(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

const sessionColumns = `id, user_id, created, seen, expires, methods, provider, source, agent`

func scanSession(scan func(...any) error) (*Session, error) {
	s := &Session{}
	var created, seen, expires int64
	var methods string
	err := scan(&s.ID, &s.UserID, &created, &seen, &expires, &methods, &s.Provider, &s.Source, &s.Agent)
	s.Created, s.Seen, s.Expires = time.UnixMicro(created).UTC(), time.UnixMicro(seen).UTC(), time.UnixMicro(expires).UTC()
	s.Methods = strings.Fields(methods)
	return s, err
}

// bySecret finds the sign-in that a secret stands for. One that ended, was not used
// for long, or whose person is gone is api.ErrGone.
func (s *Service) bySecret(ctx context.Context, sn *store.Snapshot, secret string, now time.Time) (*Session, error) {
	return s.sessionWhere(ctx, sn, `digest = ?`, digest(secret), now)
}

// byID is bySecret for what was sealed with the id in it.
func (s *Service) byID(ctx context.Context, sn *store.Snapshot, id string, now time.Time) (*Session, error) {
	return s.sessionWhere(ctx, sn, `id = ?`, id, now)
}

func (s *Service) sessionWhere(ctx context.Context, sn *store.Snapshot, where, value string, now time.Time) (*Session, error) {
	in, err := scanSession(sn.QueryRow(`SELECT `+sessionColumns+` FROM signin_sessions WHERE `+where, value).Scan)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (now.After(in.Expires) || now.Sub(in.Seen) > sessionIdle) {
		return nil, api.ErrGone
	}
	if err != nil {
		return nil, err
	}
	if _, err := sn.Version(sessionKey(in.ID)); err != nil {
		return nil, err
	}
	p, err := s.person(sn, in)
	if err != nil {
		return nil, err
	}
	if err := s.Directory.Present(ctx, sn, p); err != nil {
		return nil, err
	}
	return in, nil
}

// person is who stands behind what a sign-in does.
func (s *Service) person(sn *store.Snapshot, in *Session) (*api.Person, error) {
	instance, directory, err := s.Directory.Instance(sn)
	return &api.Person{UserID: in.UserID, InstanceARN: instance, IdentityStoreARN: directory, CredentialID: in.ID, SignedIn: in.Created}, err
}

// used notes that a sign-in is in use, now and then.
func used(tx *store.Tx, in *Session, now time.Time) error {
	if now.Sub(in.Seen) < seenEvery {
		return nil
	}
	_, err := tx.Exec(`UPDATE signin_sessions SET seen = ? WHERE id = ?`, now.UnixMicro(), in.ID)
	return err
}

// sessionsOf lists a person's sign-ins, the newest first.
func sessionsOf(q store.Querier, userID string, now time.Time) ([]*Session, error) {
	return store.Collect(q, func(r *store.Rows) (*Session, error) { return scanSession(r.Scan) },
		`SELECT `+sessionColumns+` FROM signin_sessions WHERE user_id = ? AND expires > ? ORDER BY created DESC`, userID, now.UnixMicro())
}

// end ends a sign-in of a person. To end one that is gone changes nothing.
func end(tx *store.Tx, userID, id string) error {
	if _, err := tx.Exec(`DELETE FROM signin_sessions WHERE id = ? AND user_id = ?`, id, userID); err != nil {
		return err
	}
	return tx.Touch(sessionKey(id))
}

// endAll ends every sign-in of a person, and what applications have of her.
func endAll(tx *store.Tx, userID string) error {
	if err := endLineages(tx, userID); err != nil {
		return err
	}
	ids, err := store.Collect(tx, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM signin_sessions WHERE user_id = ?`, userID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := end(tx, userID, id); err != nil {
			return err
		}
	}
	return nil
}

// endWeak ends what a person's password alone had opened, except the sign-in in which
// she registered her first device.
func endWeak(tx *store.Tx, userID, except string) error {
	all, err := store.Collect(tx, func(r *store.Rows) (*Session, error) { return scanSession(r.Scan) },
		`SELECT `+sessionColumns+` FROM signin_sessions WHERE user_id = ? AND provider = '' AND id <> ?`, userID, except)
	for _, in := range all {
		if !in.Strong() {
			err = errors.Join(err, end(tx, userID, in.ID))
		}
	}
	return err
}
