package identity

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

func (s *Service) createGroup(_ context.Context, c *api.Call, in *shape.CreateGroupInput, i instance) (api.Commit[shape.CreateGroupOutput], error) {
	if in.DisplayName == "" {
		return nil, invalid("DisplayName is required.")
	}
	id := uuid.New()
	return func(tx *store.Tx) (*shape.CreateGroupOutput, error) {
		var taken int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_groups WHERE name = ?`, in.DisplayName).Scan(&taken); err != nil {
			return nil, err
		}
		if taken > 0 {
			return nil, conflict("Duplicate GroupDisplayName")
		}
		_, err := tx.Exec(`INSERT INTO identity_groups (id, name, description, created) VALUES (?, ?, ?, ?)`, id, in.DisplayName, in.Description, c.Now.UnixMicro())
		return &shape.CreateGroupOutput{GroupId: id, IdentityStoreId: i.store}, err
	}, nil
}

func (s *Service) listGroups(_ context.Context, c *api.Call, in *shape.ListGroupsInput, i instance) (*shape.ListGroupsOutput, error) {
	limit := pageSize(in.MaxResults)
	query, args := `SELECT id, name, description, created FROM identity_groups WHERE id > ? ORDER BY id LIMIT ?`, []any{in.NextToken, limit + 1}
	if len(in.Filters) > 1 {
		return nil, invalid("One filter can be given.")
	}
	for _, f := range in.Filters {
		if !strings.EqualFold(f.AttributePath, "DisplayName") {
			return nil, invalid("Groups can be filtered by DisplayName only, not by %q.", f.AttributePath)
		}
		query = `SELECT id, name, description, created FROM identity_groups WHERE id > ? AND name = ? ORDER BY id LIMIT ?`
		args = []any{in.NextToken, f.AttributeValue, limit + 1}
	}
	groups, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.Group, error) {
		g := shape.Group{IdentityStoreId: i.store}
		var created int64
		err := r.Scan(&g.GroupId, &g.DisplayName, &g.Description, &created)
		g.CreatedAt = time.UnixMicro(created).UTC()
		return g, err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	out := &shape.ListGroupsOutput{Groups: groups}
	if len(groups) > limit {
		out.Groups, out.NextToken = groups[:limit], groups[limit-1].GroupId
	}
	return out, nil
}

// group demands an action on one group and answers its id.
func (s *Service) group(c *api.Call, action, storeID, id string) (instance, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	if err != nil {
		return i, nil, err
	}
	r := api.Resource{ARN: personARN("group", id), Account: s.account, Type: "AWS::IdentityStore::Group"}
	there, err := groupExists(c.Snapshot, id)
	if err != nil {
		return i, nil, err
	}
	if !there || storeID != i.store {
		r.Missing = notFound("GROUP not found.")
	}
	return i, api.On(action, r), nil
}

func groupExists(q store.Querier, id string) (bool, error) {
	var n int
	err := q.QueryRow(`SELECT count(*) FROM identity_groups WHERE id = ?`, id).Scan(&n)
	return n > 0, err
}

func (s *Service) deletedGroup(_ context.Context, c *api.Call, in *shape.DeleteGroupInput) (instance, []api.Demand, error) {
	return s.group(c, "identitystore:DeleteGroup", in.IdentityStoreId, in.GroupId)
}

func (s *Service) deleteGroup(_ context.Context, _ *api.Call, in *shape.DeleteGroupInput, _ instance) (api.Commit[shape.DeleteGroupOutput], error) {
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
		} {
			if _, err := tx.Exec(q, in.GroupId); err != nil {
				return nil, err
			}
		}
		for _, id := range members {
			if err := tx.Touch(userKey(id)); err != nil {
				return nil, err
			}
		}
		return &shape.DeleteGroupOutput{}, nil
	}, nil
}

func (s *Service) joinedGroup(_ context.Context, c *api.Call, in *shape.CreateGroupMembershipInput) (instance, []api.Demand, error) {
	i, demands, err := s.group(c, "identitystore:CreateGroupMembership", in.IdentityStoreId, in.GroupId)
	if err != nil {
		return i, nil, err
	}
	if in.MemberId == nil || in.MemberId.UserId == "" {
		return i, nil, invalid("MemberId.UserId is required.")
	}
	_, more, err := s.person(c, "identitystore:CreateGroupMembership", in.IdentityStoreId, in.MemberId.UserId)
	return i, append(demands, more...), err
}

func (s *Service) createMembership(_ context.Context, _ *api.Call, in *shape.CreateGroupMembershipInput, i instance) (api.Commit[shape.CreateGroupMembershipOutput], error) {
	id := uuid.New()
	return func(tx *store.Tx) (*shape.CreateGroupMembershipOutput, error) {
		there, err := groupExists(tx, in.GroupId)
		if err != nil {
			return nil, err
		}
		if !there {
			return nil, notFound("GROUP not found.")
		}
		var joined int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_memberships WHERE group_id = ? AND user_id = ?`, in.GroupId, in.MemberId.UserId).Scan(&joined); err != nil {
			return nil, err
		}
		if joined > 0 {
			return nil, conflict("Member and Group relationship already exists.")
		}
		if _, err := tx.Exec(`INSERT INTO identity_memberships (id, group_id, user_id) VALUES (?, ?, ?)`, id, in.GroupId, in.MemberId.UserId); err != nil {
			return nil, err
		}
		return &shape.CreateGroupMembershipOutput{IdentityStoreId: i.store, MembershipId: id}, tx.Touch(userKey(in.MemberId.UserId))
	}, nil
}

