package organizations

import (
	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// Named is what an account is called, and its address. One that is not there, or is
// closed, is api.ErrGone.
func (s *Service) Named(sn *store.Snapshot, id string) (name, email string, err error) {
	if _, err := sn.Version(accountKey(id)); err != nil {
		return "", "", err
	}
	a, err := accountByID(sn, id)
	if err == nil && (a == nil || !a.active()) {
		err = api.ErrGone
	}
	if err != nil {
		return "", "", err
	}
	return a.name, a.email, nil
}
