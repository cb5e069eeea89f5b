package signin

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

// byPassword looks at a password. Who has none here, or is nobody, costs the work of
// one.
func (s *Service) byPassword(ctx context.Context, c *api.Call, in *shape.ContinueSignInInput, a *attempt) error {
	c.Note("credential", "password")
	if a.f.Name == "" {
		return fail("ValidationException", "A password belongs to a user name. Begin with one, or use a passkey.")
	}
	if ok, err := s.guess(c, in, a); err != nil || !ok {
		return err
	}
	ok, err := s.passes(ctx, c, a, in.Password)
	if err != nil {
		return err
	}
	if !ok || a.who == nil {
		if !a.owned && s.Source != nil { // or its silence tells whose password is kept elsewhere
			a.trouble = s.Source.Pretend(ctx, c.Snapshot, s.pick(a.f.Name))
		}
		return s.wrong(ctx, c, a, shape.FailureCredentials)
	}
	s.crowd.give(sourceOf(c), c.Now)
	a.f.with("pwd").Password = a.stored.since()
	return s.advance(ctx, c, a)
}

// passes says whether a password is the person's, in whichever directory it is kept.
// A hash that is out of date is made anew.
func (s *Service) passes(ctx context.Context, c *api.Call, a *attempt, text string) (bool, error) {
	ok, err := s.hasher.matches(ctx, a.stored, text)
	if err != nil {
		return false, err
	}
	if a.owned {
		ok, a.trouble = s.Source.Authenticate(ctx, c.Snapshot, a.f.UserID, text)
		return ok && a.trouble == nil, nil
	}
	p := a.stored
	if !ok || !p.expires.IsZero() && c.Now.After(p.expires) {
		return false, nil
	}
	if p.Iterations < iterations {
		anew, err := s.hasher.keep(ctx, text)
		if err != nil {
			return false, err
		}
		anew.mustChange, anew.expires, anew.changed = p.mustChange, p.expires, c.Now.UnixMicro()
		a.stored = anew
		a.then(func(tx *store.Tx) error { return s.setPassword(tx, a.f.UserID, anew, c.Now) })
	}
	return true, nil
}

// byPasskey looks at a passkey's answer: as the second factor, of a device of hers; at
// the beginning, of whoever she is, but never of another than the name that was given.
func (s *Service) byPasskey(ctx context.Context, c *api.Call, in *shape.ContinueSignInInput, a *attempt) error {
	c.Note("credential", "passkey")
	asked, methods := a.f.UserID, []string{"hwk"}
	refused := func() error {
		a.f.UserID = asked // it was about whom the passkey named, who did not come
		return s.wrong(ctx, c, a, shape.FailurePasskey)
	}
	id, parsed, err := answered(in.Passkey)
	if err != nil {
		return refused()
	}
	d, err := byCredential(c.Snapshot, id)
	if err != nil {
		return err
	}
	if a.f.Stage == stageIdentify {
		methods = []string{"hwk", "mfa"} // she has it, and unlocked it
		if d != nil && a.f.Name == "" {
			a.f.UserID, a.f.Remembered = d.userID, ""
			if err := s.load(ctx, c, a); err != nil {
				return err
			}
		}
	}
	if d == nil || a.who == nil || d.userID != a.f.UserID {
		return refused()
	}
	err = s.checkPasskey(d, a.f.Challenge, parsed)
	if errors.Is(err, errPasskey) {
		return refused()
	}
	if err != nil {
		return err
	}
	a.then(func(tx *store.Tx) error { return d.use(tx, c.Now) })
	a.f.with(methods...)
	return s.advance(ctx, c, a)
}

// sentAway sends her to an external provider, whose answer goes on with the flow.
func (s *Service) sentAway(ctx context.Context, c *api.Call, in *shape.ContinueSignInInput, a *attempt) error {
	known, err := s.providers(c.Snapshot, a.f.Name)
	if err != nil {
		return err
	}
	for _, id := range known {
		if id == in.Provider {
			a.f.Stage, a.f.Provider = stageElsewhere, id
			return s.ask(ctx, c, a)
		}
	}
	return fail("ValidationException", "There is no such provider for this name.")
}

