package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func (s *Service) groupOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreateGroup", s.newGroup, s.createGroup),
		api.Read("GetGroup", s.gottenGroup, s.getGroup),
		api.Write("UpdateGroup", s.updatedGroup, s.updateGroup),
		api.Read("ListGroups", s.listedGroups, s.listGroups),
		api.Write("DeleteGroup", s.deletedGroup, s.deleteGroup),

		api.Write("AddUserToGroup", s.joinedGroup, s.addUserToGroup),
		api.Write("RemoveUserFromGroup", s.leftGroup, s.removeUserFromGroup),
		api.Read("ListGroupsForUser", s.groupedUser, s.listGroupsForUser),

		api.Write("PutGroupPolicy", s.writtenGroupPolicy, s.putGroupPolicy),
		api.Read("GetGroupPolicy", s.gottenGroupPolicy, s.getGroupPolicy),
		api.Read("ListGroupPolicies", s.listedGroupPolicies, s.listGroupPolicies),
		api.Write("DeleteGroupPolicy", s.deletedGroupPolicy, s.deleteGroupPolicy),
		api.Write("AttachGroupPolicy", s.attachedToGroup, s.attachGroupPolicy),
		api.Write("DetachGroupPolicy", s.detachedFromGroup, s.detachGroupPolicy),
		api.Read("ListAttachedGroupPolicies", s.listedGroupAttachments, s.listAttachedGroupPolicies),
	}
}

// toGroup is a group as the API describes it.
func toGroup(e *entity) shape.Group {
	return shape.Group{Arn: e.arn(), CreateDate: e.created, GroupId: e.id, GroupName: e.name, Path: e.path}
}

func (s *Service) newGroup(_ context.Context, c *api.Call, in *shape.CreateGroupInput) (*entity, []api.Demand, error) {
	e := newEntity(group, c.Account, in.Path, in.GroupName, c.Now)
	return e, []api.Demand{e.demand("iam:CreateGroup")}, nil
}

func (s *Service) createGroup(_ context.Context, c *api.Call, _ *shape.CreateGroupInput, e *entity) (api.Commit[shape.CreateGroupOutput], error) {
	if err := vacant(c.Snapshot, e); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateGroupOutput, error) {
		if err := room(tx, group, e.account); err != nil {
			return nil, err
		}
		g := toGroup(e)
		return &shape.CreateGroupOutput{Group: &g}, insertEntity(tx, e)
	}, nil
}

func (s *Service) gottenGroup(_ context.Context, c *api.Call, in *shape.GetGroupInput) (*entity, []api.Demand, error) {
	return target(c, group, in.GroupName, "iam:GetGroup")
}

// getGroup answers a page of the members too, in the order of their names.
func (s *Service) getGroup(_ context.Context, c *api.Call, in *shape.GetGroupInput, e *entity) (*shape.GetGroupOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	members, err := store.Collect(c.Snapshot, func(r *store.Rows) (*entity, error) { return scanEntity(r.Scan) },
		`SELECT `+entityColumns+` FROM iam_entities WHERE id IN (SELECT user_id FROM iam_members WHERE group_id = ?) AND folded > ?
			ORDER BY folded LIMIT ?`, e.id, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	g := toGroup(e)
	out := &shape.GetGroupOutput{Group: &g, Users: []shape.User{}}
	members, out.IsTruncated, out.Marker = cut(p, members, (*entity).folded)
	for _, u := range members {
		out.Users = append(out.Users, toUser(u))
	}
	return out, nil
}

func (s *Service) updatedGroup(_ context.Context, c *api.Call, in *shape.UpdateGroupInput) (*renaming, []api.Demand, error) {
	return renamed(c, group, in.GroupName, in.NewGroupName, in.NewPath, "iam:UpdateGroup")
}

func (s *Service) updateGroup(_ context.Context, c *api.Call, _ *shape.UpdateGroupInput, r *renaming) (api.Commit[shape.UpdateGroupOutput], error) {
	if err := r.check(c.Snapshot); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateGroupOutput, error) { return &shape.UpdateGroupOutput{}, r.commit(tx) }, nil
}

func (s *Service) listedGroups(_ context.Context, c *api.Call, in *shape.ListGroupsInput) (struct{}, []api.Demand, error) {
	return struct{}{}, anything(c, "iam:ListGroups", group, in.PathPrefix), nil
}

func (s *Service) listGroups(_ context.Context, c *api.Call, in *shape.ListGroupsInput, _ struct{}) (*shape.ListGroupsOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	found, err := listEntities(c.Snapshot, group, c.Account, in.PathPrefix, p)
	if err != nil {
		return nil, err
	}
	out := &shape.ListGroupsOutput{Groups: []shape.Group{}}
	found, out.IsTruncated, out.Marker = cut(p, found, (*entity).folded)
	for _, e := range found {
		out.Groups = append(out.Groups, toGroup(e))
	}
	return out, nil
}

func (s *Service) deletedGroup(_ context.Context, c *api.Call, in *shape.DeleteGroupInput) (*entity, []api.Demand, error) {
	return target(c, group, in.GroupName, "iam:DeleteGroup")
}

func (s *Service) deleteGroup(_ context.Context, _ *api.Call, _ *shape.DeleteGroupInput, e *entity) (api.Commit[shape.DeleteGroupOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteGroupOutput, error) {
		return &shape.DeleteGroupOutput{}, deleteEntity(tx, e)
	}, nil
}