func (s *Service) listedGroup(_ context.Context, c *api.Call, in *shape.ListGroupMembershipsInput) (instance, []api.Demand, error) {
	return s.group(c, "identitystore:ListGroupMemberships", in.IdentityStoreId, in.GroupId)
}

func (s *Service) listMemberships(_ context.Context, c *api.Call, in *shape.ListGroupMembershipsInput, i instance) (*shape.ListGroupMembershipsOutput, error) {
	limit := pageSize(in.MaxResults)
	members, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.GroupMembership, error) {
		m := shape.GroupMembership{IdentityStoreId: i.store, GroupId: in.GroupId, MemberId: &shape.MemberId{}}
		return m, r.Scan(&m.MembershipId, &m.MemberId.UserId)
	}, `SELECT id, user_id FROM identity_memberships WHERE group_id = ? AND id > ? ORDER BY id LIMIT ?`, in.GroupId, in.NextToken, limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListGroupMembershipsOutput{GroupMemberships: members}
	if len(members) > limit {
		out.GroupMemberships, out.NextToken = members[:limit], members[limit-1].MembershipId
	}
	return out, nil
}

// deletedMembership resolves to the id of the user who leaves.
func (s *Service) deletedMembership(_ context.Context, c *api.Call, in *shape.DeleteGroupMembershipInput) (string, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	if err != nil {
		return "", nil, err
	}
	r := api.Resource{ARN: personARN("membership", in.MembershipId), Account: s.account, Type: "AWS::IdentityStore::GroupMembership"}
	var userID string
	err = c.Snapshot.QueryRow(`SELECT user_id FROM identity_memberships WHERE id = ?`, in.MembershipId).Scan(&userID)
	if errors.Is(err, sql.ErrNoRows) || in.IdentityStoreId != i.store {
		r.Missing, err = notFound("MEMBERSHIP not found."), nil
	}
	return userID, api.On("identitystore:DeleteGroupMembership", r), err
}

func (s *Service) deleteMembership(_ context.Context, _ *api.Call, in *shape.DeleteGroupMembershipInput, userID string) (api.Commit[shape.DeleteGroupMembershipOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteGroupMembershipOutput, error) {
		if _, err := tx.Exec(`DELETE FROM identity_memberships WHERE id = ?`, in.MembershipId); err != nil {
			return nil, err
		}
		return &shape.DeleteGroupMembershipOutput{}, tx.Touch(userKey(userID))
	}, nil
}
