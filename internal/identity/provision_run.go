package identity

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// sweep is how often Run looks for what nobody told it of: another copy of the
// server wrote it and was killed.
const sweep = 30 * time.Second

// notify wakes Run.
func (s *Service) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run makes and takes away roles as assignments come and go, until ctx ends. It may
// be killed between any two steps: every step can be repeated. It may run in several
// copies, of which one works; should two do, what a copy did is noted only if what it
// went by is still so, and else done again.
func (s *Service) Run(ctx context.Context, door *api.Door) error {
	return door.Store.Lead(ctx, "identity toProvision", func(ctx context.Context) error {
		timer := time.NewTicker(sweep)
		defer timer.Stop()
		for {
			if err := s.settle(ctx, door); err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-s.wake:
			case <-timer.C:
			}
		}
	})
}

// settle works off what was asked for, and takes away roles that nobody is assigned
// to any more: the last who was may have left the directory.
func (s *Service) settle(ctx context.Context, door *api.Door) error {
	waiting, err := collect(ctx, door, func(r *store.Rows) (*request, error) { return scanRequest(r.Scan) },
		`SELECT `+requestColumns+` FROM identity_requests WHERE state = ? ORDER BY id`, string(shape.StatusValuesInProgress))
	if err != nil {
		return err
	}
	for _, r := range waiting {
		if err := s.finish(ctx, door, r); err != nil {
			return err
		}
	}
	idle, err := collect(ctx, door, func(r *store.Rows) (*role, error) { return scanRole(r.Scan) },
		`SELECT `+roleColumns+` FROM identity_roles r WHERE NOT (`+wanted+`)`, toAssign, string(shape.StatusValuesInProgress))
	if err != nil {
		return err
	}
	for _, r := range idle {
		if err := s.follow(ctx, door, r.pair, false); err != nil && fatal(err) {
			return err
		}
	}
	return nil
}

// wanted says of a row r of roles whether somebody is assigned, or about to be.
const wanted = `EXISTS (SELECT 1 FROM identity_account_assignments a WHERE a.account = r.account AND a.permission_set = r.permission_set)
	OR EXISTS (SELECT 1 FROM identity_requests q WHERE q.action = ? AND q.state = ? AND q.account = r.account AND q.permission_set = r.permission_set)`

// collect reads on a snapshot of its own.
func collect[T any](ctx context.Context, door *api.Door, scan func(*store.Rows) (T, error), query string, args ...any) ([]T, error) {
	sn, err := door.Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	return store.Collect(sn, scan, query, args...)
}

// fatal says whether an error is neither a call's refusal nor trouble that passes.
func fatal(err error) bool {
	_, told := errors.AsType[*api.Error](err)
	return !told && !errors.Is(err, api.ErrGone) && !errors.Is(err, store.ErrChanged)
}

// passing says whether an error is of a kind that the next sweep may not meet.
func passing(err error) bool {
	e, told := errors.AsType[*api.Error](err)
	return told && (e.Server || e.Code == "ServiceUnavailable") || errors.Is(err, store.ErrChanged)
}

var (
	// errSettled says that another copy was quicker.
	errSettled = errors.New("identity: the request is settled")
	// errNobody says that whom an assignment was for has left the directory.
	errNobody = errors.New("identity: the principal is gone")
)

// finish does what a request asks and says so. What went wrong in a call is in that
// call's record; trouble that passes is tried again.
func (s *Service) finish(ctx context.Context, door *api.Door, r *request) error {
	failure := s.do(ctx, door, r)
	if failure == nil {
		failure = s.settled(ctx, door, r, "")
		if failure == nil || errors.Is(failure, errSettled) {
			return nil
		}
	}
	if errors.Is(failure, store.ErrChanged) { // what it went by: once more, at once
		s.notify()
	}
	if passing(failure) {
		return nil
	}
	reason := ""
	switch e, told := errors.AsType[*api.Error](failure); {
	case told:
		reason = e.Message
	case errors.Is(failure, errNobody):
		reason = "The " + string(r.kind) + " does not exist any more."
	case errors.Is(failure, api.ErrGone):
		reason = "The account is not active."
	default:
		return failure
	}
	if err := s.settled(ctx, door, r, reason); err != nil && !errors.Is(err, errSettled) {
		return err
	}
	return nil
}

func (s *Service) do(ctx context.Context, door *api.Door, r *request) error {
	if r.account != "" {
		return s.follow(ctx, door, r.pair, r.action == toProvision)
	}
	all, err := collect(ctx, door, func(r *store.Rows) (*role, error) { return scanRole(r.Scan) },
		`SELECT `+roleColumns+` FROM identity_roles WHERE permission_set = ? ORDER BY account`, r.set)
	var first error
	for _, one := range all {
		if err := s.follow(ctx, door, one.pair, true); err != nil {
			if e, told := errors.AsType[*api.Error](err); told && !passing(err) {
				err = &api.Error{Code: e.Code, Message: "Account " + one.account + ": " + e.Message}
			}
			if first == nil {
				first = err
			}
		}
	}
	return errors.Join(err, first)
}

// names of the events that end a request.
var events = map[string]string{
	toAssign: "AccountAssignmentCreationResult", toUnassign: "AccountAssignmentDeletionResult", toProvision: "PermissionSetProvisioningResult",
}

// settled ends a request; without a reason it succeeded. It is then that an
// assignment holds.
func (s *Service) settled(ctx context.Context, door *api.Door, r *request, reason string) error {
	state := shape.StatusValuesSucceeded
	if reason != "" {
		state = shape.StatusValuesFailed
	}
	event := s.event(events[r.action], r.set, map[string]any{
		"requestId": r.id, "status": state, "failureReason": reason, "targetId": r.account, "permissionSetArn": r.set,
		"principalType": r.kind, "principalId": r.principal,
	})
	return door.Happened(ctx, event, func(tx *store.Tx) error {
		changed, err := tx.Exec(`UPDATE identity_requests SET state = ?, reason = ? WHERE id = ? AND state = ?`,
			string(state), reason, r.id, string(shape.StatusValuesInProgress))
		if err != nil {
			return err
		}
		if n, err := changed.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errSettled)
		}
		if r.action != toAssign {
			return nil
		}
		made, err := roleOf(tx, r.pair)
		if err != nil || made == nil {
			return err
		}
		if state == shape.StatusValuesSucceeded {
			if err := enrol(tx, r, made); err != nil {
				return err
			}
		}
		return tx.Touch(roleKey(made.arn))
	})
}

// enrol is undone with its transaction if the role or the principal is gone.
func enrol(tx *store.Tx, r *request, made *role) error {
	if made.revision == 0 {
		return store.ErrChanged
	}
	if found, err := there(tx, r.kind, r.principal); err != nil || !found {
		return errors.Join(err, errNobody)
	}
	_, err := tx.Exec(`INSERT INTO identity_account_assignments (account, permission_set, kind, principal) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, permission_set, kind, principal) DO NOTHING`, r.account, r.set, string(r.kind), r.principal)
	return err
}

func (s *Service) event(name, set string, details map[string]any) api.Event {
	return api.Event{
		Service: "sso", Name: name, Claim: api.Claim{Kind: api.KindService, Account: s.account, ID: Principal}, Details: details,
		Resources: []api.Resource{{ARN: set, Account: s.account, Type: "AWS::SSO::PermissionSet"}},
	}
}
