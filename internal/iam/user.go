package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func (s *Service) userOperations() []api.Operation {
	return []api.Operation{
		api.Write("UpdateUser", s.updatedUser, s.updateUser),
		api.Write("TagUser", s.taggedUser, s.tagUser),
		api.Write("UntagUser", s.untaggedUser, s.untagUser),
		api.Read("ListUserTags", s.listedUserTags, s.listUserTags),

		api.Read("GetLoginProfile", s.passwordUser, s.getLoginProfile),
		api.Write("DeleteLoginProfile", s.passwordlessUser, s.deleteLoginProfile),
		api.Read("ListSSHPublicKeys", s.shellUser, s.listSSHPublicKeys),
		api.Read("ListSigningCertificates", s.certifiedUser, s.listSigningCertificates),
		api.Read("ListServiceSpecificCredentials", s.specificUser, s.listServiceSpecificCredentials),
	}
}

// toUser is a user as the API describes it.
func toUser(e *entity) shape.User {
	return shape.User{Arn: e.arn(), CreateDate: e.created, Path: e.path, UserId: e.id, UserName: e.name, Tags: e.tags, PermissionsBoundary: toBoundary(e.boundary)}
}

// newUser answers who bears the name already, if anyone does.
func (s *Service) newUser(_ context.Context, c *api.Call, in *shape.CreateUserInput) (*entity, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	e := newEntity(user, c.Account, in.Path, in.UserName, c.Now)
	e.tags = in.Tags
	demands := creating("iam:CreateUser", "iam:TagUser", plain(e), in.Tags)
	withBoundary(&demands[0], in.PermissionsBoundary)
	return e, demands, nil
}

// plain is a resource that does not exist yet: the tags that the request brings
// are not the resource's.
func plain(e *entity) api.Resource {
	r := e.resource()
	r.Tags = nil
	return r
}

func (s *Service) createUser(_ context.Context, c *api.Call, in *shape.CreateUserInput, e *entity) (api.Commit[shape.CreateUserOutput], error) {
	if err := vacant(c.Snapshot, e); err != nil {
		return nil, err
	}
	var err error
	if e.boundary, err = s.newBoundary(c, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateUserOutput, error) {
		if err := room(tx, user, e.account); err != nil {
			return nil, err
		}
		u := toUser(e)
		return &shape.CreateUserOutput{User: &u}, insertEntity(tx, e)
	}, nil
}

// vacant refuses a name that is borne already. The snapshot remembers that it was
// asked, so that of two callers who want it at once one is told.
func vacant(sn *store.Snapshot, e *entity) error {
	if _, err := sn.Version(nameKey(e.kind, e.account, e.name)); err != nil {
		return err
	}
	holder, err := entityByName(sn, e.kind, e.account, e.name)
	if err != nil {
		return err
	}
	if holder != nil {
		return fail("EntityAlreadyExists", "%s with name %s already exists.", e.kind, e.name)
	}
	return nil
}

func (s *Service) gottenUser(_ context.Context, c *api.Call, in *shape.GetUserInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:GetUser")
}

func (s *Service) getUser(_ context.Context, _ *api.Call, _ *shape.GetUserInput, e *entity) (*shape.GetUserOutput, error) {
	u := toUser(e)
	return &shape.GetUserOutput{User: &u}, nil
}

func (s *Service) updatedUser(_ context.Context, c *api.Call, in *shape.UpdateUserInput) (*renaming, []api.Demand, error) {
	return renamed(c, user, in.UserName, in.NewUserName, in.NewPath, "iam:UpdateUser")
}

func (s *Service) updateUser(_ context.Context, c *api.Call, _ *shape.UpdateUserInput, r *renaming) (api.Commit[shape.UpdateUserOutput], error) {
	if err := r.check(c.Snapshot); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateUserOutput, error) { return &shape.UpdateUserOutput{}, r.commit(tx) }, nil
}

func (s *Service) listedUsers(_ context.Context, c *api.Call, in *shape.ListUsersInput) (struct{}, []api.Demand, error) {
	return struct{}{}, anything(c, "iam:ListUsers", user, in.PathPrefix), nil
}

func (s *Service) listUsers(_ context.Context, c *api.Call, in *shape.ListUsersInput, _ struct{}) (*shape.ListUsersOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	found, err := listEntities(c.Snapshot, user, c.Account, in.PathPrefix, p)
	if err != nil {
		return nil, err
	}
	out := &shape.ListUsersOutput{Users: []shape.User{}}
	found, out.IsTruncated, out.Marker = cut(p, found, (*entity).folded)
	for _, e := range found {
		out.Users = append(out.Users, toUser(e))
	}
	return out, nil
}

func (s *Service) deletedUser(_ context.Context, c *api.Call, in *shape.DeleteUserInput) (*entity, []api.Demand, error) {
	return target(c, user, in.UserName, "iam:DeleteUser")
}

func (s *Service) deleteUser(_ context.Context, _ *api.Call, _ *shape.DeleteUserInput, e *entity) (api.Commit[shape.DeleteUserOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteUserOutput, error) {
		return &shape.DeleteUserOutput{}, deleteEntity(tx, e)
	}, nil
}
