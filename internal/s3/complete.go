package s3

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// completedUpload finds the upload, or the object that it has become: whoever did not
// hear the answer may ask again.
func (s *Service) completedUpload(_ context.Context, c *api.Call, in *s3.CompleteMultipartUploadInput) (*assembly, []api.Demand, error) {
	a, demands, err := s.adding(c, in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	setCreation(demands, true)
	setConditions(demands[0].Keys, in.IfMatch, in.IfNoneMatch)
	if a.bucket == nil || a.begun != nil {
		return a, demands, nil
	}
	o, err := objectRow(c.Snapshot, a.name, a.key)
	if err != nil {
		return nil, nil, err
	}
	if o != nil && o.upload == in.UploadId && demands[0].Resource.Missing.Code == "NoSuchUpload" {
		a.object, demands[0].Resource.Missing = o, nil
	}
	return a, demands, nil
}

// completeUpload makes an object of the listed parts. Their bytes stay where they are.
func (s *Service) completeUpload(ctx context.Context, c *api.Call, in *s3.CompleteMultipartUploadInput, a *assembly) (api.Commit[s3.CompleteMultipartUploadOutput], error) {
	if in.IfNoneMatch != "" && in.IfNoneMatch != "*" {
		return nil, notServed("If-None-Match with an ETag")
	}
	if in.MultipartUpload == nil || len(in.MultipartUpload.Parts) == 0 {
		return nil, fail(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	key, err := s.unsealKey(ctx, c, a.place)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	stored, err := partRows(c.Snapshot, in.UploadId)
	if err != nil {
		return nil, err
	}
	l := &partList{in: in, arn: a.arn, key: key, algorithm: a.object.algorithm, least: s.minPart}
	if err := l.choose(stored); err != nil {
		return nil, err
	}
	if a.begun == nil {
		return completedBefore(c, a, l)
	}
	if err := a.begun.check(key, a.arn); err != nil {
		return nil, err
	}
	sum, err := l.whole()
	if err != nil {
		return nil, err
	}
	o := a.begun.object
	o.etag = newETag() + "-" + strconv.Itoa(len(l.chosen))
	o.size, o.details.Parts, o.details.Manifest = l.size, len(l.chosen), manifest(l.chosen)
	if err := o.prove(key, a.arn, sum); err != nil {
		return nil, err
	}
	a.place.upload = &upload{
		ifMatch: in.IfMatch, ifNoneMatch: in.IfNoneMatch,
		lockMode: s3.ObjectLockMode(o.lock.Mode), lockUntil: o.lock.Until, hold: holdStatus(o.lock.Hold),
	}
	if err := s.early(c, a.place); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*s3.CompleteMultipartUploadOutput, error) {
		if err := s.settle(ctx, tx, a, l.chosen); err != nil {
			return nil, err
		}
		kept := o
		if err := s.store(ctx, tx, c.Now, a.place, &kept); err != nil {
			return nil, err
		}
		return kept.completed(c, a.place, sum), nil
	}, nil
}

func holdStatus(on bool) s3.ObjectLockLegalHoldStatus {
	if on {
		return s3.ObjectLockLegalHoldStatusOn
	}
	return ""
}

// settle ends the upload and drops the parts that were not chosen. If a chosen one was
// replaced meanwhile, or the upload was ended by another, the call is decided again.
func (s *Service) settle(ctx context.Context, tx *store.Tx, a *assembly, chosen []uploadPart) error {
	stored, err := partRows(tx, a.begun.id)
	if err != nil {
		return err
	}
	var dropped []uploadPart
	for _, p := range stored {
		switch {
		case len(chosen) > 0 && p.number == chosen[0].number && p.etag == chosen[0].etag:
			chosen = chosen[1:]
		case len(chosen) > 0 && p.number >= chosen[0].number:
			return api.ErrAgain
		default:
			dropped = append(dropped, p)
			if _, err := tx.Exec("DELETE FROM s3_parts WHERE upload = ? AND number = ?", a.begun.id, p.number); err != nil {
				return err
			}
		}
	}
	ended, err := deleteUpload(tx, a.name, a.key, a.begun.id)
	if err == nil && (!ended || len(chosen) > 0) {
		return api.ErrAgain
	}
	tx.AfterCommit(func() {
		for _, p := range dropped {
			s.drop(ctx, p.ref)
		}
	})
	return err
}

// completedBefore answers as the first time, if the same was asked.
func completedBefore(c *api.Call, a *assembly, l *partList) (api.Commit[s3.CompleteMultipartUploadOutput], error) {
	o := a.object
	if len(l.chosen) != o.details.Parts || manifest(l.chosen) != o.details.Manifest {
		return nil, noSuchUpload(o.upload)
	}
	sum, err := o.checksum(l.key, a.arn)
	if err != nil {
		return nil, err
	}
	return func(*store.Tx) (*s3.CompleteMultipartUploadOutput, error) { return o.completed(c, a.place, sum), nil }, nil
}

func (o *object) completed(c *api.Call, p *place, sum string) *s3.CompleteMultipartUploadOutput {
	out := &s3.CompleteMultipartUploadOutput{
		Location: c.Scheme + "://" + c.Host + "/" + p.name + "/" + strings.ReplaceAll(url.PathEscape(p.key), "%2F", "/"),
		Bucket:   p.name, Key: p.key, ETag: `"` + o.etag + `"`, VersionId: o.shownVersion(),
		ServerSideEncryption: o.sse(), SSEKMSKeyId: o.shownKey(), BucketKeyEnabled: &o.details.BucketKey, Expiration: p.expiry(o),
	}
	_, out.ChecksumType = checksumKind(o.algorithm)
	*o.sum(&out.ChecksumCRC64NVME, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumSHA1, &out.ChecksumSHA256) = sum
	return out
}
