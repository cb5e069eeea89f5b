package iam

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func (s *Service) taggedPolicy(_ context.Context, c *api.Call, in *shape.TagPolicyInput) (*managed, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	m, demands, err := s.policyTarget(c, in.PolicyArn, "iam:TagPolicy")
	for i := range demands {
		demands[i].Keys = withKeys(demands[i].Keys, requestTagKeys(in.Tags))
	}
	return m, demands, err
}

func (s *Service) tagPolicy(_ context.Context, _ *api.Call, in *shape.TagPolicyInput, m *managed) (api.Commit[shape.TagPolicyOutput], error) {
	if err := ownPolicy(m); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.TagPolicyOutput, error) {
		if err := putTags(tx, m.id, in.Tags); err != nil {
			return nil, err
		}
		n, err := count(tx, `SELECT COUNT(*) FROM iam_tags WHERE owner = ?`, m.id)
		if err != nil {
			return nil, err
		}
		if n > maxTags {
			return nil, exceeded("TagsPerPolicy", maxTags)
		}
		return &shape.TagPolicyOutput{}, tx.Touch(policyKey(m.id))
	}, nil
}

func (s *Service) untaggedPolicy(_ context.Context, c *api.Call, in *shape.UntagPolicyInput) (*managed, []api.Demand, error) {
	m, demands, err := s.policyTarget(c, in.PolicyArn, "iam:UntagPolicy")
	for i := range demands {
		demands[i].Keys = withKeys(demands[i].Keys, policy.Context{})
		demands[i].Keys.Set("aws:TagKeys", in.TagKeys...)
	}
	return m, demands, err
}

func (s *Service) untagPolicy(_ context.Context, _ *api.Call, in *shape.UntagPolicyInput, m *managed) (api.Commit[shape.UntagPolicyOutput], error) {
	if err := ownPolicy(m); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UntagPolicyOutput, error) {
		for _, name := range in.TagKeys {
			if _, err := tx.Exec(`DELETE FROM iam_tags WHERE owner = ? AND folded = ?`, m.id, fold(name)); err != nil {
				return nil, err
			}
		}
		return &shape.UntagPolicyOutput{}, tx.Touch(policyKey(m.id))
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
