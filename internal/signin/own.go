package signin

import (
	"context"
	"errors"
	"slices"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

// recentLife is how long after she signed in a person may change what she proves
// herself with: who finds a browser open must not stay for good.
const recentLife = 15 * time.Minute

func (s *Service) ownOperations() []api.Operation {
	return []api.Operation{
		api.Write("DescribeOwn", ofSession(s, func(in *shape.DescribeOwnInput) string { return in.Session }), s.describeOwn),
		api.Read("ListOwnSessions", ofSession(s, func(in *shape.ListOwnSessionsInput) string { return in.Session }), s.listOwnSessions),
		api.Write("EndSession", ofSession(s, func(in *shape.EndSessionInput) string { return in.Session }), s.endSession),
		api.Write("EndAllSessions", ofSession(s, func(in *shape.EndAllSessionsInput) string { return in.Session }), s.endAllSessions),
		api.Write("ChangePassword", ofSession(s, func(in *shape.ChangePasswordInput) string { return in.Session }), s.changePassword),
		api.Read("ListDevices", ofSession(s, func(in *shape.ListDevicesInput) string { return in.Session }), s.listDevices),
		api.Write("RenameDevice", ofSession(s, func(in *shape.RenameDeviceInput) string { return in.Session }), s.renameDevice),
		api.Read("BeginTOTP", ofSession(s, func(in *shape.BeginTOTPInput) string { return in.Session }), s.beginTOTP),
		api.Write("ConfirmTOTP", ofSession(s, func(in *shape.ConfirmTOTPInput) string { return in.Session }), s.confirmTOTP),
		api.Write("DeleteTOTP", ofSession(s, func(in *shape.DeleteTOTPInput) string { return in.Session }), s.deleteTOTP),
		api.Read("BeginPasskey", ofSession(s, func(in *shape.BeginPasskeyInput) string { return in.Session }), s.beginPasskey),
		api.Write("FinishPasskey", ofSession(s, func(in *shape.FinishPasskeyInput) string { return in.Session }), s.finishPasskey),
		api.Write("DeletePasskey", ofSession(s, func(in *shape.DeletePasskeyInput) string { return in.Session }), s.deletePasskey),
		api.Write("CreateRecoveryCodes", ofSession(s, func(in *shape.CreateRecoveryCodesInput) string { return in.Session }), s.createRecoveryCodes),
	}
}

// ofSession resolves the sign-in that a secret stands for, and so who calls.
func ofSession[In any](s *Service, secret func(*In) string) func(context.Context, *api.Call, *In) (*Session, []api.Demand, error) {
	return func(ctx context.Context, c *api.Call, in *In) (*Session, []api.Demand, error) {
		session, err := s.bySecret(ctx, c.Snapshot, secret(in), c.Now)
		if errors.Is(err, api.ErrGone) {
			return nil, nil, gone()
		}
		if err != nil {
			return nil, nil, err
		}
		return session, nil, s.prove(ctx, c, session)
	}
}

// recent refuses who signed in too long ago.
func recent(session *Session, now time.Time) error {
	if now.Sub(session.Created) > recentLife {
		return fail("ReauthenticationRequiredException", "For this you must have signed in a moment ago. Please sign in again.")
	}
	return nil
}

func shownSession(in, current *Session) shape.OwnSession {
	this := in.ID == current.ID
	return shape.OwnSession{
		Id: in.ID, CreatedAt: in.Created, SeenAt: in.Seen, ExpiresAt: in.Expires, Methods: in.Methods, Provider: in.Provider,
		SourceAddress: in.Source, UserAgent: in.Agent, Current: &this,
	}
}

// describeOwn also notes that the session is in use.
func (s *Service) describeOwn(ctx context.Context, c *api.Call, _ *shape.DescribeOwnInput, session *Session) (api.Commit[shape.DescribeOwnOutput], error) {
	who, _, err := s.holder(c.Snapshot, session.UserID)
	if err != nil {
		return nil, err
	}
	p, err := readPolicy(c.Snapshot)
	if err != nil {
		return nil, err
	}
	kept, _, err := s.local(ctx, c, session.UserID)
	if err != nil {
		return nil, err
	}
	left, err := recoveryLeft(c.Snapshot, session.UserID)
	if err != nil {
		return nil, err
	}
	shown, local, fresh := shownSession(session, session), kept != nil, recent(session, c.Now) == nil
	out := &shape.DescribeOwnOutput{
		UserId: session.UserID, UserName: who.name, DisplayName: who.display, Current: &shown, MfaPolicy: p,
		LocalPassword: &local, Recent: &fresh, RecoveryCodesLeft: &left,
	}
	return func(tx *store.Tx) (*shape.DescribeOwnOutput, error) { return out, used(tx, session, c.Now) }, nil
}

func (s *Service) listOwnSessions(_ context.Context, c *api.Call, _ *shape.ListOwnSessionsInput, session *Session) (*shape.ListOwnSessionsOutput, error) {
	all, err := sessionsOf(c.Snapshot, session.UserID, c.Now)
	if err != nil {
		return nil, err
	}
	out := &shape.ListOwnSessionsOutput{Sessions: []shape.OwnSession{}}
	for _, one := range all {
		if c.Now.Sub(one.Seen) <= sessionIdle {
			out.Sessions = append(out.Sessions, shownSession(one, session))
		}
	}
	return out, nil
}

// endSession ends one of her sessions, this one if none is named. To end one that is
// gone, or another person's, changes nothing and says nothing.
func (s *Service) endSession(_ context.Context, _ *api.Call, in *shape.EndSessionInput, session *Session) (api.Commit[shape.EndSessionOutput], error) {
	id := in.Id
	if id == "" {
		id = session.ID
	}
	return func(tx *store.Tx) (*shape.EndSessionOutput, error) {
		return &shape.EndSessionOutput{}, end(tx, session.UserID, id)
	}, nil
}

func (s *Service) endAllSessions(_ context.Context, _ *api.Call, _ *shape.EndAllSessionsInput, session *Session) (api.Commit[shape.EndAllSessionsOutput], error) {
	return func(tx *store.Tx) (*shape.EndAllSessionsOutput, error) {
		return &shape.EndAllSessionsOutput{}, endAll(tx, session.UserID)
	}, nil
}

// changePassword wants the old password however lately she signed in, and guesses at
// it are counted as at the door. It ends her other sessions, and what applications got
// by them: somebody else may have had the old one. What she has running goes on.
func (s *Service) changePassword(ctx context.Context, c *api.Call, in *shape.ChangePasswordInput, session *Session) (api.Commit[shape.ChangePasswordOutput], error) {
	out := &shape.ChangePasswordOutput{}
	answer := func(changes ...func(*store.Tx) error) (api.Commit[shape.ChangePasswordOutput], error) {
		return func(tx *store.Tx) (*shape.ChangePasswordOutput, error) {
			for _, do := range changes {
				if err := do(tx); err != nil {
					return nil, err
				}
			}
			return out, nil
		}, nil
	}
	old, _, err := s.local(ctx, c, session.UserID)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, conflict("Your password is kept by another directory, or you have none. It cannot be changed here.")
	}
	who, email, err := s.holder(c.Snapshot, session.UserID)
	if err != nil {
		return nil, err
	}
	list, err := guards(c.Snapshot, session.UserID, "own", "", c.Now)
	if err != nil {
		return nil, err
	}
	if left := wait(list, c.Now); left > 0 {
		seconds := int32(left/time.Second) + 1
		out.Failure, out.RetryAfter, out.Message = shape.FailureTryLater, &seconds, "There were too many wrong tries. Please wait."
		return answer()
	}
	ok, err := s.hasher.matches(ctx, old, in.OldPassword)
	if err != nil {
		return nil, err
	}
	if !ok {
		out.Failure, out.Message = shape.FailureCredentials, "The old password is not right."
		return answer(func(tx *store.Tx) error { return failed(tx, list, c.Now) })
	}
	p, why, text, err := s.chosen(ctx, old, in.NewPassword, who, email)
	if err != nil {
		return nil, err
	}
	if why != "" {
		out.Failure, out.Message = why, text
		return answer()
	}
	return answer(
		func(tx *store.Tx) error { return relieved(tx, list) },
		func(tx *store.Tx) error { return s.setPassword(tx, session.UserID, p, c.Now) },
		func(tx *store.Tx) error { return endOthers(tx, session) },
	)
}

// endOthers ends a person's sessions but this one.
func endOthers(tx *store.Tx, this *Session) error {
	ids, err := store.Collect(tx, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM signin_sessions WHERE user_id = ?`, this.UserID)
	if err != nil {
		return err
	}
	for _, id := range slices.DeleteFunc(ids, func(id string) bool { return id == this.ID }) {
		if err := end(tx, this.UserID, id); err != nil {
			return err
		}
	}
	return endLineagesBut(tx, this.UserID, this.ID)
}
