package s3

import (
	"context"
	"errors"
	"maps"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

const maxBucketTags = 50

// list is tags as documents carry them, by name.
func (t tagSet) list() []s3.Tag {
	out := make([]s3.Tag, 0, len(t))
	for _, name := range slices.Sorted(maps.Keys(t)) {
		out = append(out, s3.Tag{Key: name, Value: t[name]})
	}
	return out
}

// countedTags is how many tags an object has, for who may read them.
func (s *Service) countedTags(ctx context.Context, c *api.Call, p *place, version string) (*int32, error) {
	n := int32(len(p.object.tags)) //nolint:gosec // at most ten
	if n == 0 {
		return nil, nil
	}
	d := p.also("GetObjectTagging", p.keys())
	if version != "" {
		d.Action = "s3:GetObjectVersionTagging"
	}
	setVersion(d.Keys, version)
	setObjectTags(d.Keys, p.object.tags)
	err := c.Allowed(ctx, d)
	if _, refused := errors.AsType[*api.Error](err); refused {
		return nil, nil
	}
	return &n, err
}

func (s *Service) readTags(ctx context.Context, c *api.Call, in *s3.GetObjectTaggingInput) (*place, []api.Demand, error) {
	return s.reading(ctx, c, "GetObjectTagging", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
}

func (s *Service) getTags(_ context.Context, _ *api.Call, _ *s3.GetObjectTaggingInput, p *place) (*s3.GetObjectTaggingOutput, error) {
	return &s3.GetObjectTaggingOutput{TagSet: p.object.tags.list(), VersionId: p.object.shownVersion()}, nil
}

// A retagging replaces the tags of an object.
type retagging struct {
	*place
	tags tagSet
}

func (s *Service) replacedTags(ctx context.Context, c *api.Call, in *s3.PutObjectTaggingInput) (*retagging, []api.Demand, error) {
	tags, err := tagsOf(in.Tagging.TagSet, maxObjectTags)
	if err != nil {
		return nil, nil, err
	}
	p, demands, err := s.reading(ctx, c, "PutObjectTagging", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	setRequestTags(demands[0].Keys, tags)
	return &retagging{p, tags}, demands, nil
}

func (s *Service) putTags(ctx context.Context, _ *api.Call, in *s3.PutObjectTaggingInput, r *retagging) (api.Commit[s3.PutObjectTaggingOutput], error) {
	return func(tx *store.Tx) (*s3.PutObjectTaggingOutput, error) {
		return &s3.PutObjectTaggingOutput{VersionId: r.object.shownVersion()}, s.retag(ctx, tx, r)
	}, nil
}

func (s *Service) droppedTags(ctx context.Context, c *api.Call, in *s3.DeleteObjectTaggingInput) (*retagging, []api.Demand, error) {
	p, demands, err := s.reading(ctx, c, "DeleteObjectTagging", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
	return &retagging{place: p}, demands, err
}

func (s *Service) deleteTags(ctx context.Context, _ *api.Call, in *s3.DeleteObjectTaggingInput, r *retagging) (api.Commit[s3.DeleteObjectTaggingOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteObjectTaggingOutput, error) {
		return &s3.DeleteObjectTaggingOutput{VersionId: r.object.shownVersion()}, s.retag(ctx, tx, r)
	}, nil
}

// retag gives the version that the decision saw its new tags. The decision saw the
// old ones too: if those have changed, or the version is no longer the one that was
// meant, the call is decided again.
func (s *Service) retag(ctx context.Context, tx *store.Tx, r *retagging) error {
	l, err := s.slot(ctx, tx, r.name, r.id, r.key)
	if err != nil {
		return err
	}
	now, err := versionRow(tx, r.name, r.key, r.object.version)
	if err != nil {
		return err
	}
	if now == nil || now.seq != r.object.seq || !maps.Equal(now.tags, r.object.tags) {
		return api.ErrAgain
	}
	return l.setColumn(now, "tags", r.tags.text())
}

// setColumn changes one column of a version's row, wherever that is.
func (l *slot) setColumn(o *object, column string, value any) error {
	for _, table := range []string{"s3_objects", "s3_versions"} {
		if _, err := l.tx.Exec("UPDATE "+table+" SET "+column+" = ? WHERE bucket = ? AND key = ? AND seq = ?",
			value, l.bucket.name, []byte(l.key), o.seq); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) readBucketTags(_ context.Context, c *api.Call, in *s3.GetBucketTaggingInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketTagging", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getBucketTags(_ context.Context, _ *api.Call, _ *s3.GetBucketTaggingInput, f *found) (*s3.GetBucketTaggingOutput, error) {
	if len(f.tags) == 0 {
		return nil, f.none("NoSuchTagSet", "The TagSet does not exist")
	}
	return &s3.GetBucketTaggingOutput{TagSet: f.tags.list()}, nil
}

func (s *Service) replacedBucketTags(_ context.Context, c *api.Call, in *s3.PutBucketTaggingInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketTagging", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) putBucketTags(_ context.Context, _ *api.Call, in *s3.PutBucketTaggingInput, _ *found) (api.Commit[s3.PutBucketTaggingOutput], error) {
	if len(in.Tagging.TagSet) > maxBucketTags {
		return nil, fail(400, "BadRequest", "Bucket tag count cannot be greater than 50")
	}
	tags, err := tagsOf(in.Tagging.TagSet, maxBucketTags)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*s3.PutBucketTaggingOutput, error) {
		return &s3.PutBucketTaggingOutput{}, setBucket(tx, in.Bucket, "tags", tags.text())
	}, nil
}

func (s *Service) droppedBucketTags(_ context.Context, c *api.Call, in *s3.DeleteBucketTaggingInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketTagging", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) deleteBucketTags(_ context.Context, _ *api.Call, in *s3.DeleteBucketTaggingInput, _ *found) (api.Commit[s3.DeleteBucketTaggingOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteBucketTaggingOutput, error) {
		return &s3.DeleteBucketTaggingOutput{}, setBucket(tx, in.Bucket, "tags", "")
	}, nil
}
