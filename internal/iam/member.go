package iam

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// Users have what their groups have. So that a decision costs one look-up of the
// user's version, a change of a group touches every member's key.

// groupID is what the unique ids of groups begin with.
const groupID = "AGPA"

// reached are the version keys of whoever the policies of these users, groups and
// roles speak for: they and, of groups, the members.
func reached(q querier, owners ...string) ([]string, error) {
	var keys []string
	for _, id := range owners {
		keys = append(keys, entityKey(id))
		if !strings.HasPrefix(id, groupID) {
			continue
		}
		members, err := store.Collect(q, func(r *store.Rows) (id string, err error) {
			err = r.Scan(&id)
			return entityKey(id), err
		}, `SELECT user_id FROM iam_members WHERE group_id = ?`, id)
		if err != nil {
			return nil, err
		}
		keys = append(keys, members...)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// changed touches everyone for whom the policies of an entity speak, and more keys.
func changed(tx *store.Tx, e *entity, more ...string) error {
	keys, err := reached(tx, e.id)
	if err != nil {
		return err
	}
	return tx.Touch(append(keys, more...)...)
}

// groupsOf are the groups of a user, in the order of their names.
func groupsOf(q querier, userID string) ([]*entity, error) {
	return store.Collect(q, func(r *store.Rows) (*entity, error) { return scanEntity(r.Scan) },
		`SELECT `+entityColumns+` FROM iam_entities WHERE id IN (SELECT group_id FROM iam_members WHERE user_id = ?) ORDER BY folded`, userID)
}

// groupPolicies are the policies that a user has by its groups.
func (s *Service) groupPolicies(sn *store.Snapshot, user *entity) ([]policy.Doc, error) {
	groups, err := groupsOf(sn, user.id)
	if err != nil {
		return nil, err
	}
	var all []policy.Doc
	for _, g := range groups {
		docs, err := s.policiesOf(sn, g)
		if err != nil {
			return nil, err
		}
		all = append(all, docs...)
	}
	return all, nil
}

// A membership is a user in a group, or one that might be; the user may be missing.
type membership struct {
	group, user *entity
	userName    string
}

// joining resolves a group and a user. The permission is one on the group.
func joining(c *api.Call, groupName, userName, action string) (*membership, []api.Demand, error) {
	g, demands, err := target(c, group, groupName, action)
	if err != nil {
		return nil, nil, err
	}
	u, err := named(c.Snapshot, user, c.Account, userName)
	return &membership{g, u, userName}, demands, err
}

func (s *Service) joinedGroup(_ context.Context, c *api.Call, in *shape.AddUserToGroupInput) (*membership, []api.Demand, error) {
	return joining(c, in.GroupName, in.UserName, "iam:AddUserToGroup")
}

// addUserToGroup changes nothing where the user is a member. The snapshot has both
// keys, so that neither the group's policies nor the user's memberships change
// meanwhile unnoticed.
func (s *Service) addUserToGroup(_ context.Context, _ *api.Call, _ *shape.AddUserToGroupInput, m *membership) (api.Commit[shape.AddUserToGroupOutput], error) {
	if m.user == nil {
		return nil, noSuch(user, m.userName)
	}
	return func(tx *store.Tx) (*shape.AddUserToGroupOutput, error) {
		n, err := count(tx, `SELECT COUNT(*) FROM iam_members WHERE user_id = ? AND group_id <> ?`, m.user.id, m.group.id)
		if err != nil {
			return nil, err
		}
		if n >= maxGroupsPerUser {
			return nil, exceeded("GroupsPerUser", maxGroupsPerUser)
		}
		if _, err := tx.Exec(`INSERT INTO iam_members (user_id, group_id) VALUES (?, ?) ON CONFLICT (user_id, group_id) DO NOTHING`,
			m.user.id, m.group.id); err != nil {
			return nil, err
		}
		return &shape.AddUserToGroupOutput{}, tx.Touch(m.user.key())
	}, nil
}

func (s *Service) leftGroup(_ context.Context, c *api.Call, in *shape.RemoveUserFromGroupInput) (*membership, []api.Demand, error) {
	return joining(c, in.GroupName, in.UserName, "iam:RemoveUserFromGroup")
}

// removeUserFromGroup changes nothing where the user is no member, as in AWS.
func (s *Service) removeUserFromGroup(_ context.Context, _ *api.Call, _ *shape.RemoveUserFromGroupInput, m *membership) (api.Commit[shape.RemoveUserFromGroupOutput], error) {
	if m.user == nil {
		return nil, noSuch(user, m.userName)
	}
	return func(tx *store.Tx) (*shape.RemoveUserFromGroupOutput, error) {
		if _, err := tx.Exec(`DELETE FROM iam_members WHERE user_id = ? AND group_id = ?`, m.user.id, m.group.id); err != nil {
			return nil, err
		}
		return &shape.RemoveUserFromGroupOutput{}, tx.Touch(m.user.key())
	}, nil
}

func (s *Service) groupedUser(_ context.Context, c *api.Call, in *shape.ListGroupsForUserInput) (*entity, []api.Demand, error) {
	return target(c, user, in.UserName, "iam:ListGroupsForUser")
}

// listGroupsForUser pages in memory: the quota keeps them few.
func (s *Service) listGroupsForUser(_ context.Context, c *api.Call, in *shape.ListGroupsForUserInput, e *entity) (*shape.ListGroupsForUserOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	groups, err := groupsOf(c.Snapshot, e.id)
	if err != nil {
		return nil, err
	}
	out := &shape.ListGroupsForUserOutput{Groups: []shape.Group{}}
	groups, out.IsTruncated, out.Marker = cut(p, rest(p, groups, (*entity).folded), (*entity).folded)
	for _, g := range groups {
		out.Groups = append(out.Groups, toGroup(g))
	}
	return out, nil
}
