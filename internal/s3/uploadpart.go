package s3

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

const maxParts = 10_000

func checkPartNumber(n int32) error {
	if n < 1 || n > maxParts {
		return badArgument("partNumber", strconv.Itoa(int(n)), "Part number must be an integer between 1 and 10000, inclusive")
	}
	return nil
}

func (s *Service) newPart(_ context.Context, c *api.Call, in *s3.UploadPartInput) (*assembly, []api.Demand, error) {
	return s.adding(c, in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner)
}

// putPart seals a part under the upload's data key, which asks the caller for the use of
// its KMS key.
func (s *Service) putPart(ctx context.Context, c *api.Call, in *s3.UploadPartInput, a *assembly) (api.Commit[s3.UploadPartOutput], error) {
	if err := checkPartNumber(in.PartNumber); err != nil {
		return nil, err
	}
	if c.Size() > maxObject {
		return nil, tooLarge()
	}
	stated := &sums{
		in.ChecksumAlgorithm,
		[...]string{in.ChecksumCRC64NVME, in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumSHA1, in.ChecksumSHA256},
		in.ContentMD5,
	}
	if (a.begun.lock != lock{}) && in.ContentMD5 == "" && stated.silent(c.DeclaresTrailer) {
		return nil, badRequest("Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters")
	}
	check, err := newPartCheck(stated, a.begun.algorithm, a.begun.chosen, c.DeclaresTrailer)
	if err != nil {
		return nil, err
	}
	key, err := s.unsealKey(ctx, c, a.place)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	c.Release()
	part := newPart(in.PartNumber, c.Now)
	got, err := s.receive(ctx, in.Body, c.Size(), key, associatedPart(a.arn, a.begun.id, part), check, c.Trailer)
	if err == nil {
		err = part.keep(got, key, a.arn, a.begun.id, check)
	}
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*s3.UploadPartOutput, error) {
		out := &s3.UploadPartOutput{
			ETag: `"` + part.etag + `"`, ServerSideEncryption: a.begun.sse(), SSEKMSKeyId: a.begun.shownKey(), BucketKeyEnabled: &a.begun.details.BucketKey,
		}
		*sumMember(string(check.algorithm.name), &out.ChecksumCRC64NVME, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumSHA1, &out.ChecksumSHA256) = got.sum
		return out, s.add(ctx, tx, a, part)
	}, nil
}

// newPart is what an upload makes, before its bytes are read.
func newPart(number int32, now time.Time) *uploadPart {
	return &uploadPart{number: number, etag: newETag(), modified: now.UTC().Truncate(time.Second)}
}

// keep takes what was received for the part's content.
func (p *uploadPart) keep(got *received, key []byte, arn, upload string, check *check) error {
	p.ref, p.size = got.ref, got.size
	if check.also != nil {
		return p.prove(key, arn, upload, got.also, string(check.algorithm.name), got.sum)
	}
	return p.prove(key, arn, upload, got.sum)
}

// add makes the part that of its number, in place of an earlier one.
func (s *Service) add(ctx context.Context, tx *store.Tx, a *assembly, p *uploadPart) error {
	if _, err := s.slot(ctx, tx, a.name, a.id, a.key); err != nil {
		return err
	}
	if open, err := uploadRow(tx, a.name, a.key, a.begun.id); err != nil {
		return err
	} else if open == nil {
		return noSuchUpload(a.begun.id)
	}
	var old blob.Ref
	err := tx.QueryRow("SELECT ref FROM s3_parts WHERE upload = ? AND number = ?", a.begun.id, p.number).Scan(&old)
	if err == nil {
		_, err = tx.Exec("DELETE FROM s3_parts WHERE upload = ? AND number = ?", a.begun.id, p.number)
		tx.AfterCommit(func() { s.drop(ctx, old) })
	} else if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO s3_parts (upload, number, etag, size, modified, ref, proof) VALUES (?, ?, ?, ?, ?, ?, ?)",
		a.begun.id, p.number, p.etag, p.size, p.modified.UnixMicro(), string(p.ref), p.proof)
	return err
}
