package iam

import (
	"fmt"
	"time"

	"bawn.dev/internal/store"
)

// Bootstrap makes the first administrator of an account: a user with
// AdministratorAccess and an access key. The secret is answered once. It fails
// when the user exists.
func (s *Service) Bootstrap(tx *store.Tx, account, userName string, now time.Time) (accessKeyID, secret string, err error) {
	e := newEntity(user, account, "/", userName, now)
	admin := s.supplied[policyARN(supplier, "/", "AdministratorAccess")]
	if admin == nil {
		return "", "", fmt.Errorf("iam: no AdministratorAccess is supplied")
	}
	if err := insertEntity(tx, e); err != nil {
		return "", "", err
	}
	if err := joinPolicy(tx, e, admin); err != nil {
		return "", "", err
	}
	id, text, sealed, err := s.newSecret(e.id)
	if err != nil {
		return "", "", err
	}
	_, err = s.insertAccessKey(tx, e, id, text, sealed, now)
	return id, text, err
}
