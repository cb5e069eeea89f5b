package signin

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// A setup is a device that is being registered by somebody signed in: what it will
// have to answer. It travels sealed, is hers alone and is good once.
type setup struct {
	ID        string    `json:"id"`
	SessionID string    `json:"session"`
	Challenge string    `json:"challenge,omitzero"`
	Seed      []byte    `json:"seed,omitzero"`
	Expires   time.Time `json:"expires"`
}

func (s *Service) sealSetup(m *setup) (string, error) {
	m.ID = uuid.New()
	raw, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	sealed, err := setupSealing.Seal(s.Key[:], raw, nil)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

func (s *Service) openSetup(text string, session *Session, now time.Time) (*setup, error) {
	m := new(setup)
	if unseal(setupSealing, s.Key, text, nil, m) != nil || m.SessionID != session.ID || now.After(m.Expires) {
		return nil, fail("AccessDeniedException", "This setup took too long, or was begun elsewhere. Please begin again.")
	}
	return m, nil
}

// sure refuses who signed in too long ago, or without a device though she has one:
// who came in with her password alone before she registered it must not undo that.
func sure(session *Session, all []*factor, now time.Time) error {
	if len(all) > 0 && !session.Strong() {
		return fail("ReauthenticationRequiredException", "For this you must have signed in with one of your devices. Please sign in again.")
	}
	return recent(session, now)
}

// mayAdd refuses who is not sure to be she, or has devices enough.
func mayAdd(c *api.Call, session *Session) ([]*factor, error) {
	all, err := factors(c.Snapshot, session.UserID)
	if err == nil {
		err = sure(session, all, c.Now)
	}
	if err == nil && len(all) >= maxDevices {
		err = tooManyDevices()
	}
	return all, err
}

func (s *Service) listDevices(_ context.Context, c *api.Call, _ *shape.ListDevicesInput, session *Session) (*shape.ListDevicesOutput, error) {
	all, err := factors(c.Snapshot, session.UserID)
	if err != nil {
		return nil, err
	}
	left, err := recoveryLeft(c.Snapshot, session.UserID)
	out := &shape.ListDevicesOutput{Devices: []shape.Device{}, RecoveryCodesLeft: &left}
	for _, d := range all {
		out.Devices = append(out.Devices, d.shown())
	}
	return out, err
}

// owned finds a device of hers, of any kind if kind is empty.
func owned(c *api.Call, session *Session, kind, id string) (*factor, []*factor, error) {
	all, err := factors(c.Snapshot, session.UserID)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(all, func(d *factor) bool { return d.id == id && (kind == "" || d.kind == kind) })
	if i < 0 {
		return nil, nil, fail("ResourceNotFoundException", "You have no such device.")
	}
	return all[i], all, nil
}

func (s *Service) renameDevice(_ context.Context, c *api.Call, in *shape.RenameDeviceInput, session *Session) (api.Commit[shape.RenameDeviceOutput], error) {
	d, _, err := owned(c, session, "", in.Id)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.RenameDeviceOutput, error) {
		_, err := tx.Exec(`UPDATE signin_devices SET name = ? WHERE id = ?`, in.DeviceName, d.id)
		return &shape.RenameDeviceOutput{}, errors.Join(err, tx.Touch(personKey(d.userID)))
	}, nil
}

func (s *Service) beginTOTP(_ context.Context, c *api.Call, _ *shape.BeginTOTPInput, session *Session) (*shape.BeginTOTPOutput, error) {
	if _, err := mayAdd(c, session); err != nil {
		return nil, err
	}
	who, _, err := s.holder(c.Snapshot, session.UserID)
	if err != nil {
		return nil, err
	}
	m := &setup{SessionID: session.ID, Seed: newSeed(), Expires: c.Now.UTC().Add(flowLife)}
	out := &shape.BeginTOTPOutput{ExpiresAt: m.Expires}
	if out.Totp, err = totpSetup(m.Seed, who.name); err != nil {
		return nil, err
	}
	out.Setup, err = s.sealSetup(m)
	return out, err
}

func (s *Service) confirmTOTP(_ context.Context, c *api.Call, in *shape.ConfirmTOTPInput, session *Session) (api.Commit[shape.ConfirmTOTPOutput], error) {
	m, err := s.openSetup(in.Setup, session, c.Now)
	if err != nil {
		return nil, err
	}
	all, err := mayAdd(c, session)
	if err != nil {
		return nil, err
	}
	if len(m.Seed) == 0 {
		return nil, fail("ValidationException", "This setup is of a passkey.")
	}
	d, err := s.registerTOTP(session.UserID, m.Seed, in.Code, in.DeviceName, c.Now)
	if err != nil {
		return nil, err
	}
	out := &shape.ConfirmTOTPOutput{}
	if d == nil {
		out.Failure, out.Message = shape.FailureCode, "The code is not the one that the application shows now."
		return func(*store.Tx) (*shape.ConfirmTOTPOutput, error) { return out, nil }, nil
	}
	out.Id = d.id
	return func(tx *store.Tx) (_ *shape.ConfirmTOTPOutput, err error) {
		out.RecoveryCodes, err = s.add(tx, m, d, len(all) == 0, c.Now)
		return out, err
	}, nil
}

