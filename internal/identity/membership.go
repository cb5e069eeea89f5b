package identity

import (
	"context"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const membershipColumns = `SELECT id, group_id, user_id, created, created_by FROM identity_memberships`

func (s *Service) scanMembership(storeID string) func(*store.Rows) (shape.GroupMembership, error) {
	return func(r *store.Rows) (shape.GroupMembership, error) {
		m := shape.GroupMembership{IdentityStoreId: storeID, MemberId: &shape.MemberId{}}
		var created int64
		err := r.Scan(&m.MembershipId, &m.GroupId, &m.MemberId.UserId, &created, &m.CreatedBy)
		if created != 0 { // else it is from before times were kept
			m.CreatedAt = time.UnixMicro(created).UTC()
			m.UpdatedAt, m.UpdatedBy = m.CreatedAt, m.CreatedBy
		}
		return m, err
	}
}

func member(m *shape.MemberId) (string, error) {
	if m == nil || m.UserId == "" {
		return "", invalid("MemberId.UserId is required.")
	}
	return m.UserId, nil
}

// pair demands an action on a group and a user.
func (s *Service) pair(c *api.Call, action, storeID, groupID string, m *shape.MemberId, more ...api.Resource) (instance, []api.Demand, error) {
	userID, err := member(m)
	if err != nil {
		return instance{}, nil, err
	}
	_, g, err := s.groupResource(c.Snapshot, groupID)
	if err != nil {
		return instance{}, nil, err
	}
	_, u, err := s.userResource(c.Snapshot, userID)
	if err != nil {
		return instance{}, nil, err
	}
	return s.inside(c, action, storeID, nil, append([]api.Resource{g, u}, more...)...)
}

func (s *Service) joinedGroup(_ context.Context, c *api.Call, in *shape.CreateGroupMembershipInput) (instance, []api.Demand, error) {
	return s.pair(c, "CreateGroupMembership", in.IdentityStoreId, in.GroupId, in.MemberId)
}

func (s *Service) createMembership(_ context.Context, c *api.Call, in *shape.CreateGroupMembershipInput, i instance) (api.Commit[shape.CreateGroupMembershipOutput], error) {
	id, userID := uuid.New(), in.MemberId.UserId
	return func(tx *store.Tx) (*shape.CreateGroupMembershipOutput, error) {
		var joined int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_memberships WHERE group_id = ? AND user_id = ?`, in.GroupId, userID).Scan(&joined); err != nil {
			return nil, err
		}
		if joined > 0 {
			return nil, conflict("Member and Group relationship already exists.").With("Reason", "UNIQUENESS_CONSTRAINT_VIOLATION")
		}
		if _, err := tx.Exec(`INSERT INTO identity_memberships (id, group_id, user_id, created, created_by) VALUES (?, ?, ?, ?, ?)`,
			id, in.GroupId, userID, c.Now.UnixMicro(), c.Caller().ARN); err != nil {
			return nil, err
		}
		return &shape.CreateGroupMembershipOutput{IdentityStoreId: i.store, MembershipId: id}, tx.Touch(userKey(userID))
	}, nil
}

// membership demands an action on one membership, its group and its user.
func (s *Service) membership(c *api.Call, action, storeID, id string) (*shape.GroupMembership, []api.Demand, error) {
	r := s.thing("membership", id, "GroupMembership")
	list, err := store.Collect(c.Snapshot, s.scanMembership(storeID), membershipColumns+` WHERE id = ?`, id)
	if err != nil {
		return nil, nil, err
	}
	if len(list) == 0 {
		r.Missing = absent("GROUP_MEMBERSHIP", id)
		_, demands, err := s.inside(c, action, storeID, nil, s.allGroups(), s.allUsers(), r)
		return nil, demands, err
	}
	_, demands, err := s.pair(c, action, storeID, list[0].GroupId, list[0].MemberId, r)
	return &list[0], demands, err
}

func (s *Service) describedMembership(_ context.Context, c *api.Call, in *shape.DescribeGroupMembershipInput) (*shape.GroupMembership, []api.Demand, error) {
	return s.membership(c, "DescribeGroupMembership", in.IdentityStoreId, in.MembershipId)
}

func (s *Service) describeMembership(_ context.Context, _ *api.Call, _ *shape.DescribeGroupMembershipInput, m *shape.GroupMembership) (*shape.DescribeGroupMembershipOutput, error) {
	out := shape.DescribeGroupMembershipOutput(*m)
	return &out, nil
}

func (s *Service) deletedMembership(_ context.Context, c *api.Call, in *shape.DeleteGroupMembershipInput) (*shape.GroupMembership, []api.Demand, error) {
	return s.membership(c, "DeleteGroupMembership", in.IdentityStoreId, in.MembershipId)
}

func (s *Service) deleteMembership(_ context.Context, _ *api.Call, in *shape.DeleteGroupMembershipInput, m *shape.GroupMembership) (api.Commit[shape.DeleteGroupMembershipOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteGroupMembershipOutput, error) {
		if _, err := tx.Exec(`DELETE FROM identity_memberships WHERE id = ?`, in.MembershipId); err != nil {
			return nil, err
		}
		return &shape.DeleteGroupMembershipOutput{}, tx.Touch(userKey(m.MemberId.UserId))
	}, nil
}

// foundMembership demands the look-up of the membership of a user in a group; that
// of all where she is no member.
func (s *Service) foundMembership(_ context.Context, c *api.Call, in *shape.GetGroupMembershipIdInput) (*shape.GetGroupMembershipIdOutput, []api.Demand, error) {
	userID, err := member(in.MemberId)
	if err != nil {
		return nil, nil, err
	}
	id, err := one(c.Snapshot, `SELECT id FROM identity_memberships WHERE group_id = ? AND user_id = ?`, in.GroupId, userID)
	if err != nil {
		return nil, nil, err
	}
	r := s.allMemberships()
	r.Missing = absent("GROUP_MEMBERSHIP", "")
	if id != "" {
		r = s.thing("membership", id, "GroupMembership")
	}
	i, demands, err := s.pair(c, "GetGroupMembershipId", in.IdentityStoreId, in.GroupId, in.MemberId, r)
	return &shape.GetGroupMembershipIdOutput{IdentityStoreId: i.store, MembershipId: id}, demands, err
}

func (s *Service) getMembershipID(_ context.Context, _ *api.Call, _ *shape.GetGroupMembershipIdInput, found *shape.GetGroupMembershipIdOutput) (*shape.GetGroupMembershipIdOutput, error) {
	return found, nil
}

func (s *Service) listedGroup(_ context.Context, c *api.Call, in *shape.ListGroupMembershipsInput) (instance, []api.Demand, error) {
	_, g, err := s.groupResource(c.Snapshot, in.GroupId)
	if err != nil {
		return instance{}, nil, err
	}
	return s.inside(c, "ListGroupMemberships", in.IdentityStoreId, nil, g, s.allMemberships())
}

// listMemberships pages by id, as does listMembershipsOf.
func (s *Service) listMemberships(_ context.Context, c *api.Call, in *shape.ListGroupMembershipsInput, i instance) (*shape.ListGroupMembershipsOutput, error) {
	out := &shape.ListGroupMembershipsOutput{}
	var err error
	out.GroupMemberships, out.NextToken, err = s.memberships(c, i, "group_id", in.GroupId, in.NextToken, in.MaxResults)
	return out, err
}

func (s *Service) listedMember(_ context.Context, c *api.Call, in *shape.ListGroupMembershipsForMemberInput) (instance, []api.Demand, error) {
	userID, err := member(in.MemberId)
	if err != nil {
		return instance{}, nil, err
	}
	_, u, err := s.userResource(c.Snapshot, userID)
	if err != nil {
		return instance{}, nil, err
	}
	return s.inside(c, "ListGroupMembershipsForMember", in.IdentityStoreId, nil, u, s.allMemberships())
}

func (s *Service) listMembershipsOf(_ context.Context, c *api.Call, in *shape.ListGroupMembershipsForMemberInput, i instance) (*shape.ListGroupMembershipsForMemberOutput, error) {
	out := &shape.ListGroupMembershipsForMemberOutput{}
	var err error
	out.GroupMemberships, out.NextToken, err = s.memberships(c, i, "user_id", in.MemberId.UserId, in.NextToken, in.MaxResults)
	return out, err
}

func (s *Service) memberships(c *api.Call, i instance, column, id, after string, size *int32) ([]shape.GroupMembership, string, error) {
	limit := pageSize(size)
	list, err := store.Collect(c.Snapshot, s.scanMembership(i.store), membershipColumns+` WHERE `+column+` = ? AND id > ? ORDER BY id LIMIT ?`, id, after, limit+1)
	list, next := cut(list, limit, func(m shape.GroupMembership) string { return m.MembershipId })
	return list, next, err
}

func (s *Service) askedMember(_ context.Context, c *api.Call, in *shape.IsMemberInGroupsInput) (instance, []api.Demand, error) {
	userID, err := member(in.MemberId)
	if err != nil {
		return instance{}, nil, err
	}
	_, u, err := s.userResource(c.Snapshot, userID)
	if err != nil {
		return instance{}, nil, err
	}
	things := []api.Resource{u, s.allMemberships()}
	for _, id := range in.GroupIds {
		_, g, err := s.groupResource(c.Snapshot, id)
		if err != nil {
			return instance{}, nil, err
		}
		things = append(things, g)
	}
	return s.inside(c, "IsMemberInGroups", in.IdentityStoreId, nil, things...)
}

func (s *Service) isMember(_ context.Context, c *api.Call, in *shape.IsMemberInGroupsInput, _ instance) (*shape.IsMemberInGroupsOutput, error) {
	out := &shape.IsMemberInGroupsOutput{}
	for _, id := range in.GroupIds {
		found, err := one(c.Snapshot, `SELECT id FROM identity_memberships WHERE group_id = ? AND user_id = ?`, id, in.MemberId.UserId)
		if err != nil {
			return nil, err
		}
		is := found != ""
		out.Results = append(out.Results, shape.GroupMembershipExistenceResult{GroupId: id, MemberId: in.MemberId, MembershipExists: &is})
	}
	return out, nil
}
