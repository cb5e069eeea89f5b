package organizations

import (
	"context"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// A journey is an account with the container that it leaves and the one it goes to.
type journey struct{ account, from, to *node }

func (s *Service) movedAccount(_ context.Context, c *api.Call, in *shape.MoveAccountInput) (journey, []api.Demand, error) {
	o, err := managed(c)
	if err != nil {
		return journey{}, nil, err
	}
	var j journey
	var demands []api.Demand
	for _, step := range []struct {
		node    **node
		id      string
		missing *api.Error
		kinds   []shape.TargetType
	}{
		{&j.account, in.AccountId, noSuchAccount(), []shape.TargetType{shape.TargetTypeAccount}},
		{&j.from, in.SourceParentId, noSuchSource(), container},
		{&j.to, in.DestinationParentId, fail("DestinationParentNotFoundException", "You specified a destination parent that doesn't exist."), container},
	} {
		n, r, err := find(c, o, step.id, step.missing, step.kinds...)
		if err != nil {
			return journey{}, nil, err
		}
		*step.node = n
		demands = append(demands, api.Demand{Action: "organizations:MoveAccount", Resource: r})
	}
	return j, demands, nil
}

func noSuchSource() *api.Error {
	return fail("SourceParentNotFoundException", "You specified a source parent that the account doesn't stand under.")
}

func (s *Service) moveAccount(_ context.Context, _ *api.Call, _ *shape.MoveAccountInput, j journey) (api.Commit[shape.MoveAccountOutput], error) {
	switch {
	case j.account.parent == j.to.id:
		return nil, fail("DuplicateAccountException", "That account is already present in the specified destination.")
	case j.account.parent != j.from.id:
		return nil, noSuchSource()
	}
	return func(tx *store.Tx) (*shape.MoveAccountOutput, error) {
		if _, err := tx.Exec(`UPDATE organizations_accounts SET parent = ? WHERE id = ?`, j.to.id, j.account.id); err != nil {
			return nil, err
		}
		return &shape.MoveAccountOutput{}, tx.Touch(treeKey)
	}, nil
}

// AWS lets a tenth of the accounts be closed within thirty days, but always ten.
const (
	closingTime = 30 * 24 * time.Hour
	minClosings = 10
)

func (s *Service) closedAccount(_ context.Context, c *api.Call, in *shape.CloseAccountInput) (place, []api.Demand, error) {
	return at(c, "organizations:CloseAccount", in.AccountId, noSuchAccount(), shape.TargetTypeAccount)
}

// closeAccount ends every session and key of the account with the next call, and
// nothing opens it again. What it holds stays where it is.
func (s *Service) closeAccount(_ context.Context, c *api.Call, _ *shape.CloseAccountInput, at place) (api.Commit[shape.CloseAccountOutput], error) {
	id := at.node.id
	if id == at.org.management {
		return nil, constraint("CANNOT_CLOSE_MANAGEMENT_ACCOUNT", "You attempted to close the management account.")
	}
	a, err := accountByID(c.Snapshot, id)
	if err != nil {
		return nil, err
	}
	switch a.state {
	case shape.AccountStateActive:
	case shape.AccountStatePendingActivation:
		return nil, fail("ConflictException", "The account is still being created. Try again when it is there.")
	default:
		return nil, fail("AccountAlreadyClosedException", "You attempted to close an account that is already closed.")
	}
	now := c.Now
	return func(tx *store.Tx) (*shape.CloseAccountOutput, error) {
		var members, closed int
		if err := tx.QueryRow(`SELECT COUNT(*), COUNT(CASE WHEN closed > ? THEN 1 END) FROM organizations_accounts WHERE id <> ?`,
			now.Add(-closingTime).UnixMicro(), at.org.management).Scan(&members, &closed); err != nil {
			return nil, err
		}
		if closed >= max(minClosings, members/10) {
			return nil, constraint("CLOSE_ACCOUNT_QUOTA_EXCEEDED", "You have exceeded close account quota for the past 30 days.")
		}
		if _, err := tx.Exec(`UPDATE organizations_accounts SET state = ?, closed = ? WHERE id = ?`,
			string(shape.AccountStateClosed), now.UnixMicro(), id); err != nil {
			return nil, err
		}
		return &shape.CloseAccountOutput{}, tx.Touch(accountKey(id))
	}, nil
}
