package iam

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// An attachment joins a managed policy to a user, group or role.
type attachment struct{ policy, arn string }

func (a attachment) name() string { return a.arn[strings.LastIndex(a.arn, "/")+1:] }

func attachments(q querier, owner string) ([]attachment, error) {
	return store.Collect(q, func(r *store.Rows) (a attachment, err error) {
		err = r.Scan(&a.policy, &a.arn)
		return a, err
	}, `SELECT policy, arn FROM iam_attachments WHERE owner = ? ORDER BY arn`, owner)
}

// attaching demands an action on an entity with the policy as condition key. The
// policy itself is looked at after the decision.
func attaching(c *api.Call, k kind, name, policyARN, action string) (*entity, []api.Demand, error) {
	e, demands, err := boundedTarget(c, k, name, action)
	for i := range demands {
		demands[i].Keys = withKeys(demands[i].Keys, nil)
		demands[i].Keys.Set("iam:PolicyARN", policyARN)
	}
	return e, demands, err
}

// attach joins a policy to an entity. To do so again changes nothing.
func (s *Service) attach(c *api.Call, e *entity, policyARN string) (func(*store.Tx) error, error) {
	account, _, ok := cutPolicyARN(policyARN)
	if !ok {
		return nil, fail("InvalidInput", "ARN %s is not valid.", policyARN)
	}
	if account != c.Account && account != supplier {
		return nil, noSuchPolicy(policyARN)
	}
	m, err := s.managedByARN(c.Snapshot, policyARN)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fail("NoSuchEntity", "Policy %s does not exist or is not attachable.", policyARN)
	}
	return func(tx *store.Tx) error {
		return joinPolicy(tx, e, m)
	}, nil
}

func joinPolicy(tx *store.Tx, e *entity, m *managed) error {
	n, err := count(tx, `SELECT COUNT(*) FROM iam_attachments WHERE owner = ? AND policy <> ?`, e.id, m.id)
	if err != nil {
		return err
	}
	if n >= maxAttached {
		return exceeded("PoliciesPer"+string(e.kind), maxAttached)
	}
	if _, err := tx.Exec(`INSERT INTO iam_attachments (owner, policy, arn, account) VALUES (?, ?, ?, ?) ON CONFLICT (owner, policy) DO NOTHING`,
		e.id, m.id, m.arn(), e.account); err != nil {
		return err
	}
	if m.account == supplier {
		return changed(tx, e)
	}
	return changed(tx, e, policyKey(m.id)) // so that it cannot be deleted meanwhile
}

func detach(tx *store.Tx, e *entity, policyARN string) error {
	deleted, err := tx.Exec(`DELETE FROM iam_attachments WHERE owner = ? AND arn = ?`, e.id, policyARN)
	if err != nil {
		return err
	}
	n, err := deleted.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return noSuchPolicy(policyARN)
	}
	return changed(tx, e)
}

// listAttached reads a page of what is attached to an entity.
func listAttached(q querier, e *entity, marker string, maxItems *int32, prefix string) ([]shape.AttachedPolicy, *bool, string, error) {
	p, err := paging(marker, maxItems)
	if err != nil {
		return nil, nil, "", err
	}
	all, err := attachments(q, e.id)
	if err != nil {
		return nil, nil, "", err
	}
	list := []shape.AttachedPolicy{}
	for _, a := range all {
		if _, path, _ := strings.Cut(a.arn, ":policy"); strings.HasPrefix(path, prefix) {
			list = append(list, shape.AttachedPolicy{PolicyArn: a.arn, PolicyName: a.name()})
		}
	}
	name := func(a shape.AttachedPolicy) string { return a.PolicyArn }
	list, more, next := cut(p, rest(p, list, name), name)
	return list, more, next, nil
}

// To users.

func (s *Service) attachedToUser(_ context.Context, c *api.Call, in *shape.AttachUserPolicyInput) (*entity, []api.Demand, error) {
	return attaching(c, user, in.UserName, in.PolicyArn, "iam:AttachUserPolicy")
}

