package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/shape/s3"
)

func (s *Service) readObject(ctx context.Context, c *api.Call, in *s3.GetObjectInput) (*place, []api.Demand, error) {
	return s.reading(ctx, c, "GetObject", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
}

// getObject streams the object, or the part of it that was asked for, holding one
// chunk of it in memory.
func (s *Service) getObject(ctx context.Context, c *api.Call, in *s3.GetObjectInput, p *place) (*s3.GetObjectOutput, error) {
	o := p.object
	if err := (&conditions{in.IfMatch, in.IfNoneMatch, in.IfModifiedSince, in.IfUnmodifiedSince}).check(o); err != nil {
		return nil, err
	}
	sel, err := o.choose(c.Snapshot, in.Range, in.PartNumber)
	if err != nil {
		return nil, err
	}
	key, err := s.unsealKey(ctx, c, p)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	checksum, err := sel.checksum(key, p.arn)
	if err != nil {
		return nil, err
	}
	if in.ChecksumMode != s3.ChecksumModeEnabled {
		checksum = ""
	}
	head, err := s.shown(ctx, c, p, sel, checksum, in.VersionId)
	if err != nil {
		return nil, err
	}
	body, err := s.open(ctx, c, p, key, sel.part)
	if err != nil {
		return nil, err
	}
	out := s3.GetObjectOutput{
		AcceptRanges: "bytes", Body: body, BucketKeyEnabled: head.BucketKeyEnabled,
		CacheControl:       either(in.ResponseCacheControl, head.CacheControl),
		ContentDisposition: either(in.ResponseContentDisposition, head.ContentDisposition),
		ContentEncoding:    either(in.ResponseContentEncoding, head.ContentEncoding),
		ContentLanguage:    either(in.ResponseContentLanguage, head.ContentLanguage),
		ContentType:        either(in.ResponseContentType, head.ContentType),
		Expires:            either(httpDate(in.ResponseExpires), head.Expires),
		ChecksumCRC32:      head.ChecksumCRC32, ChecksumCRC32C: head.ChecksumCRC32C, ChecksumCRC64NVME: head.ChecksumCRC64NVME,
		ChecksumSHA1: head.ChecksumSHA1, ChecksumSHA256: head.ChecksumSHA256, ChecksumType: head.ChecksumType,
		ContentLength: head.ContentLength, ContentRange: head.ContentRange, ETag: head.ETag, LastModified: head.LastModified,
		Metadata: head.Metadata, SSEKMSKeyId: head.SSEKMSKeyId, ServerSideEncryption: head.ServerSideEncryption, VersionId: head.VersionId,
		PartsCount: head.PartsCount, TagCount: head.TagCount, Expiration: head.Expiration,
		ObjectLockMode: head.ObjectLockMode, ObjectLockRetainUntilDate: head.ObjectLockRetainUntilDate, ObjectLockLegalHoldStatus: head.ObjectLockLegalHoldStatus,
	}
	return &out, nil
}

func either(override, stored string) string {
	if override != "" {
		return override
	}
	return stored
}

func httpDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
}

