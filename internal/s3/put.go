package s3

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// newObject checks an upload before a byte of it is read.
func (s *Service) newObject(_ context.Context, c *api.Call, in *s3.PutObjectInput) (*place, []api.Demand, error) {
	p, demands, err := s.at(c, "PutObject", in.Bucket, in.Key, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	u := uploadOf(in)
	setCreation(demands, true)
	demands, err = s.admitted(c, p, demands, u)
	p.upload = u
	return p, demands, err
}

// setCreation says whether a request makes an object, or only begins or adds to one
// that may come: bucket policies that ask for conditional writes spare the latter.
func setCreation(demands []api.Demand, creates bool) {
	demands[0].Keys.Set("s3:ObjectCreationOperation", strconv.FormatBool(creates))
}

func uploadOf(in *s3.PutObjectInput) *upload {
	return &upload{
		acl: in.ACL, storageClass: in.StorageClass, details: detailsOf(in), tagging: in.Tagging,
		lockMode: in.ObjectLockMode, lockUntil: in.ObjectLockRetainUntilDate, hold: in.ObjectLockLegalHoldStatus,
		sse:     sealing{in.ServerSideEncryption, in.SSEKMSKeyId, in.SSEKMSEncryptionContext, in.BucketKeyEnabled},
		ifMatch: in.IfMatch, ifNoneMatch: in.IfNoneMatch,
	}
}

func checkMetadata(metadata map[string]string) error {
	size := 0
	for name, value := range metadata {
		size += len(name) + len(value)
	}
	if size > maxMetadata {
		return fail(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	return nil
}

// putObject seals what it reads and commits it to blob before its row. What an
// upload that fails leaves there is an orphan that fsck collects.
func (s *Service) putObject(ctx context.Context, c *api.Call, in *s3.PutObjectInput, p *place) (api.Commit[s3.PutObjectOutput], error) {
	if size := c.Size(); size > maxObject {
		return nil, tooLarge()
	}
	stated := sumsOf(in)
	if err := p.upload.checked(p, in.ContentMD5 != "" || !stated.silent(c.DeclaresTrailer)); err != nil {
		return nil, err
	}
	check, err := newCheck(stated, c.DeclaresTrailer)
	if err != nil {
		return nil, err
	}
	o := newObject(c, p.upload)
	if err := s.early(c, p); err != nil {
		return nil, err
	}
	key, err := s.dataKey(ctx, c, p, o)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	c.Release()
	got, err := s.receive(ctx, in.Body, c.Size(), key, associated(p.arn, o.etag), check, c.Trailer)
	if err == nil {
		err = o.keep(got, key, p.arn, check)
	}
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*s3.PutObjectOutput, error) {
		kept := *o
		if err := s.store(ctx, tx, c.Clock(), p, &kept); err != nil {
			return nil, err
		}
		out := kept.uploaded(in, got.sum)
		out.Expiration = p.expiry(&kept)
		return out, nil
	}, nil
}

// newObject is what an upload makes, before its bytes are read.
func newObject(c *api.Call, u *upload) *object {
	return &object{etag: newETag(), modified: c.Now.UTC().Truncate(time.Second), details: u.details, tags: u.tags}
}

// early refuses a conditional upload before its bytes are read. It is a courtesy:
// the commit decides.
func (s *Service) early(c *api.Call, p *place) error {
	if p.upload.ifMatch == "" && p.upload.ifNoneMatch == "" {
		return nil
	}
	old, err := objectRow(c.Snapshot, p.name, p.key)
	if err != nil {
		return err
	}
	return p.upload.admits(p.key, old)
}

// admits decides the conditions of an upload.
func (u *upload) admits(key string, old *object) error {
	switch {
	case u.ifNoneMatch != "" && old != nil:
		return preconditionFailed("If-None-Match")
	case u.ifMatch != "" && old == nil:
		return noSuchKey(key)
	case u.ifMatch != "" && !matches(u.ifMatch, old.etag):
		return preconditionFailed("If-Match")
	}
	return nil
}

func newETag() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func detailsOf(in *s3.PutObjectInput) details {
	d := details{
		CacheControl: in.CacheControl, ContentDisposition: in.ContentDisposition, ContentEncoding: encoding(in.ContentEncoding),
		ContentLanguage: in.ContentLanguage, ContentType: in.ContentType, Expires: in.Expires, Metadata: in.Metadata,
	}
	if d.ContentType == "" {
		d.ContentType = "binary/octet-stream"
	}
	return d
}

// encoding is what remains of a Content-Encoding when that of the transfer is
// taken off.
func encoding(s string) string {
	var kept []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" && part != "aws-chunked" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ",")
}

// A received body is sealed in blob, and no row names it yet.
type received struct {
	ref  blob.Ref
	size int64
	sum  string // in base64
	also string // that of the check's also
}

// receive reads a body of a stated size, or of -1, to its end, checks it and seals it
// into blob, bound to what it is. trailer finds trailing headers.
func (s *Service) receive(ctx context.Context, body io.Reader, size int64, key, bound []byte, check *check, trailer func(string) string) (*received, error) {
	if body == nil {
		body = strings.NewReader("")
	}
	sink, err := s.Blobs.Create(ctx)
	if err != nil {
		return nil, err
	}
	defer sink.Abort()
	sealer, err := seal.NewWriter(sink, key, bound)
	if err != nil {
		return nil, err
	}
	got := &received{}
	buffer := make([]byte, copySize(size))
	got.size, err = io.CopyBuffer(io.MultiWriter(sealer, check), io.LimitReader(body, maxObject+1), buffer)
	if err != nil {
		return nil, err
	}
	if got.size > maxObject {
		return nil, tooLarge()
	}
	if got.sum, err = check.done(trailer); err != nil {
		return nil, err
	}
	if check.also != nil {
		got.also = base64.StdEncoding.EncodeToString(check.also.Sum(nil))
	}
	if err := sealer.Close(); err != nil {
		return nil, err
	}
	got.ref, err = sink.Commit()
	return got, err
}

// keep takes what was received for the object's content.
func (o *object) keep(got *received, key []byte, arn string, check *check) error {
	o.ref, o.size, o.algorithm = got.ref, got.size, string(check.algorithm.name)
	return o.prove(key, arn, got.sum)
}

// copySize is the length in bytes of a buffer for a body of a stated size, or -1.
func copySize(size int64) int64 {
	const most = 32 << 10
	if size < 0 {
		return most
	}
	return min(size+1, most)
}

func tooLarge() *api.Error {
	return fail(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
}

// store makes the object the newest version of its key, if the conditions of the
// upload hold.
func (s *Service) store(ctx context.Context, tx *store.Tx, now time.Time, p *place, o *object) error {
	l, err := s.slot(ctx, tx, p.name, p.id, p.key)
	if err != nil {
		return err
	}
	old, err := l.now()
	if err != nil {
		return err
	}
	if err := p.upload.admits(p.key, old); err != nil {
		return err
	}
	o.lock = p.upload.lock(l.bucket, now)
	return l.put(o, now)
}

// uploaded is the answer to an upload.
func (o *object) uploaded(in *s3.PutObjectInput, checksum string) *s3.PutObjectOutput {
	out := &s3.PutObjectOutput{
		ETag: `"` + o.etag + `"`, ServerSideEncryption: o.sse(), SSEKMSKeyId: o.shownKey(), VersionId: o.shownVersion(),
		SSEKMSEncryptionContext: in.SSEKMSEncryptionContext, BucketKeyEnabled: &o.details.BucketKey, ChecksumType: s3.ChecksumTypeFullObject,
	}
	*o.sum(&out.ChecksumCRC64NVME, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumSHA1, &out.ChecksumSHA256) = checksum
	return out
}

// sum picks the member that the object's checksum belongs in, in the order of
// algorithms.
func (o *object) sum(members ...*string) *string { return sumMember(o.algorithm, members...) }
