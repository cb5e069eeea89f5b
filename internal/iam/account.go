package iam

import (
	"context"
	"database/sql"
	"errors"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func (s *Service) accountOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreateAccountAlias", s.newAlias, s.createAccountAlias),
		api.Write("DeleteAccountAlias", s.deletedAlias, s.deleteAccountAlias),
		api.Read("ListAccountAliases", s.listedAliases, s.listAccountAliases),
		api.Read("GetAccountSummary", s.summarized, s.getAccountSummary),
		api.Read("GetAccountAuthorizationDetails", s.detailed, s.getAccountAuthorizationDetails),
	}
}

// aliasOf is the alias of an account, or nothing.
func aliasOf(q querier, account string) (string, error) {
	var alias string
	err := q.QueryRow(`SELECT alias FROM iam_aliases WHERE account = ?`, account).Scan(&alias)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return alias, err
}

func (s *Service) newAlias(_ context.Context, _ *api.Call, in *shape.CreateAccountAliasInput) (struct{}, []api.Demand, error) {
	if isAccount(in.AccountAlias) {
		// People type either where they sign in: none may look like another's number.
		return struct{}{}, nil, invalid("An account alias cannot be a 12-digit number.")
	}
	return struct{}{}, api.On("iam:CreateAccountAlias", api.Any), nil
}

func isAccount(text string) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) == 12
}

// createAccountAlias gives an account another alias than it had. The snapshot
// remembers that the alias was free.
func (s *Service) createAccountAlias(_ context.Context, c *api.Call, in *shape.CreateAccountAliasInput, _ struct{}) (api.Commit[shape.CreateAccountAliasOutput], error) {
	key := "iam:alias/" + in.AccountAlias
	if _, err := c.Snapshot.Version(key); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateAccountAliasOutput, error) {
		n, err := count(tx, `SELECT COUNT(*) FROM iam_aliases WHERE alias = ?`, in.AccountAlias)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			return nil, fail("EntityAlreadyExists", "The account alias %s already exists.", in.AccountAlias)
		}
		if _, err := tx.Exec(`INSERT INTO iam_aliases (account, alias) VALUES (?, ?)
			ON CONFLICT (account) DO UPDATE SET alias = excluded.alias`, c.Account, in.AccountAlias); err != nil {
			return nil, err
		}
		return &shape.CreateAccountAliasOutput{}, tx.Touch(key)
	}, nil
}

func (s *Service) deletedAlias(context.Context, *api.Call, *shape.DeleteAccountAliasInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("iam:DeleteAccountAlias", api.Any), nil
}

func (s *Service) deleteAccountAlias(_ context.Context, c *api.Call, in *shape.DeleteAccountAliasInput, _ struct{}) (api.Commit[shape.DeleteAccountAliasOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteAccountAliasOutput, error) {
		alias, err := aliasOf(tx, c.Account)
		if err != nil {
			return nil, err
		}
		if alias != in.AccountAlias {
			return nil, fail("NoSuchEntity", "The account alias %s cannot be found.", in.AccountAlias)
		}
		if _, err := tx.Exec(`DELETE FROM iam_aliases WHERE account = ?`, c.Account); err != nil {
			return nil, err
		}
		return &shape.DeleteAccountAliasOutput{}, tx.Touch("iam:alias/" + alias)
	}, nil
}

func (s *Service) listedAliases(context.Context, *api.Call, *shape.ListAccountAliasesInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("iam:ListAccountAliases", api.Any), nil
}

func (s *Service) listAccountAliases(_ context.Context, c *api.Call, in *shape.ListAccountAliasesInput, _ struct{}) (*shape.ListAccountAliasesOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccountAliasesOutput{AccountAliases: []string{}, IsTruncated: new(bool)}
	alias, err := aliasOf(c.Snapshot, c.Account)
	if alias > p.after {
		out.AccountAliases = append(out.AccountAliases, alias)
	}
	return out, err
}
