package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// partSize is the least that a part may have, and what a Writer holds in memory.
// There may be 10,000 parts: 50 GiB.
const partSize = 5 << 20

// Create begins a new blob. Nothing of it is visible before Commit.
func (b *Bucket) Create(ctx context.Context) (Writer, error) {
	if err := errors.Join(b.Healthy(), ctx.Err()); err != nil {
		return nil, err
	}
	id := newID().String()
	return &objectWriter{bucket: b, ctx: ctx, id: id, key: b.key(id)}, nil
}

// An objectWriter sends a blob in one piece, or in parts once it is longer.
type objectWriter struct {
	bucket  *Bucket
	ctx     context.Context
	id, key string
	size    int64
	buf     []byte
	upload  *string // nil: none was begun
	parts   []types.CompletedPart
	err     error
}

func (w *objectWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		if len(w.buf) == partSize {
			if err := w.send(); err != nil {
				return n, w.end(err)
			}
		}
		now := min(len(p), partSize-len(w.buf))
		w.buf = append(w.buf, p[:now]...)
		p, n = p[now:], n+now
		w.size += int64(now)
	}
	return n, w.err
}

// send makes a part of what is in memory.
func (w *objectWriter) send() error {
	client, bucket := w.bucket.client, &w.bucket.where.Bucket
	if w.upload == nil {
		begun, err := client.CreateMultipartUpload(w.ctx, &s3.CreateMultipartUploadInput{
			Bucket: bucket, Key: &w.key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		if err != nil {
			return err
		}
		w.upload = begun.UploadId
	}
	number := aws.Int32(int32(len(w.parts) + 1)) //nolint:gosec // a service takes 10,000
	part, err := client.UploadPart(w.ctx, &s3.UploadPartInput{
		Bucket: bucket, Key: &w.key, UploadId: w.upload, PartNumber: number, Body: bytes.NewReader(w.buf),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		return err
	}
	w.parts = append(w.parts, types.CompletedPart{PartNumber: number, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32})
	w.buf = w.buf[:0]
	return nil
}

func (w *objectWriter) Commit() (Ref, error) {
	if w.err != nil {
		return "", w.err
	}
	if err := errors.Join(w.bucket.Healthy(), w.ctx.Err()); err != nil {
		return "", w.end(err)
	}
	if err := w.commit(); err != nil {
		return "", w.end(err)
	}
	w.upload = nil
	w.end(errEnded)
	return place{object: w.id, length: w.size}.ref(), nil
}

func (w *objectWriter) commit() error {
	client, bucket := w.bucket.client, &w.bucket.where.Bucket
	if w.upload == nil {
		_, err := client.PutObject(w.ctx, &s3.PutObjectInput{Bucket: bucket, Key: &w.key, Body: bytes.NewReader(w.buf)})
		return err
	}
	if err := w.send(); err != nil {
		return err
	}
	w.bucket.note(w.id) // before others can see it
	defer w.bucket.note(w.id)
	_, err := client.CompleteMultipartUpload(w.ctx, &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: &w.key, UploadId: w.upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: w.parts},
	})
	return err
}

func (w *objectWriter) Abort() error {
	if w.err == nil {
		w.end(errEnded)
	}
	return nil
}

// end forgets what was sent, and remembers the error that later calls get. What the
// bucket does not hear of now, the next start removes.
func (w *objectWriter) end(err error) error {
	if !errors.Is(err, errEnded) {
		err = fmt.Errorf("blob: %w", err)
	}
	w.err, w.buf = err, nil
	if w.upload != nil {
		_, _ = w.bucket.client.AbortMultipartUpload(context.WithoutCancel(w.ctx), &s3.AbortMultipartUploadInput{
			Bucket: &w.bucket.where.Bucket, Key: &w.key, UploadId: w.upload,
		})
		w.upload = nil
	}
	return err
}
