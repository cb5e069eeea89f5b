package signin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"strings"

	"bawn.dev/internal/store"
)

// Recovery codes stand in for a lost device, each once.
const (
	recoveryCodes  = 10
	recoveryLength = 10 // bytes, so that nobody guesses one
)

// newRecoveryCodes makes a set, as people write them down.
func newRecoveryCodes() []string {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		raw := make([]byte, recoveryLength)
		rand.Read(raw)
		text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
		codes[i] = text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
	}
	return codes
}

// recoveryDigest is what is kept of a code: without the room's key it tells nothing.
func (s *Service) recoveryDigest(userID, code string) string {
	mac := hmac.New(sha256.New, s.Key[:])
	mac.Write([]byte("bawn signin recovery code v1\x00" + userID + "\x00" + strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))))
	return hex.EncodeToString(mac.Sum(nil))
}

// setRecoveryCodes puts codes in the place of a person's.
func (s *Service) setRecoveryCodes(tx *store.Tx, userID string, codes []string) error {
	if _, err := tx.Exec(`DELETE FROM signin_recovery WHERE user_id = ?`, userID); err != nil {
		return err
	}
	for _, code := range codes {
		if _, err := tx.Exec(`INSERT INTO signin_recovery (user_id, digest) VALUES (?, ?)`, userID, s.recoveryDigest(userID, code)); err != nil {
			return err
		}
	}
	return tx.Touch(personKey(userID))
}

// recoveryLeft counts a person's unused codes.
func recoveryLeft(q store.Querier, userID string) (n int32, err error) {
	if _, err := q.Version(personKey(userID)); err != nil {
		return 0, err
	}
	return n, q.QueryRow(`SELECT count(*) FROM signin_recovery WHERE user_id = ?`, userID).Scan(&n)
}

// recovers says whether a code is one of a person's unused ones.
func (s *Service) recovers(sn *store.Snapshot, userID, code string) (bool, error) {
	var n int
	err := sn.QueryRow(`SELECT count(*) FROM signin_recovery WHERE user_id = ? AND digest = ?`, userID, s.recoveryDigest(userID, code)).Scan(&n)
	return n > 0, err
}

// spendRecovery uses a code up.
func (s *Service) spendRecovery(tx *store.Tx, userID, code string) error {
	_, err := tx.Exec(`DELETE FROM signin_recovery WHERE user_id = ? AND digest = ?`, userID, s.recoveryDigest(userID, code))
	return errors.Join(err, tx.Touch(personKey(userID)))
}
