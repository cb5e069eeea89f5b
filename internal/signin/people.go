package signin

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

// What an administrator does for people. Each function prepares a change, which the
// caller commits together with its record.

// OneTimePassword makes a password for a person, to be told to her once: she must
// choose another with it, within days. Her sessions end. One whose password is kept
// by another directory gets none.
func (s *Service) OneTimePassword(ctx context.Context, sn *store.Snapshot, userID string, now time.Time) (string, func(*store.Tx) error, error) {
	if s.Source != nil {
		if owned, err := s.Source.Owns(ctx, sn, userID); err != nil || owned {
			return "", nil, either(err, fmt.Errorf("her password is kept by another directory"))
		}
	}
	raw := make([]byte, 15)
	rand.Read(raw)
	text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
	text = strings.Join([]string{text[:6], text[6:12], text[12:18], text[18:]}, "-")
	p, err := s.hasher.keep(ctx, text)
	if err != nil {
		return "", nil, err
	}
	p.mustChange, p.expires = true, now.Add(oneTimeLife)
	return text, func(tx *store.Tx) error {
		if err := s.setPassword(tx, userID, p, now); err != nil {
			return err
		}
		if err := unlock(tx, userID); err != nil {
			return err
		}
		return endAll(tx, userID)
	}, nil
}

func either(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// Unlock forgets the wrong guesses at a person.
func (s *Service) Unlock(tx *store.Tx, userID string) error { return unlock(tx, userID) }

// ResetDevices takes a person's devices and recovery codes, and ends her sessions. If
// the policy requires a device, she registers one when she signs in next.
func (s *Service) ResetDevices(tx *store.Tx, userID string) error {
	for _, q := range []string{`DELETE FROM signin_devices WHERE user_id = ?`, `DELETE FROM signin_recovery WHERE user_id = ?`} {
		if _, err := tx.Exec(q, userID); err != nil {
			return err
		}
	}
	if err := tx.Touch(personKey(userID)); err != nil {
		return err
	}
	return endAll(tx, userID)
}

// EndSessions ends every sign-in of a person.
func (s *Service) EndSessions(tx *store.Tx, userID string) error { return endAll(tx, userID) }

// MFAPolicy says when a second factor is needed: "required" or "when-registered".
func (s *Service) MFAPolicy(sn *store.Snapshot) (string, error) {
	p, err := readPolicy(sn)
	return strings.ToLower(strings.ReplaceAll(string(p), "_", "-")), err
}

// SetMFAPolicy changes it.
func (s *Service) SetMFAPolicy(tx *store.Tx, name string) error {
	p := mfaPolicy(strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	if p != shape.MfaPolicyRequired && p != shape.MfaPolicyWhenRegistered {
		return &api.Error{Code: "ValidationException", Status: statuses["ValidationException"], Message: `the policy is "required" or "when-registered"`}
	}
	return setPolicy(tx, p)
}
