package s3

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// The longest default retention.
const (
	maxLockDays  = 36500
	maxLockYears = 100
)

func (s *Service) lockedBucket(_ context.Context, c *api.Call, in *s3.GetObjectLockConfigurationInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketObjectLockConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getLockConfiguration(_ context.Context, _ *api.Call, in *s3.GetObjectLockConfigurationInput, f *found) (*s3.GetObjectLockConfigurationOutput, error) {
	l := f.lock
	if !l.Enabled {
		e := fail(404, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
		e.Fields = map[string]string{"BucketName": in.Bucket}
		return nil, e
	}
	cfg := &s3.ObjectLockConfiguration{ObjectLockEnabled: s3.ObjectLockEnabledEnabled}
	if l.Mode != "" {
		d := &s3.DefaultRetention{Mode: l.Mode}
		if l.Days > 0 {
			d.Days = &l.Days
		} else {
			d.Years = &l.Years
		}
		cfg.Rule = &s3.ObjectLockRule{DefaultRetention: d}
	}
	return &s3.GetObjectLockConfigurationOutput{ObjectLockConfiguration: cfg}, nil
}

func (s *Service) lockingBucket(_ context.Context, c *api.Call, in *s3.PutObjectLockConfigurationInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketObjectLockConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

// putLockConfiguration lets versions of the bucket be locked from now on, for ever,
// and says for how long new ones are. Those that are there stay as they are.
func (s *Service) putLockConfiguration(_ context.Context, _ *api.Call, in *s3.PutObjectLockConfigurationInput, f *found) (api.Commit[s3.PutObjectLockConfigurationOutput], error) {
	defaults, err := lockDefaultsOf(in.ObjectLockConfiguration)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*s3.PutObjectLockConfigurationOutput, error) {
		b, err := bucketNow(tx, in.Bucket, f.id)
		if err != nil {
			return nil, err
		}
		if b.versioning != s3.BucketVersioningStatusEnabled {
			return nil, fail(409, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
		}
		return &s3.PutObjectLockConfigurationOutput{}, setBucket(tx, in.Bucket, "lock", defaults.text())
	}, nil
}

func lockDefaultsOf(cfg *s3.ObjectLockConfiguration) (lockDefaults, error) {
	l := lockDefaults{Enabled: true}
	if cfg == nil || cfg.ObjectLockEnabled != s3.ObjectLockEnabledEnabled {
		return l, malformedXML()
	}
	if cfg.Rule == nil {
		return l, nil
	}
	d := cfg.Rule.DefaultRetention
	if d == nil || d.Mode == "" || (d.Days == nil) == (d.Years == nil) {
		return l, malformedXML()
	}
	length, most := d.Days, int32(maxLockDays)
	if d.Years != nil {
		length, most = d.Years, maxLockYears
	}
	switch {
	case *length < 1:
		return l, fail(400, "InvalidArgument", "Default retention period must be a positive integer value.")
	case *length > most:
		return l, fail(400, "InvalidArgument", "Default retention period too large.")
	}
	l.Mode = d.Mode
	if d.Days != nil {
		l.Days = *d.Days
	} else {
		l.Years = *d.Years
	}
	return l, nil
}

func malformedXML() *api.Error {
	return fail(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}