func (s *Service) headedObject(ctx context.Context, c *api.Call, in *s3.HeadObjectInput) (*place, []api.Demand, error) {
	return s.reading(ctx, c, "GetObject", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
}

func (s *Service) headObject(ctx context.Context, c *api.Call, in *s3.HeadObjectInput, p *place) (*s3.HeadObjectOutput, error) {
	o := p.object
	if err := (&conditions{in.IfMatch, in.IfNoneMatch, in.IfModifiedSince, in.IfUnmodifiedSince}).check(o); err != nil {
		return nil, err
	}
	sel, err := o.choose(c.Snapshot, in.Range, in.PartNumber)
	if err != nil {
		return nil, err
	}
	checksum := ""
	if in.ChecksumMode == s3.ChecksumModeEnabled { // it tells of the content, and so asks for the key
		key, err := s.unsealKey(ctx, c, p)
		if err != nil {
			return nil, err
		}
		defer clear(key)
		if checksum, err = sel.checksum(key, p.arn); err != nil {
			return nil, err
		}
	}
	out, err := s.shown(ctx, c, p, sel, checksum, in.VersionId)
	if err != nil {
		return nil, err
	}
	out.CacheControl = either(in.ResponseCacheControl, out.CacheControl)
	out.ContentDisposition = either(in.ResponseContentDisposition, out.ContentDisposition)
	out.ContentEncoding = either(in.ResponseContentEncoding, out.ContentEncoding)
	out.ContentLanguage = either(in.ResponseContentLanguage, out.ContentLanguage)
	out.ContentType = either(in.ResponseContentType, out.ContentType)
	out.Expires = either(httpDate(in.ResponseExpires), out.Expires)
	return out, nil
}

// shown is head with what only some may know: locks and how many tags there are.
func (s *Service) shown(ctx context.Context, c *api.Call, p *place, sel *selection, checksum, version string) (*s3.HeadObjectOutput, error) {
	held, err := s.shownLock(ctx, c, p)
	if err != nil {
		return nil, err
	}
	tags, err := s.countedTags(ctx, c, p, version)
	if err != nil {
		return nil, err
	}
	out := sel.head(checksum)
	out.TagCount, out.Expiration = tags, p.ending(version)
	out.ObjectLockMode, out.ObjectLockRetainUntilDate, out.ObjectLockLegalHoldStatus = s3.ObjectLockMode(held.Mode), held.Until, held.holdStatus()
	return out, nil
}

// head is what is said of the object beside its bytes.
func (l *selection) head(checksum string) *s3.HeadObjectOutput {
	o := l.object
	d := &o.details
	out := &s3.HeadObjectOutput{
		AcceptRanges: "bytes", BucketKeyEnabled: &d.BucketKey, CacheControl: d.CacheControl, ContentDisposition: d.ContentDisposition,
		ContentEncoding: d.ContentEncoding, ContentLanguage: d.ContentLanguage, ContentType: d.ContentType, Expires: d.Expires,
		ContentLength: &o.size, ETag: `"` + o.etag + `"`, LastModified: o.modified, Metadata: d.Metadata,
		SSEKMSKeyId: o.shownKey(), ServerSideEncryption: o.sse(), VersionId: o.shownVersion(), PartsCount: l.count,
	}
	if part := l.part; part != nil {
		length := part.length
		out.ContentLength = &length
		if length > 0 {
			out.ContentRange = fmt.Sprintf("bytes %d-%d/%d", part.start, part.start+part.length-1, o.size)
		}
	}
	if checksum != "" {
		*o.sum(&out.ChecksumCRC64NVME, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumSHA1, &out.ChecksumSHA256) = checksum
		_, out.ChecksumType = checksumKind(o.algorithm)
	}
	return out
}

// open opens the object's bytes. What is read from the result has been authenticated; it
// ends with io.EOF only if everything that was asked for was there.
func (s *Service) open(ctx context.Context, c *api.Call, p *place, key []byte, part *part) (io.ReadCloser, error) {
	start, length := int64(0), p.object.size
	if part != nil {
		start, length = part.start, part.length
	}
	body, err := s.content(ctx, c, p, key, start, length)
	if errors.Is(err, fs.ErrNotExist) {
		// Most likely the object was overwritten since the snapshot was taken.
		return nil, fmt.Errorf("s3: the bytes of %s are gone: %w", p.arn, api.ErrAgain)
	}
	if err != nil {
		return nil, fmt.Errorf("s3: the bytes of %s: %w", p.arn, err)
	}
	return body, nil
}

// content opens a range of an object's bytes, wherever they lie.
func (s *Service) content(ctx context.Context, c *api.Call, p *place, key []byte, start, length int64) (io.ReadCloser, error) {
	o := p.object
	if o.upload == "" {
		opened, err := s.openSealed(ctx, o.ref, key, associated(p.arn, o.etag), o.size)
		if err != nil {
			return nil, err
		}
		return opened.cut(start, length), nil
	}
	parts, err := partsOf(c.Snapshot, o)
	if err != nil {
		return nil, err
	}
	parts, start = partsIn(parts, start, length)
	r := &partsReader{s: s, ctx: ctx, key: seal.Key(key), arn: p.arn, o: o, parts: parts, skip: start, left: length}
	s.readers.hold(o.upload)
	// The first part is opened at once: what is gone must be known before the answer begins.
	if length > 0 {
		err = r.next()
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

type stream struct {
	io.Reader
	io.Closer
}