// byCode looks at a one-time code.
func (s *Service) byCode(ctx context.Context, c *api.Call, in *shape.ContinueSignInInput, a *attempt) error {
	c.Note("credential", "totp")
	if ok, err := s.guess(c, in, a); err != nil || !ok {
		return err
	}
	d, err := coded(s.Key, a.all, in.Code, c.Now)
	if err != nil {
		return err
	}
	if d == nil {
		return s.wrong(ctx, c, a, shape.FailureCode)
	}
	s.crowd.give(sourceOf(c), c.Now)
	a.then(func(tx *store.Tx) error { return d.use(tx, c.Now) })
	a.f.with("otp")
	return s.advance(ctx, c, a)
}

// byRecoveryCode looks at a code that stands in for a lost device.
func (s *Service) byRecoveryCode(ctx context.Context, c *api.Call, in *shape.ContinueSignInInput, a *attempt) error {
	c.Note("credential", "recoveryCode")
	if ok, err := s.guess(c, in, a); err != nil || !ok {
		return err
	}
	ok, err := s.recovers(c.Snapshot, a.f.UserID, in.RecoveryCode)
	if err != nil {
		return err
	}
	if !ok {
		return s.wrong(ctx, c, a, shape.FailureCode)
	}
	s.crowd.give(sourceOf(c), c.Now)
	a.then(func(tx *store.Tx) error { return s.spendRecovery(tx, a.f.UserID, in.RecoveryCode) })
	a.f.with("otp")
	return s.advance(ctx, c, a)
}

// byChange takes the new password of somebody who must choose one.
func (s *Service) byChange(ctx context.Context, c *api.Call, in *shape.ContinueSignInInput, a *attempt) error {
	c.Note("credential", "newPassword")
	p, why, text, err := s.chosen(ctx, a.stored, in.NewPassword, a.who, a.email)
	if err != nil {
		return err
	}
	if why != "" {
		a.out.Failure, a.out.Message = why, text
		return s.ask(ctx, c, a)
	}
	a.then(func(tx *store.Tx) error { return s.setPassword(tx, a.f.UserID, p, c.Now) })
	p.changed = c.Now.UnixMicro()
	a.stored, a.f.Password = p, p.changed
	return s.advance(ctx, c, a)
}

// chosen makes what is kept of a new password, or says why it will not do.
func (s *Service) chosen(ctx context.Context, old *password, text string, who *holder, email string) (*password, shape.Failure, string, error) {
	if why := weak(text, who.name, who.display, email); why != "" {
		return nil, shape.FailurePasswordTooWeak, why, nil
	}
	same, err := s.hasher.matches(ctx, old, text)
	if err != nil {
		return nil, "", "", err
	}
	if same {
		return nil, shape.FailurePasswordReused, "This is the old password. Please choose another.", nil
	}
	p, err := s.hasher.keep(ctx, text)
	return p, "", "", err
}

// byApplication registers an authenticator application by its first code.
func (s *Service) byApplication(ctx context.Context, c *api.Call, in *shape.ContinueSignInInput, a *attempt) error {
	c.Note("credential", "registerTotp")
	d, err := s.registerTOTP(a.f.UserID, a.f.Seed, in.Code, in.DeviceName, c.Now)
	if err != nil {
		return err
	}
	if d == nil {
		a.out.Failure, a.out.Message = shape.FailureCode, "The code is not the one that the application shows now."
		return s.ask(ctx, c, a)
	}
	a.f.with("otp")
	return s.registered(ctx, c, a, d)
}

// byRegistration registers a passkey.
func (s *Service) byRegistration(ctx context.Context, c *api.Call, in *shape.ContinueSignInInput, a *attempt) error {
	c.Note("credential", "registerPasskey")
	d, err := s.registerPasskey(a.who, a.f.Challenge, in.Passkey, in.DeviceName, c.Now)
	if errors.Is(err, errPasskey) {
		a.out.Failure, a.out.Message = shape.FailurePasskey, "The passkey was not accepted."
		return s.ask(ctx, c, a)
	}
	if err != nil {
		return err
	}
	a.f.with("hwk")
	return s.registered(ctx, c, a, d)
}

// registered goes on with a first device. With it come the codes for when it is lost.
func (s *Service) registered(ctx context.Context, c *api.Call, a *attempt, d *factor) error {
	codes := newRecoveryCodes()
	a.out.RecoveryCodes, a.all, a.f.Seed = codes, append(a.all, d), nil
	a.then(d.insert)
	a.then(func(tx *store.Tx) error { return s.setRecoveryCodes(tx, a.f.UserID, codes) })
	return s.advance(ctx, c, a)
}
