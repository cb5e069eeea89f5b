package iam

import (
	"context"
	"database/sql"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// A permissions boundary is a managed policy that limits what the policies of a
// user or role allow. Who may do something only to those with a certain boundary
// is told by the condition key iam:PermissionsBoundary: where a request sets a
// boundary it is that one, elsewhere the one that the user or role has.

func (s *Service) boundaryOperations() []api.Operation {
	return []api.Operation{
		api.Write("PutUserPermissionsBoundary", s.boundedUser, s.putUserPermissionsBoundary),
		api.Write("DeleteUserPermissionsBoundary", s.unboundedUser, s.deleteUserPermissionsBoundary),
		api.Write("PutRolePermissionsBoundary", s.boundedRole, s.putRolePermissionsBoundary),
		api.Write("DeleteRolePermissionsBoundary", s.unboundedRole, s.deleteRolePermissionsBoundary),
	}
}

// boundary is the permissions boundary of an entity; nil for none.
func (s *Service) boundary(sn *store.Snapshot, e *entity) (*policy.Doc, error) {
	b, err := boundaryOf(sn, e.id)
	if b == nil || err != nil {
		return nil, err
	}
	return s.Policy(sn, b.policy)
}

// boundaryOf is the policy that bounds an entity, or nil.
func boundaryOf(q querier, owner string) (*attachment, error) {
	var b attachment
	err := q.QueryRow(`SELECT policy, arn FROM iam_boundaries WHERE owner = ?`, owner).Scan(&b.policy, &b.arn)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &b, err
}

func toBoundary(b *attachment) *shape.AttachedPermissionsBoundary {
	if b == nil {
		return nil
	}
	// AWS's guide and its answers say Policy; the models name another value.
	return &shape.AttachedPermissionsBoundary{PermissionsBoundaryArn: b.arn, PermissionsBoundaryType: "Policy"}
}

// withBoundary adds the boundary that a request names to a demand's keys.
func withBoundary(d *api.Demand, arn string) {
	if arn == "" {
		return
	}
	d.Keys = withKeys(d.Keys, nil)
	d.Keys.Set("iam:PermissionsBoundary", arn)
}

// boundedTarget is target for actions that depend on the boundary of what they
// act on.
func boundedTarget(c *api.Call, k kind, name, action string) (*entity, []api.Demand, error) {
	e, demands, err := target(c, k, name, action)
	if e != nil && e.boundary != nil {
		withBoundary(&demands[0], e.boundary.arn)
	}
	return e, demands, err
}

// bounding is target for actions that set a boundary.
func bounding(c *api.Call, k kind, name, action, arn string) (*entity, []api.Demand, error) {
	e, demands, err := target(c, k, name, action)
	for i := range demands {
		withBoundary(&demands[i], arn)
	}
	return e, demands, err
}

// newBoundary finds the policy that a request names as a boundary, after the
// decision; nil where it names none.
func (s *Service) newBoundary(c *api.Call, arn string) (*attachment, error) {
	if arn == "" {
		return nil, nil
	}
	account, _, ok := cutPolicyARN(arn)
	if !ok {
		return nil, fail("InvalidInput", "ARN %s is not valid.", arn)
	}
	none := fail("NoSuchEntity", "Scope ARN: %s does not exist or is not attachable.", arn)
	if account != c.Account && account != supplier {
		return nil, none
	}
	m, err := s.managedByARN(c.Snapshot, arn)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, none
	}
	return &attachment{m.id, arn}, nil
}

func putBoundary(tx *store.Tx, e *entity, b *attachment) error {
	if b == nil {
		return nil
	}
	if _, err := tx.Exec(`INSERT INTO iam_boundaries (owner, policy, arn, account) VALUES (?, ?, ?, ?)
		ON CONFLICT (owner) DO UPDATE SET policy = excluded.policy, arn = excluded.arn`, e.id, b.policy, b.arn, e.account); err != nil {
		return err
	}
	return tx.Touch(e.key(), policyKey(b.policy)) // so that the policy cannot be deleted meanwhile
}

// deleteBoundary takes the limit from an entity. Where there is none, nothing
// changes.
func deleteBoundary(tx *store.Tx, e *entity) error {
	if _, err := tx.Exec(`DELETE FROM iam_boundaries WHERE owner = ?`, e.id); err != nil {
		return err
	}
	return tx.Touch(e.key())
}

func (s *Service) boundedUser(_ context.Context, c *api.Call, in *shape.PutUserPermissionsBoundaryInput) (*entity, []api.Demand, error) {
	return bounding(c, user, in.UserName, "iam:PutUserPermissionsBoundary", in.PermissionsBoundary)
}

func (s *Service) putUserPermissionsBoundary(_ context.Context, c *api.Call, in *shape.PutUserPermissionsBoundaryInput, e *entity) (api.Commit[shape.PutUserPermissionsBoundaryOutput], error) {
	b, err := s.newBoundary(c, in.PermissionsBoundary)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.PutUserPermissionsBoundaryOutput, error) {
		return &shape.PutUserPermissionsBoundaryOutput{}, putBoundary(tx, e, b)
	}, nil
}

func (s *Service) unboundedUser(_ context.Context, c *api.Call, in *shape.DeleteUserPermissionsBoundaryInput) (*entity, []api.Demand, error) {
	return boundedTarget(c, user, in.UserName, "iam:DeleteUserPermissionsBoundary")
}

func (s *Service) deleteUserPermissionsBoundary(_ context.Context, _ *api.Call, _ *shape.DeleteUserPermissionsBoundaryInput, e *entity) (api.Commit[shape.DeleteUserPermissionsBoundaryOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteUserPermissionsBoundaryOutput, error) {
		return &shape.DeleteUserPermissionsBoundaryOutput{}, deleteBoundary(tx, e)
	}, nil
}

func (s *Service) boundedRole(_ context.Context, c *api.Call, in *shape.PutRolePermissionsBoundaryInput) (*entity, []api.Demand, error) {
	return bounding(c, role, in.RoleName, "iam:PutRolePermissionsBoundary", in.PermissionsBoundary)
}

func (s *Service) putRolePermissionsBoundary(_ context.Context, c *api.Call, in *shape.PutRolePermissionsBoundaryInput, e *entity) (api.Commit[shape.PutRolePermissionsBoundaryOutput], error) {
	b, err := s.newBoundary(c, in.PermissionsBoundary)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.PutRolePermissionsBoundaryOutput, error) {
		return &shape.PutRolePermissionsBoundaryOutput{}, putBoundary(tx, e, b)
	}, nil
}

func (s *Service) unboundedRole(_ context.Context, c *api.Call, in *shape.DeleteRolePermissionsBoundaryInput) (*entity, []api.Demand, error) {
	return boundedTarget(c, role, in.RoleName, "iam:DeleteRolePermissionsBoundary")
}

func (s *Service) deleteRolePermissionsBoundary(_ context.Context, _ *api.Call, _ *shape.DeleteRolePermissionsBoundaryInput, e *entity) (api.Commit[shape.DeleteRolePermissionsBoundaryOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteRolePermissionsBoundaryOutput, error) {
		return &shape.DeleteRolePermissionsBoundaryOutput{}, deleteBoundary(tx, e)
	}, nil
}
