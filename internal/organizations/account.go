package organizations

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

const (
	defaultRole = "OrganizationAccountAccessRole"
	maxAccounts = 1000
	pageSize    = 20
)

// toAccount is an account as the API describes it.
func toAccount(o org, a *account) shape.Account {
	status := shape.AccountStatusActive
	if !a.active() {
		status = shape.AccountStatusSuspended
	}
	return shape.Account{
		Arn: o.accountARN(a.id), Id: a.id, Name: a.name, Email: a.email, State: a.state, Status: status,
		JoinedMethod: a.joined, JoinedTimestamp: a.created, Paths: []string{o.id + "/" + o.root + "/" + a.id + "/"},
	}
}

func (s *Service) listedAccounts(context.Context, *api.Call, *shape.ListAccountsInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("organizations:ListAccounts", api.Any), nil
}

func (s *Service) listAccounts(_ context.Context, c *api.Call, in *shape.ListAccountsInput, _ struct{}) (*shape.ListAccountsOutput, error) {
	if err := managing(c); err != nil {
		return nil, err
	}
	limit := pageSize
	if in.MaxResults != nil {
		limit = min(max(int(*in.MaxResults), 1), pageSize)
	}
	after, err := base64.RawURLEncoding.DecodeString(in.NextToken)
	if err != nil {
		return nil, fail("InvalidInputException", "You provided an invalid value for NextToken.").With("Reason", "INVALID_NEXT_TOKEN")
	}
	o, err := organization(c.Snapshot)
	if err != nil {
		return nil, err
	}
	found, err := store.Collect(c.Snapshot, func(r *store.Rows) (*account, error) { return scanAccount(r.Scan) },
		`SELECT `+accountColumns+` FROM organizations_accounts WHERE id > ? ORDER BY id LIMIT ?`, string(after), limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccountsOutput{Accounts: []shape.Account{}}
	if len(found) > limit {
		found = found[:limit]
		out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(found[limit-1].id))
	}
	for _, a := range found {
		out.Accounts = append(out.Accounts, toAccount(o, a))
	}
	return out, nil
}

// described is an account that somebody asks about.
type described struct {
	org     org
	account *account
}

func (s *Service) describedAccount(_ context.Context, c *api.Call, in *shape.DescribeAccountInput) (described, []api.Demand, error) {
	o, err := organization(c.Snapshot)
	if err != nil {
		return described{}, nil, err
	}
	if _, err := c.Snapshot.Version(accountKey(in.AccountId)); err != nil {
		return described{}, nil, err
	}
	a, err := accountByID(c.Snapshot, in.AccountId)
	if err != nil {
		return described{}, nil, err
	}
	r := api.Resource{ARN: o.accountARN(in.AccountId), Account: o.management, Type: "AWS::Organizations::Account"}
	if !c.Organization().Management {
		r.Account = "" // it is refused below, whoever owns the account
	} else if a == nil {
		r.Missing = fail("AccountNotFoundException", "You specified an account that doesn't exist.")
	}
	return described{o, a}, api.On("organizations:DescribeAccount", r), nil
}

func (s *Service) describeAccount(_ context.Context, c *api.Call, _ *shape.DescribeAccountInput, d described) (*shape.DescribeAccountOutput, error) {
	if err := managing(c); err != nil {
		return nil, err
	}
	a := toAccount(d.org, d.account)
	return &shape.DescribeAccountOutput{Account: &a}, nil
}

func toStatus(r *request) *shape.CreateAccountStatus {
	out := &shape.CreateAccountStatus{
		Id: r.id, AccountName: r.name, State: r.state, FailureReason: r.reason, RequestedTimestamp: r.requested, CompletedTimestamp: r.completed,
	}
	if r.state == shape.CreateAccountStateSucceeded {
		out.AccountId = r.account
	}
	return out
}

func (s *Service) newAccount(context.Context, *api.Call, *shape.CreateAccountInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("organizations:CreateAccount", api.Any), nil
}

// createAccount writes the account and the request; Run does the rest. As in AWS
// an address that is taken fails the request, not the call.
func (s *Service) createAccount(_ context.Context, c *api.Call, in *shape.CreateAccountInput, _ struct{}) (api.Commit[shape.CreateAccountOutput], error) {
	if err := managing(c); err != nil {
		return nil, err
	}
	r := &request{
		id: "car-" + letters(26), name: in.AccountName, role: in.RoleName, state: shape.CreateAccountStateInProgress,
		requested: c.Now.UTC().Truncate(time.Microsecond),
	}
	if r.role == "" {
		r.role = defaultRole
	}
	number, err := rand.Int(rand.Reader, big.NewInt(9e11))
	if err != nil {
		return nil, err
	}
	a := &account{
		id: fmt.Sprint(number.Int64() + 1e11), name: in.AccountName, email: strings.ToLower(in.Email),
		state: shape.AccountStatePendingActivation, joined: shape.AccountJoinedMethodCreated, created: r.requested,
	}
	return func(tx *store.Tx) (*shape.CreateAccountOutput, error) {
		r := *r // the closure may run more than once
		var accounts, taken int
		if err := tx.QueryRow(`SELECT COUNT(*), COUNT(CASE WHEN email = ? THEN 1 END) FROM organizations_accounts`, a.email).Scan(&accounts, &taken); err != nil {
			return nil, err
		}
		if accounts >= maxAccounts {
			return nil, fail("ConstraintViolationException", "You have exceeded the allowed number of AWS accounts.").With("Reason", "ACCOUNT_NUMBER_LIMIT_EXCEEDED")
		}
		if taken > 0 {
			r.state, r.reason, r.completed = shape.CreateAccountStateFailed, shape.CreateAccountFailureReasonEmailAlreadyExists, r.requested
			return &shape.CreateAccountOutput{CreateAccountStatus: toStatus(&r)}, insertRequest(tx, &r)
		}
		r.account = a.id
		if err := insertAccount(tx, a); err != nil {
			return nil, err
		}
		tx.AfterCommit(s.notify)
		return &shape.CreateAccountOutput{CreateAccountStatus: toStatus(&r)}, insertRequest(tx, &r)
	}, nil
}

func (s *Service) describedRequest(_ context.Context, c *api.Call, in *shape.DescribeCreateAccountStatusInput) (*request, []api.Demand, error) {
	if _, err := c.Snapshot.Version(requestKey(in.CreateAccountRequestId)); err != nil {
		return nil, nil, err
	}
	r, err := scanRequest(c.Snapshot.QueryRow(`SELECT `+requestColumns+` FROM organizations_requests WHERE id = ?`, in.CreateAccountRequestId).Scan)
	return r, api.On("organizations:DescribeCreateAccountStatus", api.Any), err
}

func (s *Service) describeCreateAccountStatus(_ context.Context, c *api.Call, _ *shape.DescribeCreateAccountStatusInput, r *request) (*shape.DescribeCreateAccountStatusOutput, error) {
	if err := managing(c); err != nil {
		return nil, err
	}
	if r == nil {
		return nil, fail("CreateAccountStatusNotFoundException", "You specified an invalid create account request id.")
	}
	return &shape.DescribeCreateAccountStatusOutput{CreateAccountStatus: toStatus(r)}, nil
}
