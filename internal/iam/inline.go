package iam

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// An inline policy is part of one user, group or role.
type inline struct{ name, document string }

func inlinePolicies(q querier, owner string) ([]inline, error) {
	return store.Collect(q, func(r *store.Rows) (i inline, err error) {
		err = r.Scan(&i.name, &i.document)
		return i, err
	}, `SELECT name, document FROM iam_inline WHERE owner = ? ORDER BY name`, owner)
}

// putInline writes a policy of an entity, within what AWS lets all of them weigh.
func (s *Service) putInline(e *entity, name, document string) (func(*store.Tx) error, error) {
	limit := map[kind]int{user: maxUserInline, group: maxGroupInline, role: maxRoleInline}[e.kind]
	if e.kind == role && strings.HasPrefix(e.path, centrePath) {
		limit = maxCentreInline
	}
	if _, err := s.read(document, policy.Identity, limit); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) error {
		others, err := inlinePolicies(tx, e.id)
		if err != nil {
			return err
		}
		total := size(document)
		for _, o := range others {
			if o.name != name {
				total += size(o.document)
			}
		}
		if total > limit {
			return fail("LimitExceeded", "Maximum policy size of %d bytes exceeded for %s %s", limit, e.kind.noun(), e.name)
		}
		if _, err := tx.Exec(`INSERT INTO iam_inline (owner, name, document) VALUES (?, ?, ?)
			ON CONFLICT (owner, name) DO UPDATE SET document = excluded.document`, e.id, name, document); err != nil {
			return err
		}
		return changed(tx, e)
	}, nil
}

func getInline(q querier, e *entity, name string) (string, error) {
	var document string
	err := q.QueryRow(`SELECT document FROM iam_inline WHERE owner = ? AND name = ?`, e.id, name).Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return "", noSuchInline(e.kind, name)
	}
	return answered(document), err
}

func listInline(q querier, e *entity, p page) ([]string, *bool, string, error) {
	names, err := store.Collect(q, func(r *store.Rows) (name string, err error) {
		err = r.Scan(&name)
		return name, err
	}, `SELECT name FROM iam_inline WHERE owner = ? AND name > ? ORDER BY name LIMIT ?`, e.id, p.after, p.limit+1)
	if err != nil {
		return nil, nil, "", err
	}
	names, more, marker := cut(p, names, func(name string) string { return name })
	if names == nil {
		names = []string{}
	}
	return names, more, marker, nil
}

func deleteInline(tx *store.Tx, e *entity, name string) error {
	deleted, err := tx.Exec(`DELETE FROM iam_inline WHERE owner = ? AND name = ?`, e.id, name)
	if err != nil {
		return err
	}
	n, err := deleted.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return noSuchInline(e.kind, name)
	}
	return changed(tx, e)
}

// Of users.

func (s *Service) writtenUserPolicy(_ context.Context, c *api.Call, in *shape.PutUserPolicyInput) (*entity, []api.Demand, error) {
	return boundedTarget(c, user, in.UserName, "iam:PutUserPolicy")
}

func (s *Service) putUserPolicy(_ context.Context, _ *api.Call, in *shape.PutUserPolicyInput, e *entity) (api.Commit[shape.PutUserPolicyOutput], error) {
	put, err := s.putInline(e, in.PolicyName, in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.PutUserPolicyOutput, error) { return &shape.PutUserPolicyOutput{}, put(tx) }, nil
}

func (s *Service) gottenUserPolicy(_ context.Context, c *api.Call, in *shape.GetUserPolicyInput) (*entity, []api.Demand, error) {
	return target(c, user, in.UserName, "iam:GetUserPolicy")
}

func (s *Service) getUserPolicy(_ context.Context, c *api.Call, in *shape.GetUserPolicyInput, e *entity) (*shape.GetUserPolicyOutput, error) {
	document, err := getInline(c.Snapshot, e, in.PolicyName)
	return &shape.GetUserPolicyOutput{PolicyDocument: document, PolicyName: in.PolicyName, UserName: e.name}, err
}

func (s *Service) listedUserPolicies(_ context.Context, c *api.Call, in *shape.ListUserPoliciesInput) (*entity, []api.Demand, error) {
	return target(c, user, in.UserName, "iam:ListUserPolicies")
}

func (s *Service) listUserPolicies(_ context.Context, c *api.Call, in *shape.ListUserPoliciesInput, e *entity) (*shape.ListUserPoliciesOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &shape.ListUserPoliciesOutput{}
	out.PolicyNames, out.IsTruncated, out.Marker, err = listInline(c.Snapshot, e, p)
	return out, err
}

func (s *Service) deletedUserPolicy(_ context.Context, c *api.Call, in *shape.DeleteUserPolicyInput) (*entity, []api.Demand, error) {
	return boundedTarget(c, user, in.UserName, "iam:DeleteUserPolicy")
}

func (s *Service) deleteUserPolicy(_ context.Context, _ *api.Call, in *shape.DeleteUserPolicyInput, e *entity) (api.Commit[shape.DeleteUserPolicyOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteUserPolicyOutput, error) {
		return &shape.DeleteUserPolicyOutput{}, deleteInline(tx, e, in.PolicyName)
	}, nil
}

// Of roles.

func (s *Service) writtenRolePolicy(_ context.Context, c *api.Call, in *shape.PutRolePolicyInput) (*entity, []api.Demand, error) {
	return boundedTarget(c, role, in.RoleName, "iam:PutRolePolicy")
}

func (s *Service) putRolePolicy(_ context.Context, _ *api.Call, in *shape.PutRolePolicyInput, e *entity) (api.Commit[shape.PutRolePolicyOutput], error) {
	put, err := s.putInline(e, in.PolicyName, in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.PutRolePolicyOutput, error) { return &shape.PutRolePolicyOutput{}, put(tx) }, nil
}

func (s *Service) gottenRolePolicy(_ context.Context, c *api.Call, in *shape.GetRolePolicyInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:GetRolePolicy")
}

func (s *Service) getRolePolicy(_ context.Context, c *api.Call, in *shape.GetRolePolicyInput, e *entity) (*shape.GetRolePolicyOutput, error) {
	document, err := getInline(c.Snapshot, e, in.PolicyName)
	return &shape.GetRolePolicyOutput{PolicyDocument: document, PolicyName: in.PolicyName, RoleName: e.name}, err
}

func (s *Service) listedRolePolicies(_ context.Context, c *api.Call, in *shape.ListRolePoliciesInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:ListRolePolicies")
}

func (s *Service) listRolePolicies(_ context.Context, c *api.Call, in *shape.ListRolePoliciesInput, e *entity) (*shape.ListRolePoliciesOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &shape.ListRolePoliciesOutput{}
	out.PolicyNames, out.IsTruncated, out.Marker, err = listInline(c.Snapshot, e, p)
	return out, err
}

func (s *Service) deletedRolePolicy(_ context.Context, c *api.Call, in *shape.DeleteRolePolicyInput) (*entity, []api.Demand, error) {
	return boundedTarget(c, role, in.RoleName, "iam:DeleteRolePolicy")
}

func (s *Service) deleteRolePolicy(_ context.Context, _ *api.Call, in *shape.DeleteRolePolicyInput, e *entity) (api.Commit[shape.DeleteRolePolicyOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteRolePolicyOutput, error) {
		return &shape.DeleteRolePolicyOutput{}, deleteInline(tx, e, in.PolicyName)
	}, nil
}
