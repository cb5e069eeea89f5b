package organizations

import (
	"database/sql"
	"errors"
	"time"

	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

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
	closed          time.Time
	parent          string
}

// active says whether calls are served in the account. One that is being made is:
// its first role is made by a call.
func (a *account) active() bool {
	return a.state == shape.AccountStateActive || a.state == shape.AccountStatePendingActivation
}

func accountKey(id string) string { return "organizations:account/" + id }

func requestKey(id string) string { return "organizations:request/" + id }

const accountColumns = `id, name, email, state, joined, created, not_before, closed, parent`

func scanAccount(scan func(...any) error) (*account, error) {
	a := &account{}
	var created, notBefore, closed int64
	err := scan(&a.id, &a.name, &a.email, &a.state, &a.joined, &created, &notBefore, &closed, &a.parent)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	a.created = time.UnixMicro(created).UTC()
	if notBefore != 0 {
		a.notBefore = time.UnixMicro(notBefore).UTC()
	}
	if closed != 0 {
		a.closed = time.UnixMicro(closed).UTC()
	}
	return a, err
}

func accountByID(q store.Querier, id string) (*account, error) {
	return scanAccount(q.QueryRow(`SELECT `+accountColumns+` FROM organizations_accounts WHERE id = ?`, id).Scan)
}

// insertAccount puts a new account under the root, where the policies that AWS
// attaches of itself are attached to it.
func insertAccount(tx *store.Tx, o org, a *account) error {
	if _, err := tx.Exec(`INSERT INTO organizations_accounts (id, name, email, state, joined, created, not_before, parent) VALUES (?, ?, ?, ?, ?, ?, 0, ?)`,
		a.id, a.name, a.email, string(a.state), string(a.joined), a.created.UnixMicro(), o.root); err != nil {
		return err
	}
	if err := attachSupplied(tx, a.id); err != nil {
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
