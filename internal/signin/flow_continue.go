package signin

import (
	"context"
	"errors"
	"slices"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// An attempt is one proof, looked at: what is to be answered and written down once
// nothing that it depends on has changed. What was right and what was wrong comes out
// by the same way and is one record each.
type attempt struct {
	f       *flow
	who     *holder // nil: nobody
	email   string
	guards  []*guard
	all     []*factor
	stored  *password // nil: none here
	owned   bool      // another directory keeps it
	trouble error     // of that directory, or of the one that might
	out     *shape.ContinueSignInOutput
	changes []func(*store.Tx) error
	session *Session // once she is in
}

// then adds to what is written down.
func (a *attempt) then(change func(*store.Tx) error) { a.changes = append(a.changes, change) }

// uses uses a flow up.
func (a *attempt) uses(id string, expires, now time.Time) {
	a.then(func(tx *store.Tx) error { return spend(tx, "flow", id, expires, now) })
}

// continued opens the flow, looks at the one proof that was brought and finds what
// comes next. Whatever the proof was, the flow is used up.
func (s *Service) continued(ctx context.Context, c *api.Call, in *shape.ContinueSignInInput) (*attempt, []api.Demand, error) {
	f, err := s.openFlow(c.Snapshot, in.Flow, in.Binding, c.Now)
	if err != nil {
		return nil, nil, err
	}
	kind, err := proofOf(in)
	if err != nil {
		return nil, nil, err
	}
	look := map[stage]map[string]func(context.Context, *api.Call, *shape.ContinueSignInInput, *attempt) error{
		stageIdentify: {"Password": s.byPassword, "Passkey": s.byPasskey, "Provider": s.sentAway},
		stageSecond:   {"Code": s.byCode, "Passkey": s.byPasskey, "RecoveryCode": s.byRecoveryCode},
		stageChange:   {"NewPassword": s.byChange},
		stageRegister: {"Code": s.byApplication, "Passkey": s.byRegistration},
	}[f.Stage][kind]
	if look == nil {
		return nil, nil, fail("ValidationException", "%s is not what this sign-in waits for.", kind)
	}
	a := &attempt{f: f, out: &shape.ContinueSignInOutput{}}
	if err := s.load(ctx, c, a); err != nil {
		return nil, nil, err
	}
	a.uses(f.ID, f.Expires, c.Now)
	return a, nil, look(ctx, c, in, a)
}

// proofOf is the one member that an input may have beside the flow.
func proofOf(in *shape.ContinueSignInInput) (string, error) {
	var kinds []string
	for _, m := range []struct{ kind, value string }{
		{"Password", in.Password}, {"NewPassword", in.NewPassword}, {"Code", in.Code}, {"RecoveryCode", in.RecoveryCode},
		{"Passkey", in.Passkey}, {"Provider", in.Provider},
	} {
		if m.value != "" {
			kinds = append(kinds, m.kind)
		}
	}
	if len(kinds) != 1 {
		return "", fail("ValidationException", "Give one of Password, NewPassword, Code, RecoveryCode, Passkey and Provider.")
	}
	if in.DeviceName != "" && kinds[0] != "Code" && kinds[0] != "Passkey" {
		return "", fail("ValidationException", "DeviceName does not belong to %s.", kinds[0])
	}
	return kinds[0], nil
}

// load reads all that a proof is compared with. For nobody it reads as much.
func (s *Service) load(ctx context.Context, c *api.Call, a *attempt) (err error) {
	if a.guards, err = guards(c.Snapshot, a.f.UserID, a.f.Remembered, sourceOf(c), c.Now); err != nil {
		return err
	}
	if a.stored, a.owned, err = s.local(ctx, c, a.f.UserID); err != nil {
		return err
	}
	if slices.Contains(a.f.Methods, "pwd") && a.f.Password != a.stored.since() {
		return over() // it was proved with a password that has been replaced
	}
	if a.all, err = factors(c.Snapshot, a.f.UserID); err != nil {
		return err
	}
	a.who, a.email, err = s.holder(c.Snapshot, a.f.UserID)
	if errors.Is(err, api.ErrGone) {
		err = nil
	}
	if a.who != nil {
		c.Note("userId", a.who.id)
	} else if a.f.Stage != stageIdentify {
		return over()
	}
	return err
}

// holder is a person as she is now; api.ErrGone for one who is not there or disabled.
func (s *Service) holder(sn *store.Snapshot, userID string) (*holder, string, error) {
	name, display, email, err := s.Directory.Named(sn, userID)
	if err != nil {
		return nil, "", err
	}
	return &holder{id: userID, name: name, display: display}, email, nil
}

func sourceOf(c *api.Call) string {
	if o := c.Origin(); o != nil {
		return o.SourceIP
	}
	return ""
}

// later answers that guesses wait. The flow stays good.
func (a *attempt) later(in *shape.ContinueSignInInput, left time.Duration) error {
	a.changes = nil
	a.out.Flow, a.out.Failure, a.out.ExpiresAt = in.Flow, shape.FailureTryLater, a.f.Expires
	a.out.Message = "There were too many wrong tries. Please wait, or use a passkey."
	seconds := int32(left/time.Second) + 1
	a.out.RetryAfter = &seconds
	return nil
}

// guess counts a guess before it is looked at. It says whether it may be.
func (s *Service) guess(c *api.Call, in *shape.ContinueSignInInput, a *attempt) (bool, error) {
	if left := wait(a.guards, c.Now); left > 0 {
		return false, a.later(in, left)
	}
	if !s.crowd.take(sourceOf(c), c.Now) {
		return false, tooFast("There were too many wrong tries from where you are. Please wait a moment.")
	}
	return true, nil
}

// wrong answers that a proof was none, and counts it.
func (s *Service) wrong(ctx context.Context, c *api.Call, a *attempt, why shape.Failure) error {
	a.out.Failure, a.out.Message = why, map[shape.Failure]string{
		shape.FailureCredentials: "The user name or the password is not right.",
		shape.FailureCode:        "The code is not right, or was used already.",
		shape.FailurePasskey:     "The passkey was not accepted.",
	}[why]
	if a.trouble != nil {
		s.Trouble(a.trouble)
		a.out.Message = "The user name or the password is not right, or the directory that keeps it does not answer. Please try again in a while."
	}
	if why != shape.FailurePasskey { // which nobody guesses
		a.then(func(tx *store.Tx) error { return failed(tx, a.guards, c.Now) })
	}
	return s.ask(ctx, c, a)
}

// ask answers what the flow waits for now.
func (s *Service) ask(_ context.Context, c *api.Call, a *attempt) (err error) {
	f, keys := a.f, ofKind(a.all, passkeyKind)
	switch f.Stage {
	case stageIdentify:
		a.out.Next = []string{"password", "passkey"}
		a.out.PasskeyOptions, f.Challenge, err = s.askPasskey(nil)
	case stageSecond:
		left, err := recoveryLeft(c.Snapshot, f.UserID)
		if err != nil {
			return err
		}
		if len(ofKind(a.all, totpKind)) > 0 {
			a.out.Next = append(a.out.Next, "totp")
		}
		if len(keys) > 0 {
			a.out.Next = append(a.out.Next, "passkey")
			if a.out.PasskeyOptions, f.Challenge, err = s.askPasskey(keys); err != nil {
				return err
			}
		}
		if left > 0 {
			a.out.Next = append(a.out.Next, "recoveryCode")
		}
	case stageChange:
		a.out.Next = []string{"newPassword"}
	case stageRegister:
		a.out.Next = []string{"registerTotp", "registerPasskey"}
		if len(f.Seed) == 0 {
			f.Seed = newSeed()
		}
		if a.out.Totp, err = totpSetup(f.Seed, a.who.name); err != nil {
			return err
		}
		a.out.PasskeyOptions, f.Challenge, err = s.offerPasskey(a.who, a.all)
	case stageElsewhere:
		a.out.Next = []string{redirect + f.Provider}
	}
	if err != nil {
		return err
	}
	a.out.ExpiresAt = f.Expires
	a.out.Flow, err = s.sealFlow(f)
	return err
}

// advance goes on after a proof: to the next that is needed, or in.
func (s *Service) advance(ctx context.Context, c *api.Call, a *attempt) error {
	f := a.f
	p, err := readPolicy(c.Snapshot)
	if err != nil {
		return err
	}
	f.Challenge = ""
	switch {
	case len(a.all) > 0 && !f.strong():
		f.Stage = stageSecond
	case a.stored != nil && a.stored.mustChange && slices.Contains(f.Methods, "pwd"):
		f.Stage = stageChange
	case len(a.all) == 0 && p == shape.MfaPolicyRequired && !f.strong():
		f.Stage = stageRegister
	default:
		return s.enter(ctx, c, a)
	}
	return s.ask(ctx, c, a)
}

// enter begins the session. What was proved before she was last signed out of
// everything, or taken out and let in again, does not count.
func (s *Service) enter(ctx context.Context, c *api.Call, a *attempt) (err error) {
	err = s.Directory.Present(ctx, c.Snapshot, &api.Person{UserID: a.f.UserID, SignedIn: a.f.Expires.Add(-flowLife)})
	if errors.Is(err, api.ErrGone) {
		return over()
	}
	if err != nil {
		return err
	}
	a.session = &Session{
		ID: uuid.New(), UserID: a.f.UserID, Created: c.Now.UTC(), Methods: a.f.Methods, Provider: a.f.Provider, Source: sourceOf(c), Agent: c.Agent(),
	}
	if err := s.prove(ctx, c, a.session); err != nil {
		return err
	}
	if a.f.strong() {
		if a.out.Remembered, err = s.remember(a.f, c.Now); err != nil {
			return err
		}
	}
	a.then(func(tx *store.Tx) error { return relieved(tx, a.guards) })
	if a.f.strong() { // it is she: nobody's guesses keep her waiting elsewhere
		a.then(func(tx *store.Tx) error { return forget(tx, a.f.UserID) })
	}
	a.then(func(tx *store.Tx) (err error) {
		a.out.Session, err = begin(tx, a.session, c.Now)
		a.out.ExpiresAt = a.session.Expires
		return err
	})
	return nil
}

// prove says to the pipeline who calls.
func (s *Service) prove(ctx context.Context, c *api.Call, in *Session) error {
	p, err := s.person(c.Snapshot, in)
	if err != nil {
		return err
	}
	err = c.Prove(ctx, api.Claim{Kind: api.KindCentre, Account: s.Account, Person: p, Issued: in.Created})
	if errors.Is(err, api.ErrGone) {
		return gone()
	}
	return err
}

// vouched goes on with a flow that was sent to an external provider, which says who
// she is and how it knows: "fed", and "mfa" where it asked for a second factor. What
// it answers is to be committed with finish.
func (s *Service) vouched(ctx context.Context, c *api.Call, f *flow, userID string, methods ...string) (*attempt, error) {
	if f.Stage != stageElsewhere {
		return nil, over()
	}
	a := &attempt{f: f, out: &shape.ContinueSignInOutput{}}
	a.uses(f.ID, f.Expires, c.Now)
	f.UserID, f.Remembered = userID, ""
	if err := s.load(ctx, c, a); err != nil {
		return nil, err
	}
	f.with(methods...)
	return a, s.advance(ctx, c, a)
}

func (s *Service) continueSignIn(_ context.Context, _ *api.Call, _ *shape.ContinueSignInInput, a *attempt) (api.Commit[shape.ContinueSignInOutput], error) {
	return a.finish, nil
}

// finish writes down what came of an attempt.
func (a *attempt) finish(tx *store.Tx) (*shape.ContinueSignInOutput, error) {
	for _, change := range a.changes {
		if err := change(tx); err != nil {
			return nil, err
		}
	}
	return a.out, nil
}
