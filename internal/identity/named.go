package identity

import (
	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// Named is what an enabled person is called: her user name, how she is shown, and her
// first address, if she has one. api.ErrGone for one who was removed or disabled.
func (s *Service) Named(sn *store.Snapshot, userID string) (userName, displayName, email string, err error) {
	u, err := user(sn, userID)
	if err != nil {
		return "", "", "", err
	}
	if u == nil {
		return "", "", "", api.ErrGone
	}
	var enabled bool
	if err := sn.QueryRow(`SELECT enabled FROM identity_users WHERE id = ?`, userID).Scan(&enabled); err != nil {
		return "", "", "", err
	}
	if !enabled {
		return "", "", "", api.ErrGone
	}
	if len(u.Emails) > 0 {
		email = u.Emails[0].Value
	}
	return u.UserName, u.DisplayName, email, nil
}
