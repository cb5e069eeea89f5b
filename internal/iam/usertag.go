package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func (s *Service) taggedUser(_ context.Context, c *api.Call, in *shape.TagUserInput) (*entity, []api.Demand, error) {
	return tagging(c, user, in.UserName, "iam:TagUser", in.Tags)
}

func (s *Service) tagUser(_ context.Context, _ *api.Call, in *shape.TagUserInput, e *entity) (api.Commit[shape.TagUserOutput], error) {
	return func(tx *store.Tx) (*shape.TagUserOutput, error) {
		return &shape.TagUserOutput{}, addTags(tx, e.id, string(e.kind), e.key(), in.Tags)
	}, nil
}

func (s *Service) untaggedUser(_ context.Context, c *api.Call, in *shape.UntagUserInput) (*entity, []api.Demand, error) {
	return untagging(c, user, in.UserName, "iam:UntagUser", in.TagKeys)
}

func (s *Service) untagUser(_ context.Context, _ *api.Call, in *shape.UntagUserInput, e *entity) (api.Commit[shape.UntagUserOutput], error) {
	return func(tx *store.Tx) (*shape.UntagUserOutput, error) {
		return &shape.UntagUserOutput{}, removeTags(tx, e.id, e.key(), in.TagKeys)
	}, nil
}

func (s *Service) listedUserTags(_ context.Context, c *api.Call, in *shape.ListUserTagsInput) (*entity, []api.Demand, error) {
	return target(c, user, in.UserName, "iam:ListUserTags")
}

func (s *Service) listUserTags(_ context.Context, _ *api.Call, in *shape.ListUserTagsInput, e *entity) (*shape.ListUserTagsOutput, error) {
	out := &shape.ListUserTagsOutput{}
	var err error
	out.Tags, out.IsTruncated, out.Marker, err = pageOfTags(e.tags, in.Marker, in.MaxItems)
	return out, err
}