// add inserts a device. With the first come the codes for when it is lost, and who
// registered it has shown it: she may go on. Whoever else came in by her password is
// out.
func (s *Service) add(tx *store.Tx, m *setup, d *factor, first bool, now time.Time) (codes []string, err error) {
	if err := spend(tx, "setup", m.ID, m.Expires, now); err != nil {
		return nil, err
	}
	if first {
		codes = newRecoveryCodes()
		if err := s.setRecoveryCodes(tx, d.userID, codes); err != nil {
			return nil, err
		}
		shown := map[string]string{totpKind: " otp", passkeyKind: " hwk"}[d.kind]
		_, err := tx.Exec(`UPDATE signin_sessions SET methods = methods || ? WHERE id = ?`, shown, m.SessionID)
		if err := errors.Join(err, tx.Touch(sessionKey(m.SessionID)), endWeak(tx, d.userID, m.SessionID)); err != nil {
			return nil, err
		}
	}
	return codes, d.insert(tx)
}

func (s *Service) beginPasskey(_ context.Context, c *api.Call, _ *shape.BeginPasskeyInput, session *Session) (*shape.BeginPasskeyOutput, error) {
	all, err := mayAdd(c, session)
	if err != nil {
		return nil, err
	}
	who, _, err := s.holder(c.Snapshot, session.UserID)
	if err != nil {
		return nil, err
	}
	m := &setup{SessionID: session.ID, Expires: c.Now.UTC().Add(flowLife)}
	out := &shape.BeginPasskeyOutput{ExpiresAt: m.Expires}
	if out.PasskeyOptions, m.Challenge, err = s.offerPasskey(who, all); err != nil {
		return nil, err
	}
	out.Setup, err = s.sealSetup(m)
	return out, err
}

func (s *Service) finishPasskey(_ context.Context, c *api.Call, in *shape.FinishPasskeyInput, session *Session) (api.Commit[shape.FinishPasskeyOutput], error) {
	m, err := s.openSetup(in.Setup, session, c.Now)
	if err != nil {
		return nil, err
	}
	all, err := mayAdd(c, session)
	if err != nil {
		return nil, err
	}
	who, _, err := s.holder(c.Snapshot, session.UserID)
	if err != nil {
		return nil, err
	}
	out := &shape.FinishPasskeyOutput{}
	d, err := s.registerPasskey(who, m.Challenge, in.Passkey, in.DeviceName, c.Now)
	if errors.Is(err, errPasskey) {
		out.Failure, out.Message = shape.FailurePasskey, "The passkey was not accepted."
		return func(tx *store.Tx) (*shape.FinishPasskeyOutput, error) {
			return out, spend(tx, "setup", m.ID, m.Expires, c.Now)
		}, nil
	}
	if err != nil {
		return nil, err
	}
	out.Id = d.id
	return func(tx *store.Tx) (_ *shape.FinishPasskeyOutput, err error) {
		out.RecoveryCodes, err = s.add(tx, m, d, len(all) == 0, c.Now)
		return out, err
	}, nil
}

// mayDelete refuses to take the last device where one is required: who knows the
// password would register the next.
func mayDelete(c *api.Call, session *Session, kind, id string) (*factor, error) {
	if err := recent(session, c.Now); err != nil {
		return nil, err
	}
	d, all, err := owned(c, session, kind, id)
	if err == nil {
		err = sure(session, all, c.Now)
	}
	if err != nil {
		return nil, err
	}
	p, err := readPolicy(c.Snapshot)
	if err == nil && len(all) == 1 && p == shape.MfaPolicyRequired {
		err = conflict("This is your last device, and one is required. Register another before you delete it.")
	}
	return d, err
}

// removed deletes a device. Recovery codes without one are for nothing.
func removed(tx *store.Tx, d *factor) error {
	if err := d.delete(tx); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM signin_recovery WHERE user_id = ? AND NOT EXISTS (SELECT 1 FROM signin_devices WHERE user_id = ?)`, d.userID, d.userID)
	return err
}

func (s *Service) deleteTOTP(_ context.Context, c *api.Call, in *shape.DeleteTOTPInput, session *Session) (api.Commit[shape.DeleteTOTPOutput], error) {
	d, err := mayDelete(c, session, totpKind, in.Id)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.DeleteTOTPOutput, error) { return &shape.DeleteTOTPOutput{}, removed(tx, d) }, nil
}

func (s *Service) deletePasskey(_ context.Context, c *api.Call, in *shape.DeletePasskeyInput, session *Session) (api.Commit[shape.DeletePasskeyOutput], error) {
	d, err := mayDelete(c, session, passkeyKind, in.Id)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.DeletePasskeyOutput, error) {
		return &shape.DeletePasskeyOutput{}, removed(tx, d)
	}, nil
}

// createRecoveryCodes puts new codes in the place of the old.
func (s *Service) createRecoveryCodes(_ context.Context, c *api.Call, _ *shape.CreateRecoveryCodesInput, session *Session) (api.Commit[shape.CreateRecoveryCodesOutput], error) {
	all, err := factors(c.Snapshot, session.UserID)
	if err == nil {
		err = sure(session, all, c.Now)
	}
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, conflict("Recovery codes stand in for a lost device. Register one first.")
	}
	codes := newRecoveryCodes()
	return func(tx *store.Tx) (*shape.CreateRecoveryCodesOutput, error) {
		return &shape.CreateRecoveryCodesOutput{RecoveryCodes: codes}, s.setRecoveryCodes(tx, session.UserID, codes)
	}, nil
}
