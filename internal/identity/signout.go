package identity

import (
	"errors"
	"time"

	"bawn.dev/internal/store"
)

// SignOut ends all that a person began before now: her sign-ins, the sessions that
// carry her and what runs on her behalf. She may sign in again.
func (s *Service) SignOut(tx *store.Tx, userID string, now time.Time) error {
	at := now.UnixMicro()
	_, err := tx.Exec(`UPDATE identity_users SET not_before = ? WHERE id = ? AND not_before < ?`, at, userID, at)
	return errors.Join(err, tx.Touch(userKey(userID)))
}
