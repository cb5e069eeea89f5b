package identity

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// groupNamed finds a group by its name without case. A group from before is folded
// as far as the database could, and is found by its exact name at least.
const groupNamed = `(folded = ? OR name = ?)`

const groupColumns = `SELECT id, name, description, created, doc FROM identity_groups`

func (s *Service) scanGroup(storeID string) func(*store.Rows) (shape.Group, error) {
	return func(r *store.Rows) (shape.Group, error) {
		g := shape.Group{}
		var created int64
		var doc []byte
		if err := r.Scan(&g.GroupId, &g.DisplayName, &g.Description, &created, &doc); err != nil {
			return g, err
		}
		g.IdentityStoreId, g.CreatedAt = storeID, time.UnixMicro(created).UTC()
		if doc == nil {
			return g, nil
		}
		return g, json.Unmarshal(doc, &g)
	}
}

// group finds a group by id; nil if there is none.
func (s *Service) group(q store.Querier, id string) (*shape.Group, error) {
	if _, err := q.Version(groupKey(id)); err != nil {
		return nil, err
	}
	i, err := s.instance(q)
	if err != nil {
		return nil, err
	}
	list, err := store.Collect(q, s.scanGroup(i.store), groupColumns+` WHERE id = ?`, id)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func (s *Service) newGroup(_ context.Context, c *api.Call, in *shape.CreateGroupInput) (instance, []api.Demand, error) {
	return s.inside(c, "CreateGroup", in.IdentityStoreId, nil)
}

func (s *Service) createGroup(_ context.Context, c *api.Call, in *shape.CreateGroupInput, i instance) (api.Commit[shape.CreateGroupOutput], error) {
	g := &shape.Group{
		GroupId: uuid.New(), IdentityStoreId: i.store, DisplayName: in.DisplayName, Description: in.Description,
		CreatedAt: c.Now.UTC(), CreatedBy: c.Caller().ARN,
	}
	g.UpdatedAt, g.UpdatedBy = g.CreatedAt, g.CreatedBy
	if err := s.checkGroup(g); err != nil {
		return nil, err
	}
	if err := s.groups.room(c.Snapshot); err != nil {
		return nil, err
	}
	doc, err := write(g)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateGroupOutput, error) {
		if err := uniqueGroup(tx, g); err != nil {
			return nil, err
		}
		_, err := tx.Exec(`INSERT INTO identity_groups (id, name, description, created, doc, folded) VALUES (?, ?, ?, ?, ?, ?)`,
			g.GroupId, g.DisplayName, g.Description, c.Now.UnixMicro(), doc, Fold(g.DisplayName))
		if err != nil {
			return nil, err
		}
		return &shape.CreateGroupOutput{GroupId: g.GroupId, IdentityStoreId: i.store}, tx.Touch(groupKey(g.GroupId))
	}, nil
}

// checkGroup says what is wrong with a group as it would be stored.
func (s *Service) checkGroup(g *shape.Group) error {
	if g.DisplayName == "" {
		return invalid("DisplayName is required.")
	}
	switch Fold(g.DisplayName) {
	case "administrator", "awsadministrators":
		return invalid("The DisplayName is reserved.")
	}
	return errors.Join(s.rules.check("Group", g, ""), distinct(g.ExternalIds))
}

