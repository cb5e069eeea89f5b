package organizations

import "bawn.dev/internal/store"

// Accounts lists the ids of all accounts, for the administrator's own questions.
func (s *Service) Accounts(q store.Querier) ([]string, error) {
	return store.Collect(q, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM organizations_accounts ORDER BY id`)
}
