package organizations

import (
	"database/sql"
	"errors"
	"time"

	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// Migrations are the tables of the service. Times are microseconds since 1970.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "organizations", Version: 1, SQL: []string{
		// One row: there is one organization.
		`CREATE TABLE organizations_organization (
			single INTEGER PRIMARY KEY CHECK (single = 1), id TEXT NOT NULL, root TEXT NOT NULL, management TEXT NOT NULL,
			created INTEGER NOT NULL)`,
		`CREATE TABLE organizations_accounts (
			id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, state TEXT NOT NULL, joined TEXT NOT NULL,
			created INTEGER NOT NULL, not_before INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE UNIQUE INDEX organizations_accounts_email ON organizations_accounts (email)`,
		`CREATE TABLE organizations_requests (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, state TEXT NOT NULL,
			reason TEXT NOT NULL, requested INTEGER NOT NULL, completed INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX organizations_requests_state ON organizations_requests (state)`,
	}}}
}

type org struct{ id, root, management string }

// organization reads the one there is.
func organization(q store.Querier) (org, error) {
	var o org
	err := q.QueryRow(`SELECT id, root, management FROM organizations_organization WHERE single = 1`).Scan(&o.id, &o.root, &o.management)
	return o, err
}

type account struct {
	id, name, email string
	state           shape.AccountState
	joined          shape.AccountJoinedMethod
	created         time.Time
	notBefore       time.Time
}

// active says whether calls are served in the account. One that is being made is:
// its first role is made by a call.
func (a *account) active() bool {
	return a.state == shape.AccountStateActive || a.state == shape.AccountStatePendingActivation
}

func accountKey(id string) string { return "organizations:account/" + id }

func requestKey(id string) string { return "organizations:request/" + id }

const accountColumns = `id, name, email, state, joined, created, not_before`

func scanAccount(scan func(...any) error) (*account, error) {
	a := &account{}
	var created, notBefore int64
	err := scan(&a.id, &a.name, &a.email, &a.state, &a.joined, &created, &notBefore)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	a.created = time.UnixMicro(created).UTC()
	if notBefore != 0 {
		a.notBefore = time.UnixMicro(notBefore).UTC()
	}
	return a, err
}

func accountByID(q store.Querier, id string) (*account, error) {
	return scanAccount(q.QueryRow(`SELECT `+accountColumns+` FROM organizations_accounts WHERE id = ?`, id).Scan)
}

func insertAccount(tx *store.Tx, a *account) error {
	if _, err := tx.Exec(`INSERT INTO organizations_accounts (id, name, email, state, joined, created, not_before) VALUES (?, ?, ?, ?, ?, ?, 0)`,
		a.id, a.name, a.email, string(a.state), string(a.joined), a.created.UnixMicro()); err != nil {
		return err
	}
	return tx.Touch(accountKey(a.id))
}

// A request is an account that somebody asked for.
type request struct {
	id, account, name, role string
	state                   shape.CreateAccountState
	reason                  shape.CreateAccountFailureReason
	requested, completed    time.Time
}

const requestColumns = `id, account, name, role, state, reason, requested, completed`

func scanRequest(scan func(...any) error) (*request, error) {
	r := &request{}
	var requested, completed int64
	err := scan(&r.id, &r.account, &r.name, &r.role, &r.state, &r.reason, &requested, &completed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	r.requested = time.UnixMicro(requested).UTC()
	if completed != 0 {
		r.completed = time.UnixMicro(completed).UTC()
	}
	return r, err
}

func insertRequest(tx *store.Tx, r *request) error {
	var completed int64
	if !r.completed.IsZero() {
		completed = r.completed.UnixMicro()
	}
	if _, err := tx.Exec(`INSERT INTO organizations_requests (id, account, name, role, state, reason, requested, completed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		r.id, r.account, r.name, r.role, string(r.state), string(r.reason), r.requested.UnixMicro(), completed); err != nil {
		return err
	}
	return tx.Touch(requestKey(r.id))
}
