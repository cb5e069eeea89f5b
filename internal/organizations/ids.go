package organizations

import (
	"context"

	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// Accounts lists the ids of all accounts, for the administrator's own questions.
func (s *Service) Accounts(q store.Querier) ([]string, error) {
	return store.Collect(q, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM organizations_accounts ORDER BY id`)
}

// Open lists the ids of the accounts that are not closed.
func (s *Service) Open(q store.Querier) ([]string, error) {
	return store.Collect(q, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM organizations_accounts WHERE state = ? ORDER BY id`, string(shape.AccountStateActive))
}

// Together says whether two accounts are of one organization now. There is one
// organization here, so both are if they exist and neither is closed.
func (s *Service) Together(_ context.Context, q store.Querier, a, b string) (bool, error) {
	if _, err := q.Versions(accountKey(a), accountKey(b)); err != nil { // a decision depends on it
		return false, err
	}
	for _, id := range []string{a, b} {
		found, err := accountByID(q, id)
		if err != nil || found == nil || !found.active() {
			return false, err
		}
	}
	return true, nil
}
