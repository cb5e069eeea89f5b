package iam

import (
	"context"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

const defaultMaxSession = time.Hour

func (s *Service) roleOperations() []api.Operation {
	return []api.Operation{
		api.Write("UpdateRole", s.updatedRole, s.updateRole),
		api.Write("UpdateRoleDescription", s.describedRole, s.updateRoleDescription),
	}
}

// toRole is a role as the API describes it. Its trust policy names principals
// that are gone by their ids.
func toRole(q querier, e *entity) (*shape.Role, error) {
	trust, err := shownTrust(q, e)
	if err != nil {
		return nil, err
	}
	seconds := int32(e.maxSession / time.Second)
	return &shape.Role{
		Arn: e.arn(), AssumeRolePolicyDocument: answered(trust), CreateDate: e.created, Description: e.description,
		MaxSessionDuration: &seconds, Path: e.path, RoleId: e.id, RoleName: e.name, Tags: e.tags,
		PermissionsBoundary: toBoundary(e.boundary),
	}, nil
}

func (s *Service) newRole(_ context.Context, c *api.Call, in *shape.CreateRoleInput) (*entity, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(in.Path, "/aws-service-role/") || strings.HasPrefix(in.Path, reservedPath) && !keeper(c, in.Path) {
		// Organization controls pass service-linked roles by: nobody may pose as one.
		return nil, nil, invalid("The path %s is reserved for roles that services make.", in.Path)
	}
	e := newEntity(role, c.Account, in.Path, in.RoleName, c.Now)
	e.description, e.trust, e.tags, e.maxSession = in.Description, in.AssumeRolePolicyDocument, in.Tags, defaultMaxSession
	if in.MaxSessionDuration != nil {
		e.maxSession = time.Duration(*in.MaxSessionDuration) * time.Second
	}
	demands := creating("iam:CreateRole", "iam:TagRole", plain(e), in.Tags)
	withBoundary(&demands[0], in.PermissionsBoundary)
	return e, demands, nil
}

func (s *Service) createRole(_ context.Context, c *api.Call, in *shape.CreateRoleInput, e *entity) (api.Commit[shape.CreateRoleOutput], error) {
	if err := vacant(c.Snapshot, e); err != nil {
		return nil, err
	}
	if _, err := s.read(e.trust, policy.Trust, maxTrustDocument); err != nil {
		return nil, err
	}
	trusted, err := bind(c.Snapshot, e.trust)
	if err != nil {
		return nil, err
	}
	if e.boundary, err = s.newBoundary(c, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateRoleOutput, error) {
		if err := room(tx, role, e.account); err != nil {
			return nil, err
		}
		if err := insertEntity(tx, e); err != nil {
			return nil, err
		}
		if err := putBindings(tx, e.id, trusted); err != nil {
			return nil, err
		}
		r, err := toRole(tx, e)
		return &shape.CreateRoleOutput{Role: r}, err
	}, nil
}

func (s *Service) gottenRole(_ context.Context, c *api.Call, in *shape.GetRoleInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:GetRole")
}

func (s *Service) getRole(_ context.Context, c *api.Call, _ *shape.GetRoleInput, e *entity) (*shape.GetRoleOutput, error) {
	r, err := toRole(c.Snapshot, e)
	if err != nil {
		return nil, err
	}
	r.RoleLastUsed, err = s.roleLastUsed(c.Snapshot, e.id)
	return &shape.GetRoleOutput{Role: r}, err
}

func (s *Service) listedRoles(_ context.Context, c *api.Call, in *shape.ListRolesInput) (struct{}, []api.Demand, error) {
	return struct{}{}, anything(c, "iam:ListRoles", role, in.PathPrefix), nil
}

func (s *Service) listRoles(_ context.Context, c *api.Call, in *shape.ListRolesInput, _ struct{}) (*shape.ListRolesOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	found, err := listEntities(c.Snapshot, role, c.Account, in.PathPrefix, p)
	if err != nil {
		return nil, err
	}
	out := &shape.ListRolesOutput{Roles: []shape.Role{}}
	found, out.IsTruncated, out.Marker = cut(p, found, func(e *entity) string { return fold(e.name) })
	for _, e := range found {
		r, err := toRole(c.Snapshot, e)
		if err != nil {
			return nil, err
		}
		out.Roles = append(out.Roles, *r)
	}
	return out, nil
}

func (s *Service) deletedRole(_ context.Context, c *api.Call, in *shape.DeleteRoleInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:DeleteRole")
}

func (s *Service) deleteRole(_ context.Context, _ *api.Call, _ *shape.DeleteRoleInput, e *entity) (api.Commit[shape.DeleteRoleOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteRoleOutput, error) {
		return &shape.DeleteRoleOutput{}, deleteEntity(tx, e)
	}, nil
}

func (s *Service) retrustedRole(_ context.Context, c *api.Call, in *shape.UpdateAssumeRolePolicyInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:UpdateAssumeRolePolicy")
}

func (s *Service) updateAssumeRolePolicy(_ context.Context, c *api.Call, in *shape.UpdateAssumeRolePolicyInput, e *entity) (api.Commit[shape.UpdateAssumeRolePolicyOutput], error) {
	if _, err := s.read(in.PolicyDocument, policy.Trust, maxTrustDocument); err != nil {
		return nil, err
	}
	trusted, err := bind(c.Snapshot, in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateAssumeRolePolicyOutput, error) {
		if _, err := tx.Exec(`UPDATE iam_entities SET trust = ? WHERE id = ?`, in.PolicyDocument, e.id); err != nil {
			return nil, err
		}
		if err := putBindings(tx, e.id, trusted); err != nil {
			return nil, err
		}
		return &shape.UpdateAssumeRolePolicyOutput{}, tx.Touch(e.key())
	}, nil
}

func (s *Service) updatedRole(_ context.Context, c *api.Call, in *shape.UpdateRoleInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:UpdateRole")
}

// updateRole leaves a description that is not given, and gives the session its
// default length again, as AWS documents it.
func (s *Service) updateRole(_ context.Context, _ *api.Call, in *shape.UpdateRoleInput, e *entity) (api.Commit[shape.UpdateRoleOutput], error) {
	e.maxSession = defaultMaxSession
	if in.MaxSessionDuration != nil {
		e.maxSession = time.Duration(*in.MaxSessionDuration) * time.Second
	}
	if in.Description != "" {
		e.description = in.Description
	}
	return func(tx *store.Tx) (*shape.UpdateRoleOutput, error) {
		return &shape.UpdateRoleOutput{}, updateRole(tx, e)
	}, nil
}

func (s *Service) describedRole(_ context.Context, c *api.Call, in *shape.UpdateRoleDescriptionInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:UpdateRoleDescription")
}

func (s *Service) updateRoleDescription(_ context.Context, _ *api.Call, in *shape.UpdateRoleDescriptionInput, e *entity) (api.Commit[shape.UpdateRoleDescriptionOutput], error) {
	e.description = in.Description
	return func(tx *store.Tx) (*shape.UpdateRoleDescriptionOutput, error) {
		if err := updateRole(tx, e); err != nil {
			return nil, err
		}
		r, err := toRole(tx, e)
		return &shape.UpdateRoleDescriptionOutput{Role: r}, err
	}, nil
}

func updateRole(tx *store.Tx, e *entity) error {
	if _, err := tx.Exec(`UPDATE iam_entities SET description = ?, max_session = ? WHERE id = ?`,
		e.description, int64(e.maxSession/time.Second), e.id); err != nil {
		return err
	}
	return tx.Touch(e.key())
}

func (s *Service) profiledRole(_ context.Context, c *api.Call, in *shape.ListInstanceProfilesForRoleInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:ListInstanceProfilesForRole")
}

// listInstanceProfilesForRole is asked by tools before they delete a role. There
// are no instances here, hence no profiles.
func (s *Service) listInstanceProfilesForRole(context.Context, *api.Call, *shape.ListInstanceProfilesForRoleInput, *entity) (*shape.ListInstanceProfilesForRoleOutput, error) {
	return &shape.ListInstanceProfilesForRoleOutput{InstanceProfiles: []shape.InstanceProfile{}, IsTruncated: new(bool)}, nil
}
