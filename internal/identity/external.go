package identity

import (
	"context"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
)

// given are the external ids that operations of an update would give. What has not
// the form of any fails when it is done.
func given(ops []shape.AttributeOperation) []shape.ExternalId {
	var all []shape.ExternalId
	for _, op := range ops {
		if !strings.EqualFold(op.AttributePath, "externalIds") {
			continue
		}
		var ids []shape.ExternalId
		if json.Unmarshal(op.AttributeValue, &ids, json.MatchCaseInsensitiveNames(true)) == nil {
			all = append(all, ids...)
		}
	}
	return all
}

// whether is a refusal if something is taken.
func whether(used bool, what string) error {
	if used {
		return taken(what)
	}
	return nil
}

// uniqueExternalIDs refuses external ids that name another of the kind.
func uniqueExternalIDs(tx *store.Tx, kind, id string, ids []shape.ExternalId) error {
	for _, x := range ids {
		var n int
		err := tx.QueryRow(`SELECT count(*) FROM identity_external_ids WHERE kind = ? AND issuer = ? AND external = ? AND principal <> ?`,
			kind, x.Issuer, x.Id, id).Scan(&n)
		if err != nil || n > 0 {
			return errors.Join(err, whether(n > 0, "ExternalId"))
		}
	}
	return nil
}

func insertExternalIDs(tx *store.Tx, kind, id string, ids []shape.ExternalId) error {
	for _, x := range ids {
		if _, err := tx.Exec(`INSERT INTO identity_external_ids (kind, issuer, external, principal) VALUES (?, ?, ?, ?)`, kind, x.Issuer, x.Id, id); err != nil {
			return err
		}
	}
	return nil
}

func deleteExternalIDs(tx *store.Tx, kind string, ids []shape.ExternalId) error {
	for _, x := range ids {
		if _, err := tx.Exec(`DELETE FROM identity_external_ids WHERE kind = ? AND issuer = ? AND external = ?`, kind, x.Issuer, x.Id); err != nil {
			return err
		}
	}
	return nil
}

// replaceExternalIDs changes the external ids of one whose were before.
func replaceExternalIDs(tx *store.Tx, kind, id string, before, ids []shape.ExternalId) error {
	if err := deleteExternalIDs(tx, kind, before); err != nil {
		return err
	}
	return insertExternalIDs(tx, kind, id, ids)
}

// alternate finds a user or group by another identifier than its own; empty if
// there is none. An address that several have from before belongs to none of them.
func alternate(q store.Querier, kind string, a *shape.AlternateIdentifier) (string, error) {
	if a == nil || (a.ExternalId == nil) == (a.UniqueAttribute == nil) {
		return "", invalid("AlternateIdentifier takes an ExternalId or a UniqueAttribute.")
	}
	if x := a.ExternalId; x != nil {
		return one(q, `SELECT principal FROM identity_external_ids WHERE kind = ? AND issuer = ? AND external = ?`, kind, x.Issuer, x.Id)
	}
	var value string
	if err := json.Unmarshal(a.UniqueAttribute.AttributeValue, &value); err != nil || value == "" {
		return "", invalid("AttributeValue must be a string.")
	}
	path := a.UniqueAttribute.AttributePath
	switch kind + " " + strings.ToLower(path) {
	case "USER username":
		return one(q, `SELECT id FROM identity_users WHERE name = ?`, Fold(value))
	case "USER emails.value":
		return one(q, `SELECT id FROM identity_users WHERE email = ? LIMIT 2`, Fold(value))
	case "GROUP displayname":
		return one(q, `SELECT id FROM identity_groups WHERE `+groupNamed, Fold(value), value)
	}
	return "", invalid("%q is not a unique attribute.", path)
}

// one answers the id that a query finds; empty if that is none or more than one.
func one(q store.Querier, query string, args ...any) (string, error) {
	ids, err := store.Collect(q, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) }, query, args...)
	if err != nil || len(ids) != 1 {
		return "", err
	}
	return ids[0], nil
}

// foundUser demands the look-up of the user that it finds. For one who is not there
// it demands that of all, so that who may look up one hears of no other.
func (s *Service) foundUser(_ context.Context, c *api.Call, in *shape.GetUserIdInput) (*shape.GetUserIdOutput, []api.Demand, error) {
	id, err := alternate(c.Snapshot, "USER", in.AlternateIdentifier)
	if err != nil {
		return nil, nil, err
	}
	r := s.allUsers()
	r.Missing = absent("USER", "")
	if id != "" {
		if _, r, err = s.userResource(c.Snapshot, id); err != nil {
			return nil, nil, err
		}
	}
	i, demands, err := s.inside(c, "GetUserId", in.IdentityStoreId, nil, r)
	return &shape.GetUserIdOutput{IdentityStoreId: i.store, UserId: id}, demands, err
}

func (s *Service) getUserID(_ context.Context, _ *api.Call, _ *shape.GetUserIdInput, found *shape.GetUserIdOutput) (*shape.GetUserIdOutput, error) {
	return found, nil
}

func (s *Service) foundGroup(_ context.Context, c *api.Call, in *shape.GetGroupIdInput) (*shape.GetGroupIdOutput, []api.Demand, error) {
	id, err := alternate(c.Snapshot, "GROUP", in.AlternateIdentifier)
	if err != nil {
		return nil, nil, err
	}
	r := s.allGroups()
	r.Missing = absent("GROUP", "")
	if id != "" {
		if _, r, err = s.groupResource(c.Snapshot, id); err != nil {
			return nil, nil, err
		}
	}
	i, demands, err := s.inside(c, "GetGroupId", in.IdentityStoreId, nil, r)
	return &shape.GetGroupIdOutput{IdentityStoreId: i.store, GroupId: id}, demands, err
}

func (s *Service) getGroupID(_ context.Context, _ *api.Call, _ *shape.GetGroupIdInput, found *shape.GetGroupIdOutput) (*shape.GetGroupIdOutput, error) {
	return found, nil
}
