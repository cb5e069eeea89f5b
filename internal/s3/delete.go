package s3

import (
	"context"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

func (s *Service) deletedObject(_ context.Context, c *api.Call, in *s3.DeleteObjectInput) (*place, []api.Demand, error) {
	f, err := s.find(c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	return f.deleting(in.Key, in.VersionId, in.IfMatch, given(in.BypassGovernanceRetention))
}

// given reads a switch.
func given(b *bool) bool { return b != nil && *b }

// deleting is what it takes to delete a key of the bucket, or one of its versions.
func (f *found) deleting(key, version, ifMatch string, bypass bool) (*place, []api.Demand, error) {
	if err := checkKey(key); err != nil {
		return nil, nil, err
	}
	if err := checkVersion(version); err != nil {
		return nil, nil, err
	}
	p := &place{found: f, key: key, arn: f.resource.ARN + "/" + key}
	keys := f.keys()
	setConditions(keys, ifMatch, "")
	setVersion(keys, version)
	action := "DeleteObject"
	if version != "" {
		action = "DeleteObjectVersion"
	}
	demands := []api.Demand{p.also(action, keys)}
	if bypass {
		demands = append(demands, p.also("BypassGovernanceRetention", keys))
	}
	return p, demands, nil
}

func (s *Service) deleteObject(ctx context.Context, c *api.Call, in *s3.DeleteObjectInput, p *place) (api.Commit[s3.DeleteObjectOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteObjectOutput, error) {
		l, err := s.slot(ctx, tx, in.Bucket, p.id, in.Key)
		if err != nil {
			return nil, err
		}
		return l.delete(in.VersionId, in.IfMatch, c.Now, given(in.BypassGovernanceRetention))
	}, nil
}

// delete is DeleteObject of a version, or of the key if version is empty. It refuses
// before it changes anything.
func (l *slot) delete(version, ifMatch string, now time.Time, bypass bool) (*s3.DeleteObjectOutput, error) {
	if err := l.admits(version, ifMatch); err != nil {
		return nil, err
	}
	yes := true
	if version == "" {
		m, err := l.mark(now)
		if err != nil || m == nil {
			return &s3.DeleteObjectOutput{}, err
		}
		return &s3.DeleteObjectOutput{DeleteMarker: &yes, VersionId: m.version}, nil
	}
	gone, err := l.remove(version, now, bypass)
	out := &s3.DeleteObjectOutput{VersionId: version}
	if gone != nil && gone.marker {
		out.DeleteMarker = &yes
	}
	return out, err
}

// admits decides the condition of a deletion: what goes must be there and have the
// ETag.
func (l *slot) admits(version, ifMatch string) error {
	if ifMatch == "" {
		return nil
	}
	o, err := l.now()
	if version != "" {
		o, err = versionRow(l.tx, l.bucket.name, l.key, version)
	}
	if err != nil {
		return err
	}
	if o == nil || o.marker || !matches(ifMatch, o.etag) {
		return preconditionFailed("If-Match")
	}
	return nil
}
