package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func (s *Service) taggedPolicy(_ context.Context, c *api.Call, in *shape.TagPolicyInput) (*managed, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	m, demands, err := s.policyTarget(c, in.PolicyArn, "iam:TagPolicy")
	return m, bringing(demands, in.Tags), err
}

func (s *Service) tagPolicy(_ context.Context, _ *api.Call, in *shape.TagPolicyInput, m *managed) (api.Commit[shape.TagPolicyOutput], error) {
	if err := ownPolicy(m); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.TagPolicyOutput, error) {
		return &shape.TagPolicyOutput{}, addTags(tx, m.id, "Policy", policyKey(m.id), in.Tags)
	}, nil
}

func (s *Service) untaggedPolicy(_ context.Context, c *api.Call, in *shape.UntagPolicyInput) (*managed, []api.Demand, error) {
	m, demands, err := s.policyTarget(c, in.PolicyArn, "iam:UntagPolicy")
	return m, naming(demands, in.TagKeys), err
}

func (s *Service) untagPolicy(_ context.Context, _ *api.Call, in *shape.UntagPolicyInput, m *managed) (api.Commit[shape.UntagPolicyOutput], error) {
	if err := ownPolicy(m); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UntagPolicyOutput, error) {
		return &shape.UntagPolicyOutput{}, removeTags(tx, m.id, policyKey(m.id), in.TagKeys)
	}, nil
}

func (s *Service) listedPolicyTags(_ context.Context, c *api.Call, in *shape.ListPolicyTagsInput) (*managed, []api.Demand, error) {
	return s.policyTarget(c, in.PolicyArn, "iam:ListPolicyTags")
}

func (s *Service) listPolicyTags(_ context.Context, _ *api.Call, in *shape.ListPolicyTagsInput, m *managed) (*shape.ListPolicyTagsOutput, error) {
	out := &shape.ListPolicyTagsOutput{}
	var err error
	out.Tags, out.IsTruncated, out.Marker, err = pageOfTags(m.tags, in.Marker, in.MaxItems)
	return out, err
}
