package s3

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// A block is a bucket's public access block, a bit each. There are no ACLs here,
// so that two of the four settings are kept and have nothing to do.
type block int64

const (
	blockACLs     block = 1 << iota // BlockPublicAcls
	ignoreACLs                      // IgnorePublicAcls
	blockPolicy                     // BlockPublicPolicy
	restrict                        // RestrictPublicBuckets
	blockIsStored                   // the bucket has a configuration at all

	blockAll = blockACLs | ignoreACLs | blockPolicy | restrict | blockIsStored
)

// inForce is the bucket's policy as it counts for a caller. Where public buckets
// are restricted, a policy that lets everyone in lets no other account in.
func (b *bucket) inForce(c *api.Call) *policy.Doc {
	if b.public && b.block&restrict != 0 && c.Account != b.account {
		return nil
	}
	return b.policy
}

func (s *Service) readBlock(_ context.Context, c *api.Call, in *s3.GetPublicAccessBlockInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketPublicAccessBlock", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getPublicAccessBlock(_ context.Context, _ *api.Call, _ *s3.GetPublicAccessBlockInput, f *found) (*s3.GetPublicAccessBlockOutput, error) {
	if f.block&blockIsStored == 0 {
		return nil, f.none("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
	}
	has := func(bit block) *bool { on := f.block&bit != 0; return &on }
	return &s3.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: &s3.PublicAccessBlockConfiguration{
		BlockPublicAcls: has(blockACLs), IgnorePublicAcls: has(ignoreACLs),
		BlockPublicPolicy: has(blockPolicy), RestrictPublicBuckets: has(restrict),
	}}, nil
}

func (s *Service) replacedBlock(_ context.Context, c *api.Call, in *s3.PutPublicAccessBlockInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketPublicAccessBlock", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) putPublicAccessBlock(_ context.Context, _ *api.Call, in *s3.PutPublicAccessBlockInput, _ *found) (api.Commit[s3.PutPublicAccessBlockOutput], error) {
	cfg := in.PublicAccessBlockConfiguration
	if cfg == nil {
		return nil, fail(400, "MissingRequestBodyError", "Request body is empty.")
	}
	b := blockIsStored
	for bit, set := range map[block]*bool{
		blockACLs: cfg.BlockPublicAcls, ignoreACLs: cfg.IgnorePublicAcls,
		blockPolicy: cfg.BlockPublicPolicy, restrict: cfg.RestrictPublicBuckets,
	} {
		if set != nil && *set {
			b |= bit
		}
	}
	return func(tx *store.Tx) (*s3.PutPublicAccessBlockOutput, error) {
		return &s3.PutPublicAccessBlockOutput{}, setBucket(tx, in.Bucket, "block", int64(b))
	}, nil
}

func (s *Service) droppedBlock(_ context.Context, c *api.Call, in *s3.DeletePublicAccessBlockInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketPublicAccessBlock", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) deletePublicAccessBlock(_ context.Context, _ *api.Call, in *s3.DeletePublicAccessBlockInput, _ *found) (api.Commit[s3.DeletePublicAccessBlockOutput], error) {
	return func(tx *store.Tx) (*s3.DeletePublicAccessBlockOutput, error) {
		return &s3.DeletePublicAccessBlockOutput{}, setBucket(tx, in.Bucket, "block", int64(0))
	}, nil
}
