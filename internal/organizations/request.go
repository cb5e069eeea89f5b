package organizations

import (
	"context"
	"crypto/rand"
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
	// afterClosing is how long a closed account counts, as in AWS.
	afterClosing = 90 * 24 * time.Hour
)

func toStatus(r *request) *shape.CreateAccountStatus {
	out := &shape.CreateAccountStatus{
		Id: r.id, AccountName: r.name, State: r.state, FailureReason: r.reason, RequestedTimestamp: r.requested, CompletedTimestamp: r.completed,
	}
	if r.state == shape.CreateAccountStateSucceeded {
		out.AccountId = r.account
	}
	return out
}

// A wanted account is one that is being asked for.
type wanted struct {
	org org
	id  string
}

func (s *Service) newAccount(_ context.Context, c *api.Call, in *shape.CreateAccountInput) (wanted, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return wanted{}, nil, err
	}
	o, demands, err := anywhere(c, "organizations:CreateAccount")
	if err != nil {
		return wanted{}, nil, err
	}
	number, err := rand.Int(rand.Reader, big.NewInt(9e11))
	if err != nil {
		return wanted{}, nil, err
	}
	w := wanted{o, fmt.Sprint(number.Int64() + 1e11)}
	return w, tagged(demands, o.nodeResource(w.id, nil), in.Tags), nil
}

// createAccount writes the account and the request; Run does the rest. As in AWS
// an address that is taken fails the request, not the call.
func (s *Service) createAccount(_ context.Context, c *api.Call, in *shape.CreateAccountInput, w wanted) (api.Commit[shape.CreateAccountOutput], error) {
	r := &request{
		id: "car-" + letters(26), name: in.AccountName, role: in.RoleName, state: shape.CreateAccountStateInProgress,
		requested: c.Now.UTC().Truncate(time.Microsecond),
	}
	if r.role == "" {
		r.role = defaultRole
	}
	a := &account{
		id: w.id, name: in.AccountName, email: strings.ToLower(in.Email),
		state: shape.AccountStatePendingActivation, joined: shape.AccountJoinedMethodCreated, created: r.requested,
	}
	return func(tx *store.Tx) (*shape.CreateAccountOutput, error) {
		r := *r // the closure may run more than once
		var accounts, taken int
		if err := tx.QueryRow(`SELECT COUNT(CASE WHEN closed = 0 OR closed > ? THEN 1 END), COUNT(CASE WHEN email = ? THEN 1 END) FROM organizations_accounts`,
			r.requested.Add(-afterClosing).UnixMicro(), a.email).Scan(&accounts, &taken); err != nil {
			return nil, err
		}
		if accounts >= maxAccounts {
			return nil, constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED", "You have exceeded the allowed number of AWS accounts.")
		}
		if taken > 0 {
			r.state, r.reason, r.completed = shape.CreateAccountStateFailed, shape.CreateAccountFailureReasonEmailAlreadyExists, r.requested
			return &shape.CreateAccountOutput{CreateAccountStatus: toStatus(&r)}, insertRequest(tx, &r)
		}
		r.account = a.id
		if err := insertAccount(tx, w.org, a); err != nil {
			return nil, err
		}
		if err := putTags(tx, a.id, in.Tags); err != nil {
			return nil, err
		}
		tx.AfterCommit(s.notify)
		return &shape.CreateAccountOutput{CreateAccountStatus: toStatus(&r)}, insertRequest(tx, &r)
	}, nil
}

func (s *Service) describedRequest(_ context.Context, c *api.Call, in *shape.DescribeCreateAccountStatusInput) (*request, []api.Demand, error) {
	_, demands, err := anywhere(c, "organizations:DescribeCreateAccountStatus")
	if err != nil {
		return nil, nil, err
	}
	if _, err := c.Snapshot.Version(requestKey(in.CreateAccountRequestId)); err != nil {
		return nil, nil, err
	}
	r, err := scanRequest(c.Snapshot.QueryRow(`SELECT `+requestColumns+` FROM organizations_requests WHERE id = ?`, in.CreateAccountRequestId).Scan)
	return r, demands, err
}

func (s *Service) describeCreateAccountStatus(_ context.Context, _ *api.Call, _ *shape.DescribeCreateAccountStatusInput, r *request) (*shape.DescribeCreateAccountStatusOutput, error) {
	if r == nil {
		return nil, fail("CreateAccountStatusNotFoundException", "You specified an invalid create account request id.")
	}
	return &shape.DescribeCreateAccountStatusOutput{CreateAccountStatus: toStatus(r)}, nil
}

func (s *Service) listedRequests(_ context.Context, c *api.Call, _ *shape.ListCreateAccountStatusInput) (org, []api.Demand, error) {
	return anywhere(c, "organizations:ListCreateAccountStatus")
}

func (s *Service) listCreateAccountStatus(_ context.Context, c *api.Call, in *shape.ListCreateAccountStatusInput, _ org) (*shape.ListCreateAccountStatusOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	where, args := `id > ?`, []any{p.after}
	if len(in.States) > 0 {
		where += ` AND state IN (?` + strings.Repeat(`, ?`, len(in.States)-1) + `)`
		for _, state := range in.States {
			args = append(args, string(state))
		}
	}
	found, err := store.Collect(c.Snapshot, func(r *store.Rows) (*request, error) { return scanRequest(r.Scan) },
		`SELECT `+requestColumns+` FROM organizations_requests WHERE `+where+` ORDER BY id LIMIT ?`, append(args, p.limit+1)...)
	if err != nil {
		return nil, err
	}
	out := &shape.ListCreateAccountStatusOutput{CreateAccountStatuses: []shape.CreateAccountStatus{}}
	found, out.NextToken = cut(p, found, func(r *request) string { return r.id })
	for _, r := range found {
		out.CreateAccountStatuses = append(out.CreateAccountStatuses, *toStatus(r))
	}
	return out, nil
}
