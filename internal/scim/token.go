package scim

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"regexp"
	"time"

	"bawn.dev/internal/store"
)

// maxTokens is how many tokens are valid at a time: the identity provider's, and the
// one that is to follow it. lifetime is AWS's.
const (
	maxTokens = 2
	lifetime  = 365 * 24 * time.Hour
)

// Migrations are the package's tables. hash is SHA-256 of a token with 256 random
// bits: there is nothing to guess, so nothing slower is needed.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "scim", Version: 1, SQL: []string{
		`CREATE TABLE scim_tokens (id TEXT PRIMARY KEY, hash BLOB NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL)`,
	}}}
}

// A Token is what may be told of one.
type Token struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// Refusals of what an administrator asks.
var (
	ErrTwoTokens = errors.New("two tokens are valid already: delete the one that is no longer used")
	ErrNoToken   = errors.New("there is no such token")
)

// tokenForm is how a token is written: bawn-scim-ID-SECRET.
var tokenForm = regexp.MustCompile(`\Abawn-scim-([A-Z2-7]{26})-([A-Z2-7]{52})\z`)

// CreateToken makes a token. The text is nowhere but in the answer.
func CreateToken(tx *store.Tx, now time.Time) (Token, string, error) {
	if _, err := tx.Exec(`DELETE FROM scim_tokens WHERE expires <= ?`, now.UnixMicro()); err != nil {
		return Token{}, "", err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM scim_tokens`).Scan(&n); err != nil {
		return Token{}, "", err
	}
	if n >= maxTokens {
		return Token{}, "", ErrTwoTokens
	}
	t := Token{ID: rand.Text(), Created: now.UTC().Truncate(time.Second), Expires: now.Add(lifetime).UTC().Truncate(time.Second)}
	text := "bawn-scim-" + t.ID + "-" + rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(text))
	_, err := tx.Exec(`INSERT INTO scim_tokens (id, hash, created, expires) VALUES (?, ?, ?, ?)`, t.ID, sum[:], t.Created.UnixMicro(), t.Expires.UnixMicro())
	return t, text, err
}

// ListTokens lists the tokens, the oldest first; one that ran out stays in the list
// until it is deleted or another is made.
func ListTokens(q store.Querier) ([]Token, error) {
	return store.Collect(q, func(r *store.Rows) (Token, error) {
		var t Token
		var created, expires int64
		err := r.Scan(&t.ID, &created, &expires)
		t.Created, t.Expires = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
		return t, err
	}, `SELECT id, created, expires FROM scim_tokens ORDER BY created, id`)
}

// DeleteToken ends a token: the next request with it is refused.
func DeleteToken(tx *store.Tx, id string) error {
	gone, err := tx.Exec(`DELETE FROM scim_tokens WHERE id = ?`, id)
	if err != nil {
		return err
	}
	if n, err := gone.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrNoToken)
	}
	return nil
}

// errToken says that a request brought no token, or none that is valid.
var errToken = errors.New("the bearer token is missing or not valid")

// verify answers the id of a token that is valid now.
func (s *Server) verify(ctx context.Context, text string, now time.Time) (string, error) {
	parts := tokenForm.FindStringSubmatch(text)
	if parts == nil {
		return "", errToken
	}
	sn, err := s.Store.Snapshot(ctx)
	if err != nil {
		return "", err
	}
	defer sn.Close()
	var hash []byte
	var expires int64
	err = sn.QueryRow(`SELECT hash, expires FROM scim_tokens WHERE id = ?`, parts[1]).Scan(&hash, &expires)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	sum := sha256.Sum256([]byte(text)) // of an unknown one too
	if subtle.ConstantTimeCompare(sum[:], hash) != 1 || now.UnixMicro() >= expires {
		return "", errToken
	}
	return parts[1], nil
}