func (s *Service) attachUserPolicy(_ context.Context, c *api.Call, in *shape.AttachUserPolicyInput, e *entity) (api.Commit[shape.AttachUserPolicyOutput], error) {
	attach, err := s.attach(c, e, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.AttachUserPolicyOutput, error) {
		return &shape.AttachUserPolicyOutput{}, attach(tx)
	}, nil
}

func (s *Service) detachedFromUser(_ context.Context, c *api.Call, in *shape.DetachUserPolicyInput) (*entity, []api.Demand, error) {
	return attaching(c, user, in.UserName, in.PolicyArn, "iam:DetachUserPolicy")
}

func (s *Service) detachUserPolicy(_ context.Context, _ *api.Call, in *shape.DetachUserPolicyInput, e *entity) (api.Commit[shape.DetachUserPolicyOutput], error) {
	return func(tx *store.Tx) (*shape.DetachUserPolicyOutput, error) {
		return &shape.DetachUserPolicyOutput{}, detach(tx, e, in.PolicyArn)
	}, nil
}

func (s *Service) listedUserAttachments(_ context.Context, c *api.Call, in *shape.ListAttachedUserPoliciesInput) (*entity, []api.Demand, error) {
	return target(c, user, in.UserName, "iam:ListAttachedUserPolicies")
}

func (s *Service) listAttachedUserPolicies(_ context.Context, c *api.Call, in *shape.ListAttachedUserPoliciesInput, e *entity) (*shape.ListAttachedUserPoliciesOutput, error) {
	out := &shape.ListAttachedUserPoliciesOutput{}
	var err error
	out.AttachedPolicies, out.IsTruncated, out.Marker, err = listAttached(c.Snapshot, e, in.Marker, in.MaxItems, in.PathPrefix)
	return out, err
}

// To roles.

func (s *Service) attachedToRole(_ context.Context, c *api.Call, in *shape.AttachRolePolicyInput) (*entity, []api.Demand, error) {
	return attaching(c, role, in.RoleName, in.PolicyArn, "iam:AttachRolePolicy")
}

func (s *Service) attachRolePolicy(_ context.Context, c *api.Call, in *shape.AttachRolePolicyInput, e *entity) (api.Commit[shape.AttachRolePolicyOutput], error) {
	attach, err := s.attach(c, e, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.AttachRolePolicyOutput, error) {
		return &shape.AttachRolePolicyOutput{}, attach(tx)
	}, nil
}

func (s *Service) detachedFromRole(_ context.Context, c *api.Call, in *shape.DetachRolePolicyInput) (*entity, []api.Demand, error) {
	return attaching(c, role, in.RoleName, in.PolicyArn, "iam:DetachRolePolicy")
}

func (s *Service) detachRolePolicy(_ context.Context, _ *api.Call, in *shape.DetachRolePolicyInput, e *entity) (api.Commit[shape.DetachRolePolicyOutput], error) {
	return func(tx *store.Tx) (*shape.DetachRolePolicyOutput, error) {
		return &shape.DetachRolePolicyOutput{}, detach(tx, e, in.PolicyArn)
	}, nil
}

func (s *Service) listedRoleAttachments(_ context.Context, c *api.Call, in *shape.ListAttachedRolePoliciesInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:ListAttachedRolePolicies")
}

func (s *Service) listAttachedRolePolicies(_ context.Context, c *api.Call, in *shape.ListAttachedRolePoliciesInput, e *entity) (*shape.ListAttachedRolePoliciesOutput, error) {
	out := &shape.ListAttachedRolePoliciesOutput{}
	var err error
	out.AttachedPolicies, out.IsTruncated, out.Marker, err = listAttached(c.Snapshot, e, in.Marker, in.MaxItems, in.PathPrefix)
	return out, err
}
