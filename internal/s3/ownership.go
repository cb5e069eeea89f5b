package s3

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// The owner of a bucket owns what is in it, whoever put it there, and ACLs are
// disabled: so it is whether a bucket says so or its ownership controls were deleted.

func (s *Service) readOwnership(_ context.Context, c *api.Call, in *s3.GetBucketOwnershipControlsInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketOwnershipControls", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getOwnership(_ context.Context, _ *api.Call, _ *s3.GetBucketOwnershipControlsInput, f *found) (*s3.GetBucketOwnershipControlsOutput, error) {
	if f.ownership == "" {
		return nil, f.none("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
	}
	return &s3.GetBucketOwnershipControlsOutput{OwnershipControls: &s3.OwnershipControls{
		Rules: []s3.OwnershipControlsRule{{ObjectOwnership: f.ownership}},
	}}, nil
}

func (s *Service) replacedOwnership(_ context.Context, c *api.Call, in *s3.PutBucketOwnershipControlsInput) (*found, []api.Demand, error) {
	f, demands, err := s.on(c, "PutBucketOwnershipControls", in.Bucket, in.ExpectedBucketOwner)
	if err == nil && len(in.OwnershipControls.Rules) == 1 {
		demands[0].Keys.Set("s3:x-amz-object-ownership", string(in.OwnershipControls.Rules[0].ObjectOwnership))
	}
	return f, demands, err
}

func (s *Service) putOwnership(_ context.Context, _ *api.Call, in *s3.PutBucketOwnershipControlsInput, _ *found) (api.Commit[s3.PutBucketOwnershipControlsOutput], error) {
	rules := in.OwnershipControls.Rules
	if len(rules) != 1 {
		return nil, malformedXML()
	}
	if o := rules[0].ObjectOwnership; o != s3.ObjectOwnershipBucketOwnerEnforced {
		return nil, notServed("ObjectOwnership " + string(o))
	}
	return func(tx *store.Tx) (*s3.PutBucketOwnershipControlsOutput, error) {
		return &s3.PutBucketOwnershipControlsOutput{}, setBucket(tx, in.Bucket, "ownership", string(s3.ObjectOwnershipBucketOwnerEnforced))
	}, nil
}

func (s *Service) droppedOwnership(_ context.Context, c *api.Call, in *s3.DeleteBucketOwnershipControlsInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketOwnershipControls", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) deleteOwnership(_ context.Context, _ *api.Call, in *s3.DeleteBucketOwnershipControlsInput, _ *found) (api.Commit[s3.DeleteBucketOwnershipControlsOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteBucketOwnershipControlsOutput, error) {
		return &s3.DeleteBucketOwnershipControlsOutput{}, setBucket(tx, in.Bucket, "ownership", "")
	}, nil
}
