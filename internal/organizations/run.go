package organizations

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// servicePrincipal is what Run acts as.
const servicePrincipal = "organizations.amazonaws.com"

const administratorAccess = "arn:aws:iam::aws:policy/AdministratorAccess"

// ServicePolicy says what the service may do on its own, in the account that it
// makes: the role by which the management account enters, and no more.
func ServicePolicy() []policy.Doc {
	p, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:CreateRole","Resource":"arn:aws:iam::*:role/*"},
		{"Effect":"Allow","Action":"iam:AttachRolePolicy","Resource":"arn:aws:iam::*:role/*",
		 "Condition":{"ArnEquals":{"iam:PolicyARN":"`+administratorAccess+`"}}}]}`), policy.Identity)
	if err != nil {
		return nil // and the service may do nothing; a test reads it
	}
	return []policy.Doc{{Name: "service policy of " + servicePrincipal, Policy: p}}
}

// sweep is how often Run looks for requests that nobody told it of: another copy
// of the server wrote them and was killed.
const sweep = 30 * time.Second

// notify wakes Run.
func (s *Service) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run finishes accounts that were asked for, until ctx ends. It may be killed
// between any two steps and run in several copies: every step can be repeated.
func (s *Service) Run(ctx context.Context, door *api.Door) error {
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
}

// settle works off what is in progress.
func (s *Service) settle(ctx context.Context, door *api.Door) error {
	sn, err := door.Store.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer sn.Close()
	waiting, err := store.Collect(sn, func(r *store.Rows) (*request, error) { return scanRequest(r.Scan) },
		`SELECT `+requestColumns+` FROM organizations_requests WHERE state = ? ORDER BY requested`, string(shape.CreateAccountStateInProgress))
	if err != nil || len(waiting) == 0 {
		return err
	}
	o, err := organization(sn)
	if err != nil {
		return err
	}
	sn.Close()
	for _, r := range waiting {
		if err := s.finish(ctx, door, o, r); err != nil {
			return err
		}
	}
	return nil
}

// finish makes the new account's first role and then says that it is there. What
// went wrong in a call is in that call's record; trouble of ours is tried again.
func (s *Service) finish(ctx context.Context, door *api.Door, o org, r *request) error {
	state, reason := shape.CreateAccountStateSucceeded, shape.CreateAccountFailureReason("")
	if err := makeRole(ctx, door, o, r); err != nil {
		var e *api.Error
		told := errors.As(err, &e)
		switch {
		case told && (e.Server || e.Code == "ServiceUnavailable"):
			return nil // the next sweep
		case !told && !errors.Is(err, api.ErrGone):
			return err
		}
		state, reason = shape.CreateAccountStateFailed, shape.CreateAccountFailureReasonInternalFailure
	}
	event := api.Event{
		Service: "organizations", Name: "CreateAccountResult",
		Claim:     api.Claim{Kind: api.KindService, Account: o.management, ID: servicePrincipal},
		Resources: []api.Resource{{ARN: o.nodeARN(r.account), Account: o.management, Type: "AWS::Organizations::Account"}},
		Details:   map[string]any{"createAccountStatus": map[string]any{"id": r.id, "accountId": r.account, "state": state, "failureReason": reason}},
	}
	err := door.Happened(ctx, event, func(tx *store.Tx) error { return settled(tx, r, state, reason, door.Now()) })
	if errors.Is(err, errSettled) {
		return nil
	}
	return err
}

// errSettled says that another copy was quicker.
var errSettled = errors.New("organizations: the request is settled")

func settled(tx *store.Tx, r *request, state shape.CreateAccountState, reason shape.CreateAccountFailureReason, now time.Time) error {
	changed, err := tx.Exec(`UPDATE organizations_requests SET state = ?, reason = ?, completed = ? WHERE id = ? AND state = ?`,
		string(state), string(reason), now.UnixMicro(), r.id, string(shape.CreateAccountStateInProgress))
	if err != nil {
		return err
	}
	if n, err := changed.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errSettled)
	}
	become := shape.AccountStateActive
	if state == shape.CreateAccountStateFailed {
		become = shape.AccountStateClosed
	}
	if _, err := tx.Exec(`UPDATE organizations_accounts SET state = ? WHERE id = ? AND state = ?`,
		string(become), r.account, string(shape.AccountStatePendingActivation)); err != nil {
		return err
	}
	return tx.Touch(accountKey(r.account), requestKey(r.id))
}

// makeRole gives the management account its way into a new one.
func makeRole(ctx context.Context, door *api.Door, o org, r *request) error {
	c, err := door.Begin(ctx, api.Claim{Kind: api.KindService, Account: r.account, ID: servicePrincipal}, servicePrincipal)
	if err != nil {
		return err
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + o.management + `:root"},"Action":"sts:AssumeRole"}]}`
	_, err = api.Invoke[iamshape.CreateRoleOutput](ctx, c, "iam:CreateRole", &iamshape.CreateRoleInput{RoleName: r.role, AssumeRolePolicyDocument: trust})
	var e *api.Error
	if errors.As(err, &e) && e.Code == "EntityAlreadyExists" {
		err = nil // made before the process was killed: nobody else has been in the account yet
	}
	if err != nil {
		return err
	}
	_, err = api.Invoke[iamshape.AttachRolePolicyOutput](ctx, c, "iam:AttachRolePolicy", &iamshape.AttachRolePolicyInput{RoleName: r.role, PolicyArn: administratorAccess})
	return err
}
