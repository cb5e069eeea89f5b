package iam

import (
	"context"
	"database/sql"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// KeyAccount is the account of a long-term access key, active or not. A missing key
// is ErrGone.
func (s *Service) KeyAccount(_ context.Context, sn *store.Snapshot, accessKeyID string) (string, error) {
	if _, err := sn.Version(accessKeyKey(accessKeyID)); err != nil {
		return "", err
	}
	var account string
	err := sn.QueryRow(`SELECT e.account FROM iam_access_keys k JOIN iam_entities e ON e.id = k.owner WHERE k.id = ?`, accessKeyID).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) {
		err = api.ErrGone
	}
	return account, err
}
