package kms

import (
	"context"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// maxAliases is how many aliases a key can have.
const maxAliases = 50

func aliasKey(account, name string) string { return "kms:alias/" + account + "/" + name }

// checkAlias says whether a customer may make an alias of this name.
func checkAlias(name string) error {
	rest, ok := strings.CutPrefix(name, "alias/")
	switch {
	case !ok:
		return invalid("Invalid identifier")
	case strings.HasPrefix(name, managedPrefix):
		return fail("NotAuthorizedException", "Aliases that begin with alias/aws/ are reserved.")
	case !plain(rest, "/_") || len(name) > 256:
		return fail("InvalidAliasNameException", "%s contains invalid characters for an alias", name)
	}
	return nil
}

func (s *Service) aliasResource(account, name string) api.Resource {
	return api.Resource{ARN: s.arn(account, name), Account: account, Type: "AWS::KMS::Alias"}
}

// onAlias demands an action on an alias, which IAM alone decides, and on each key
// that it points or pointed to.
func (s *Service) onAlias(c *api.Call, action, alias string, keys ...*named) []api.Demand {
	demands := []api.Demand{{Action: "kms:" + action, Resource: s.aliasResource(c.Account, alias)}}
	for _, n := range keys {
		demands = append(demands, s.demand(c, action, n))
	}
	return demands
}

func (s *Service) newAlias(ctx context.Context, c *api.Call, in *kms.CreateAliasInput) (*named, []api.Demand, error) {
	if err := checkAlias(in.AliasName); err != nil {
		return nil, nil, err
	}
	n, err := s.find(ctx, c, in.TargetKeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	return n, s.onAlias(c, "CreateAlias", in.AliasName, n), nil
}

func (s *Service) createAlias(_ context.Context, c *api.Call, in *kms.CreateAliasInput, n *named) (api.Commit[kms.CreateAliasOutput], error) {
	if err := n.undeleted(); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.CreateAliasOutput, error) {
		old, err := aliasTarget(tx, c.Account, in.AliasName)
		if err != nil {
			return nil, err
		}
		if old != "" {
			return nil, fail("AlreadyExistsException", "An alias with the name %s already exists", s.arn(c.Account, in.AliasName))
		}
		return &kms.CreateAliasOutput{}, insertAlias(tx, c.Account, in.AliasName, n.id, c.Now)
	}, nil
}

// room refuses one more alias of a key that has as many as it may. Every decision on the
// key says them all.
func room(tx *store.Tx, key string) error {
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM kms_aliases WHERE key = ?", key).Scan(&n); err != nil {
		return err
	}
	if n >= maxAliases {
		return fail("LimitExceededException", "A key has at most %d aliases.", maxAliases)
	}
	return nil
}

func insertAlias(tx *store.Tx, account, name, id string, now time.Time) error {
	if err := room(tx, id); err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO kms_aliases (account, name, key, created, updated) VALUES (?, ?, ?, ?, ?)",
		account, name, id, now.UnixMicro(), now.UnixMicro()); err != nil {
		return err
	}
	return tx.Touch(aliasKey(account, name), versionKey(id))
}

// A pointed alias is an alias with the key that it points to and, for
// UpdateAlias, the one that it will point to.
type pointed struct{ old, new *named }

// pointed finds the key of an alias of the caller's account.
func (s *Service) pointed(ctx context.Context, c *api.Call, alias string) (*named, error) {
	if err := checkAlias(alias); err != nil {
		return nil, err
	}
	return s.byAlias(ctx, c, c.Account, alias)
}

func (s *Service) movedAlias(ctx context.Context, c *api.Call, in *kms.UpdateAliasInput) (*pointed, []api.Demand, error) {
	old, err := s.pointed(ctx, c, in.AliasName)
	if err != nil {
		return nil, nil, err
	}
	n, err := s.find(ctx, c, in.TargetKeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	return &pointed{old, n}, s.onAlias(c, "UpdateAlias", in.AliasName, old, n), nil
}

func (s *Service) updateAlias(_ context.Context, c *api.Call, in *kms.UpdateAliasInput, p *pointed) (api.Commit[kms.UpdateAliasOutput], error) {
	if err := p.new.undeleted(); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.UpdateAliasOutput, error) {
		if p.new.id != p.old.id {
			if err := room(tx, p.new.id); err != nil {
				return nil, err
			}
		}
		if _, err := tx.Exec("UPDATE kms_aliases SET key = ?, updated = ? WHERE account = ? AND name = ?",
			p.new.id, c.Now.UnixMicro(), c.Account, in.AliasName); err != nil {
			return nil, err
		}
		return &kms.UpdateAliasOutput{}, tx.Touch(aliasKey(c.Account, in.AliasName), versionKey(p.old.id), versionKey(p.new.id))
	}, nil
}

func (s *Service) deletedAlias(ctx context.Context, c *api.Call, in *kms.DeleteAliasInput) (*named, []api.Demand, error) {
	n, err := s.pointed(ctx, c, in.AliasName)
	if err != nil {
		return nil, nil, err
	}
	return n, s.onAlias(c, "DeleteAlias", in.AliasName, n), nil
}

func (s *Service) deleteAlias(_ context.Context, c *api.Call, in *kms.DeleteAliasInput, n *named) (api.Commit[kms.DeleteAliasOutput], error) {
	return func(tx *store.Tx) (*kms.DeleteAliasOutput, error) {
		if _, err := tx.Exec("DELETE FROM kms_aliases WHERE account = ? AND name = ?", c.Account, in.AliasName); err != nil {
			return nil, err
		}
		return &kms.DeleteAliasOutput{}, tx.Touch(aliasKey(c.Account, in.AliasName), versionKey(n.id))
	}, nil
}

// listingAliases finds the one key whose aliases are asked for, if any.
func (s *Service) listingAliases(ctx context.Context, c *api.Call, in *kms.ListAliasesInput) (*named, []api.Demand, error) {
	demands := api.On("kms:ListAliases", api.Any)
	if in.KeyId == "" {
		return nil, demands, nil
	}
	n, err := s.find(ctx, c, in.KeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Resource.Missing = n.resource.Missing
	return n, demands, nil
}

func (s *Service) listAliases(_ context.Context, c *api.Call, in *kms.ListAliasesInput, n *named) (*kms.ListAliasesOutput, error) {
	p, err := pageOf(in.Limit, in.Marker, 50, 100)
	if err != nil {
		return nil, err
	}
	query := "SELECT name, key, created, updated FROM kms_aliases WHERE account = ? AND name > ?"
	args := []any{c.Account, p.after}
	if n != nil {
		query += " AND key = ?"
		args = append(args, n.id)
	}
	rows, err := c.Snapshot.Query(query+" ORDER BY name LIMIT ?", append(args, p.limit+1)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entries []kms.AliasListEntry
	for rows.Next() {
		var e kms.AliasListEntry
		var created, updated int64
		if err := rows.Scan(&e.AliasName, &e.TargetKeyId, &created, &updated); err != nil {
			return nil, err
		}
		e.AliasArn = s.arn(c.Account, e.AliasName)
		e.CreationDate, e.LastUpdatedDate = time.UnixMicro(created), time.UnixMicro(updated)
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	entries, next, more := cut(p, entries, func(e kms.AliasListEntry) string { return e.AliasName })
	return &kms.ListAliasesOutput{Aliases: entries, NextMarker: next, Truncated: &more}, nil
}
