package s3

import (
	"context"
	"net/url"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// A copying is a copy under way.
type copying struct {
	*place // of the copy
	source *place
	what   *copySource
}

func (s *Service) copiedObject(ctx context.Context, c *api.Call, in *s3.CopyObjectInput) (*copying, []api.Demand, error) {
	what, err := parseSource(in.CopySource, in.ExpectedSourceBucketOwner,
		sourceConditions(in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.CopySourceIfModifiedSince, in.CopySourceIfUnmodifiedSince))
	if err != nil {
		return nil, nil, err
	}
	to, demands, err := s.at(c, "PutObject", in.Bucket, in.Key, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	setCreation(demands, true)
	if in.MetadataDirective != "" {
		demands[0].Keys.Set("s3:x-amz-metadata-directive", string(in.MetadataDirective))
	}
	from, sourced, err := s.from(ctx, c, what, &demands[0])
	if err != nil {
		return nil, nil, err
	}
	if onto := in.Bucket == what.bucket && in.Key == what.key && what.version == ""; onto && changesNothing(in) {
		return nil, nil, badRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	u, err := copyOf(in, from.object)
	if err != nil {
		return nil, nil, err
	}
	if from.object != nil && in.TaggingDirective != s3.TaggingDirectiveReplace && len(from.object.tags) > 0 {
		action := "GetObjectTagging"
		if what.version != "" {
			action = "GetObjectVersionTagging"
		}
		sourced = append(sourced, from.also(action, sourced[0].Keys))
	}
	if demands, err = s.admitted(c, to, demands, u); err != nil {
		return nil, nil, err
	}
	to.upload = u
	return &copying{to, from, what}, append(sourced, demands...), nil
}

func changesNothing(in *s3.CopyObjectInput) bool {
	return in.MetadataDirective != s3.MetadataDirectiveReplace && in.TaggingDirective != s3.TaggingDirectiveReplace && in.StorageClass == "" &&
		in.ServerSideEncryption == "" && in.SSEKMSKeyId == "" && in.BucketKeyEnabled == nil && in.ChecksumAlgorithm == ""
}

// copyOf is what a copy says of the object that it makes: where it does not replace
// them, metadata and tags are the source's. The source may be missing.
func copyOf(in *s3.CopyObjectInput, source *object) (*upload, error) {
	u := uploadOf(&s3.PutObjectInput{
		ACL: in.ACL, StorageClass: in.StorageClass, Tagging: in.Tagging, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
		CacheControl: in.CacheControl, ContentDisposition: in.ContentDisposition, ContentEncoding: in.ContentEncoding,
		ContentLanguage: in.ContentLanguage, ContentType: in.ContentType, Expires: in.Expires, Metadata: in.Metadata,
		ObjectLockMode: in.ObjectLockMode, ObjectLockRetainUntilDate: in.ObjectLockRetainUntilDate, ObjectLockLegalHoldStatus: in.ObjectLockLegalHoldStatus,
		ServerSideEncryption: in.ServerSideEncryption, SSEKMSKeyId: in.SSEKMSKeyId,
		SSEKMSEncryptionContext: in.SSEKMSEncryptionContext, BucketKeyEnabled: in.BucketKeyEnabled,
	})
	if in.TaggingDirective != s3.TaggingDirectiveReplace && in.Tagging != "" {
		return nil, badArgument("x-amz-tagging", "", "The x-amz-tagging header needs x-amz-tagging-directive: REPLACE")
	}
	if source == nil {
		return u, nil
	}
	if in.MetadataDirective != s3.MetadataDirectiveReplace {
		d := source.details
		u.details = details{
			CacheControl: d.CacheControl, ContentDisposition: d.ContentDisposition, ContentEncoding: d.ContentEncoding,
			ContentLanguage: d.ContentLanguage, ContentType: d.ContentType, Expires: d.Expires, Metadata: d.Metadata,
		}
	}
	if in.TaggingDirective != s3.TaggingDirectiveReplace {
		tags := url.Values{}
		for name, value := range source.tags {
			tags.Set(name, value)
		}
		u.tagging = tags.Encode()
	}
	return u, nil
}

// copyObject opens the source as the caller and seals it anew under a data key of the
// copy's own.
func (s *Service) copyObject(ctx context.Context, c *api.Call, in *s3.CopyObjectInput, p *copying) (api.Commit[s3.CopyObjectOutput], error) {
	source := p.source.object
	if source.size > maxObject {
		return nil, badRequest("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	if err := p.what.check(source); err != nil {
		return nil, err
	}
	algorithm := string(in.ChecksumAlgorithm)
	if algorithm == "" {
		algorithm = source.algorithm
	}
	check, err := newSum(algorithm)
	if err != nil {
		return nil, err
	}
	if err := s.early(c, p.place); err != nil {
		return nil, err
	}
	o := newObject(c, p.place.upload)
	key, err := s.dataKey(ctx, c, p.place, o)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	body, err := s.read(ctx, c, p.source, nil)
	if err != nil {
		return nil, err
	}
	c.Release()
	got, err := s.reseal(ctx, body, source.size, key, associated(p.arn, o.etag), check)
	if err == nil {
		err = o.keep(got, key, p.arn, check)
	}
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*s3.CopyObjectOutput, error) {
		kept := *o
		if err := s.store(ctx, tx, c.Clock(), p.place, &kept); err != nil {
			return nil, err
		}
		out := &s3.CopyObjectResult{ETag: `"` + kept.etag + `"`, LastModified: kept.modified, ChecksumType: s3.ChecksumTypeFullObject}
		*kept.sum(&out.ChecksumCRC64NVME, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumSHA1, &out.ChecksumSHA256) = got.sum
		return &s3.CopyObjectOutput{
			Expiration:       p.expiry(&kept),
			CopyObjectResult: out, CopySourceVersionId: source.shownVersion(), VersionId: kept.shownVersion(),
			ServerSideEncryption: kept.sse(), SSEKMSKeyId: kept.shownKey(), SSEKMSEncryptionContext: in.SSEKMSEncryptionContext,
			BucketKeyEnabled: &kept.details.BucketKey,
		}, nil
	}, nil
}
