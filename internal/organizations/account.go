package organizations

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// toAccount is an account as the API describes it; chain leads to it.
func toAccount(o org, a *account, chain []string) shape.Account {
	status := shape.AccountStatusActive
	if !a.active() {
		status = shape.AccountStatusSuspended
	}
	return shape.Account{
		Arn: o.nodeARN(a.id), Id: a.id, Name: a.name, Email: a.email, State: a.state, Status: status,
		JoinedMethod: a.joined, JoinedTimestamp: a.created, Paths: []string{o.path(append(chain[:len(chain):len(chain)], a.id))},
	}
}

// toAccounts describes accounts wherever they stand.
func toAccounts(q store.Querier, o org, found []*account) ([]shape.Account, error) {
	chains := map[string][]string{}
	out := []shape.Account{}
	for _, a := range found {
		if _, ok := chains[a.parent]; !ok {
			chain, err := above(q, o, a.parent)
			if err != nil {
				return nil, err
			}
			chains[a.parent] = chain
		}
		out = append(out, toAccount(o, a, chains[a.parent]))
	}
	return out, nil
}

func accountID(a *account) string { return a.id }

func collectAccounts(q store.Querier, where string, args ...any) ([]*account, error) {
	return store.Collect(q, func(r *store.Rows) (*account, error) { return scanAccount(r.Scan) },
		`SELECT `+accountColumns+` FROM organizations_accounts WHERE `+where, args...)
}

func (s *Service) listedAccounts(_ context.Context, c *api.Call, _ *shape.ListAccountsInput) (org, []api.Demand, error) {
	return anywhere(c, "organizations:ListAccounts")
}

func (s *Service) listAccounts(_ context.Context, c *api.Call, in *shape.ListAccountsInput, o org) (*shape.ListAccountsOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	found, err := collectAccounts(c.Snapshot, `id > ? ORDER BY id LIMIT ?`, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccountsOutput{}
	found, out.NextToken = cut(p, found, accountID)
	out.Accounts, err = toAccounts(c.Snapshot, o, found)
	return out, err
}

func (s *Service) listedAccountsForParent(_ context.Context, c *api.Call, in *shape.ListAccountsForParentInput) (place, []api.Demand, error) {
	return at(c, "organizations:ListAccountsForParent", in.ParentId, noSuchParent(), container...)
}

func (s *Service) listAccountsForParent(_ context.Context, c *api.Call, in *shape.ListAccountsForParentInput, at place) (*shape.ListAccountsForParentOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	found, err := collectAccounts(c.Snapshot, `parent = ? AND id > ? ORDER BY id LIMIT ?`, at.node.id, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccountsForParentOutput{}
	found, out.NextToken = cut(p, found, accountID)
	out.Accounts, err = toAccounts(c.Snapshot, at.org, found)
	return out, err
}

func (s *Service) describedAccount(_ context.Context, c *api.Call, in *shape.DescribeAccountInput) (place, []api.Demand, error) {
	return at(c, "organizations:DescribeAccount", in.AccountId, noSuchAccount(), shape.TargetTypeAccount)
}

func (s *Service) describeAccount(_ context.Context, c *api.Call, _ *shape.DescribeAccountInput, at place) (*shape.DescribeAccountOutput, error) {
	a, err := accountByID(c.Snapshot, at.node.id)
	if err != nil {
		return nil, err
	}
	found, err := toAccounts(c.Snapshot, at.org, []*account{a})
	if err != nil {
		return nil, err
	}
	return &shape.DescribeAccountOutput{Account: &found[0]}, nil
}