// uniqueGroup refuses a group whose name or external id is another's.
func uniqueGroup(tx *store.Tx, g *shape.Group) error {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM identity_groups WHERE `+groupNamed+` AND id <> ?`, Fold(g.DisplayName), g.DisplayName, g.GroupId).Scan(&n)
	if err != nil || n > 0 {
		return errors.Join(err, whether(n > 0, "GroupDisplayName"))
	}
	return uniqueExternalIDs(tx, "GROUP", g.GroupId, g.ExternalIds)
}

func (s *Service) describedGroup(_ context.Context, c *api.Call, in *shape.DescribeGroupInput) (*shape.Group, []api.Demand, error) {
	return s.team(c, "DescribeGroup", in.IdentityStoreId, in.GroupId)
}

func (s *Service) describeGroup(_ context.Context, _ *api.Call, _ *shape.DescribeGroupInput, g *shape.Group) (*shape.DescribeGroupOutput, error) {
	out := shape.DescribeGroupOutput(*g)
	return &out, nil
}

func (s *Service) changedGroup(_ context.Context, c *api.Call, in *shape.UpdateGroupInput) (*shape.Group, []api.Demand, error) {
	return s.team(c, "UpdateGroup", in.IdentityStoreId, in.GroupId, given(in.Operations)...)
}

func (s *Service) updateGroup(_ context.Context, c *api.Call, in *shape.UpdateGroupInput, g *shape.Group) (api.Commit[shape.UpdateGroupOutput], error) {
	before := g.ExternalIds
	for _, op := range in.Operations {
		if err := setGroup(g, op); err != nil {
			return nil, err
		}
	}
	if err := s.checkGroup(g); err != nil {
		return nil, err
	}
	g.UpdatedAt, g.UpdatedBy = c.Now.UTC(), c.Caller().ARN
	doc, err := write(g)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateGroupOutput, error) {
		if err := uniqueGroup(tx, g); err != nil {
			return nil, err
		}
		_, err := tx.Exec(`UPDATE identity_groups SET name = ?, description = ?, doc = ?, folded = ? WHERE id = ?`,
			g.DisplayName, g.Description, doc, Fold(g.DisplayName), g.GroupId)
		if err != nil {
			return nil, err
		}
		if err := replaceExternalIDs(tx, "GROUP", g.GroupId, before, g.ExternalIds); err != nil {
			return nil, err
		}
		return &shape.UpdateGroupOutput{}, tx.Touch(groupKey(g.GroupId))
	}, nil
}

func (s *Service) deletedGroup(_ context.Context, c *api.Call, in *shape.DeleteGroupInput) (*shape.Group, []api.Demand, error) {
	return s.team(c, "DeleteGroup", in.IdentityStoreId, in.GroupId)
}

func (s *Service) deleteGroup(_ context.Context, _ *api.Call, in *shape.DeleteGroupInput, g *shape.Group) (api.Commit[shape.DeleteGroupOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteGroupOutput, error) {
		members, err := store.Collect(tx, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
			`SELECT user_id FROM identity_memberships WHERE group_id = ?`, in.GroupId)
		if err != nil {
			return nil, err
		}
		for _, q := range []string{
			`DELETE FROM identity_groups WHERE id = ?`,
			`DELETE FROM identity_memberships WHERE group_id = ?`,
			`DELETE FROM identity_assignments WHERE kind = 'GROUP' AND principal = ?`,
			`DELETE FROM identity_account_assignments WHERE kind = 'GROUP' AND principal = ?`,
		} {
			if _, err := tx.Exec(q, in.GroupId); err != nil {
				return nil, err
			}
		}
		if err := deleteExternalIDs(tx, "GROUP", g.ExternalIds); err != nil {
			return nil, err
		}
		for i, id := range members {
			members[i] = userKey(id)
		}
		tx.AfterCommit(s.notify) // a role may be nobody's now
		return &shape.DeleteGroupOutput{}, tx.Touch(append(members, groupKey(in.GroupId))...)
	}, nil
}

func (s *Service) listedGroups(_ context.Context, c *api.Call, in *shape.ListGroupsInput) (instance, []api.Demand, error) {
	return s.inside(c, "ListGroups", in.IdentityStoreId, nil, s.allGroups())
}

// listGroups pages by id.
func (s *Service) listGroups(_ context.Context, c *api.Call, in *shape.ListGroupsInput, i instance) (*shape.ListGroupsOutput, error) {
	name, only, err := filtered(in.Filters, "DisplayName")
	if err != nil {
		return nil, err
	}
	limit := pageSize(in.MaxResults)
	query, args := groupColumns+` WHERE id > ? ORDER BY id LIMIT ?`, []any{in.NextToken, limit + 1}
	if only {
		query, args = groupColumns+` WHERE id > ? AND `+groupNamed+` ORDER BY id LIMIT ?`, []any{in.NextToken, Fold(name), name, limit + 1}
	}
	groups, err := store.Collect(c.Snapshot, s.scanGroup(i.store), query, args...)
	if err != nil {
		return nil, err
	}
	out := &shape.ListGroupsOutput{}
	out.Groups, out.NextToken = cut(groups, limit, func(g shape.Group) string { return g.GroupId })
	return out, nil
}
