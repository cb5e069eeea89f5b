package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// Inline policies of groups.

func (s *Service) writtenGroupPolicy(_ context.Context, c *api.Call, in *shape.PutGroupPolicyInput) (*entity, []api.Demand, error) {
	return target(c, group, in.GroupName, "iam:PutGroupPolicy")
}

func (s *Service) putGroupPolicy(_ context.Context, _ *api.Call, in *shape.PutGroupPolicyInput, e *entity) (api.Commit[shape.PutGroupPolicyOutput], error) {
	put, err := s.putInline(e, in.PolicyName, in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.PutGroupPolicyOutput, error) { return &shape.PutGroupPolicyOutput{}, put(tx) }, nil
}

func (s *Service) gottenGroupPolicy(_ context.Context, c *api.Call, in *shape.GetGroupPolicyInput) (*entity, []api.Demand, error) {
	return target(c, group, in.GroupName, "iam:GetGroupPolicy")
}

func (s *Service) getGroupPolicy(_ context.Context, c *api.Call, in *shape.GetGroupPolicyInput, e *entity) (*shape.GetGroupPolicyOutput, error) {
	document, err := getInline(c.Snapshot, e, in.PolicyName)
	return &shape.GetGroupPolicyOutput{PolicyDocument: document, PolicyName: in.PolicyName, GroupName: e.name}, err
}

func (s *Service) listedGroupPolicies(_ context.Context, c *api.Call, in *shape.ListGroupPoliciesInput) (*entity, []api.Demand, error) {
	return target(c, group, in.GroupName, "iam:ListGroupPolicies")
}

func (s *Service) listGroupPolicies(_ context.Context, c *api.Call, in *shape.ListGroupPoliciesInput, e *entity) (*shape.ListGroupPoliciesOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &shape.ListGroupPoliciesOutput{}
	out.PolicyNames, out.IsTruncated, out.Marker, err = listInline(c.Snapshot, e, p)
	return out, err
}

func (s *Service) deletedGroupPolicy(_ context.Context, c *api.Call, in *shape.DeleteGroupPolicyInput) (*entity, []api.Demand, error) {
	return target(c, group, in.GroupName, "iam:DeleteGroupPolicy")
}

func (s *Service) deleteGroupPolicy(_ context.Context, _ *api.Call, in *shape.DeleteGroupPolicyInput, e *entity) (api.Commit[shape.DeleteGroupPolicyOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteGroupPolicyOutput, error) {
		return &shape.DeleteGroupPolicyOutput{}, deleteInline(tx, e, in.PolicyName)
	}, nil
}

// Managed policies attached to groups.

func (s *Service) attachedToGroup(_ context.Context, c *api.Call, in *shape.AttachGroupPolicyInput) (*entity, []api.Demand, error) {
	return attaching(c, group, in.GroupName, in.PolicyArn, "iam:AttachGroupPolicy")
}

func (s *Service) attachGroupPolicy(_ context.Context, c *api.Call, in *shape.AttachGroupPolicyInput, e *entity) (api.Commit[shape.AttachGroupPolicyOutput], error) {
	attach, err := s.attach(c, e, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.AttachGroupPolicyOutput, error) {
		return &shape.AttachGroupPolicyOutput{}, attach(tx)
	}, nil
}

func (s *Service) detachedFromGroup(_ context.Context, c *api.Call, in *shape.DetachGroupPolicyInput) (*entity, []api.Demand, error) {
	return attaching(c, group, in.GroupName, in.PolicyArn, "iam:DetachGroupPolicy")
}

func (s *Service) detachGroupPolicy(_ context.Context, _ *api.Call, in *shape.DetachGroupPolicyInput, e *entity) (api.Commit[shape.DetachGroupPolicyOutput], error) {
	return func(tx *store.Tx) (*shape.DetachGroupPolicyOutput, error) {
		return &shape.DetachGroupPolicyOutput{}, detach(tx, e, in.PolicyArn)
	}, nil
}

func (s *Service) listedGroupAttachments(_ context.Context, c *api.Call, in *shape.ListAttachedGroupPoliciesInput) (*entity, []api.Demand, error) {
	return target(c, group, in.GroupName, "iam:ListAttachedGroupPolicies")
}

func (s *Service) listAttachedGroupPolicies(_ context.Context, c *api.Call, in *shape.ListAttachedGroupPoliciesInput, e *entity) (*shape.ListAttachedGroupPoliciesOutput, error) {
	out := &shape.ListAttachedGroupPoliciesOutput{}
	var err error
	out.AttachedPolicies, out.IsTruncated, out.Marker, err = listAttached(c.Snapshot, e, in.Marker, in.MaxItems, in.PathPrefix)
	return out, err
}
