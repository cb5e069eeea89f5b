package signin

import (
	"database/sql"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/store"
)

// An approval is what a client asks a person for. It is found by a secret that the
// client holds (the device code, or the code that came by the browser), which gives
// one sign-in and is then kept to notice that somebody shows it again.
type approval struct {
	id        string // digest of that secret
	userCode  string // digest of what the person types; empty where she was sent here
	client    string // digest of the client's id
	name      string // that the client gave itself
	scopes    []string
	redirect  string // where the code was sent
	challenge string // digest of what the client must show with the code
	source    string // address that the client asked from
	agent     string
	created   time.Time
	expires   time.Time
	state     approvalState
	userID    string // who approved it
	parent    string // her sign-in
	session   string // that was begun for the client
}

type approvalState string

const (
	asked    approvalState = "asked"
	approved approvalState = "approved"
	refusal  approvalState = "denied"
	taken    approvalState = "taken"
)

// approvalMigration holds what clients ask for, and the sign-ins that they got.
var approvalMigration = store.Migration{Room: "signin", Version: 4, SQL: []string{
	`CREATE TABLE signin_approvals (id TEXT PRIMARY KEY, user_code TEXT UNIQUE, client TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL,
		redirect TEXT NOT NULL, challenge TEXT NOT NULL, source TEXT NOT NULL, agent TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,
		state TEXT NOT NULL, user_id TEXT NOT NULL, parent TEXT NOT NULL, session TEXT NOT NULL)`,
	`CREATE INDEX signin_approvals_expires ON signin_approvals (expires)`,
	`CREATE TABLE signin_clients (session TEXT PRIMARY KEY, parent TEXT NOT NULL, client TEXT NOT NULL, scopes TEXT NOT NULL,
		serial INTEGER NOT NULL, rotated INTEGER NOT NULL)`,
}}

func approvalKey(id string) string { return "signin:approval/" + id }

const approvalColumns = `id, coalesce(user_code, ''), client, name, scopes, redirect, challenge, source, agent, created, expires, state, user_id, parent, session`

// approvalWhere finds an approval; nil if there is none.
func approvalWhere(sn *store.Snapshot, column, value string) (*approval, error) {
	a := &approval{}
	var scopes string
	var created, expires int64
	err := sn.QueryRow(`SELECT `+approvalColumns+` FROM signin_approvals WHERE `+column+` = ?`, value).Scan(&a.id, &a.userCode, &a.client, &a.name,
		&scopes, &a.redirect, &a.challenge, &a.source, &a.agent, &created, &expires, (*string)(&a.state), &a.userID, &a.parent, &a.session)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a.scopes, a.created, a.expires = strings.Fields(scopes), time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
	_, err = sn.Version(approvalKey(a.id))
	return a, err
}

func (a *approval) insert(tx *store.Tx, now time.Time) error {
	if _, err := tx.Exec(`DELETE FROM signin_approvals WHERE expires < ?`, now.UnixMicro()); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO signin_approvals (id, user_code, client, name, scopes, redirect, challenge, source, agent, created, expires, state,
		user_id, parent, session) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.id, sql.NullString{String: a.userCode, Valid: a.userCode != ""}, a.client, a.name, strings.Join(a.scopes, " "), a.redirect, a.challenge,
		a.source, clip(a.agent, 256), a.created.UnixMicro(), a.expires.UnixMicro(), string(a.state), a.userID, a.parent, a.session)
	return errors.Join(err, tx.Touch(approvalKey(a.id)))
}

// update writes down who decided, or what was given.
func (a *approval) update(tx *store.Tx) error {
	_, err := tx.Exec(`UPDATE signin_approvals SET state = ?, user_id = ?, parent = ?, session = ?, expires = ? WHERE id = ?`,
		string(a.state), a.userID, a.parent, a.session, a.expires.UnixMicro(), a.id)
	return errors.Join(err, tx.Touch(approvalKey(a.id)))
}
