package s3

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

func (s *Service) versionedBucket(_ context.Context, c *api.Call, in *s3.GetBucketVersioningInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketVersioning", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getBucketVersioning(_ context.Context, _ *api.Call, _ *s3.GetBucketVersioningInput, f *found) (*s3.GetBucketVersioningOutput, error) {
	return &s3.GetBucketVersioningOutput{Status: f.versioning}, nil
}

func (s *Service) changedVersioning(_ context.Context, c *api.Call, in *s3.PutBucketVersioningInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketVersioning", in.Bucket, in.ExpectedBucketOwner)
}

// putBucketVersioning turns the keeping of versions on, or suspends it. Versions that
// are there stay. Where versions can be locked it is never suspended: the next upload
// would overwrite one.
func (s *Service) putBucketVersioning(_ context.Context, _ *api.Call, in *s3.PutBucketVersioningInput, f *found) (api.Commit[s3.PutBucketVersioningOutput], error) {
	if in.VersioningConfiguration == nil || in.VersioningConfiguration.Status == "" {
		return nil, fail(400, "IllegalVersioningConfigurationException", "The Versioning element must be specified")
	}
	status := in.VersioningConfiguration.Status
	return func(tx *store.Tx) (*s3.PutBucketVersioningOutput, error) {
		b, err := bucketNow(tx, in.Bucket, f.id)
		if err != nil {
			return nil, err
		}
		if b.lock.Enabled && status != s3.BucketVersioningStatusEnabled {
			return nil, fail(409, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		return &s3.PutBucketVersioningOutput{}, setBucket(tx, in.Bucket, "versioning", string(status))
	}, nil
}
