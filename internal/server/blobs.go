package server

import (
	"context"

	"bawn.dev/internal/blob"
	"bawn.dev/internal/s3"
)

// blobs is the blob directory as the object store sees it.
type blobs struct{ dir *blob.Dir }

func (b blobs) Create(ctx context.Context) (s3.Sink, error) {
	w, err := b.dir.Create(ctx)
	if err != nil {
		return nil, err
	}
	return sink{w}, nil
}

func (b blobs) Open(ctx context.Context, ref string) (s3.Source, error) {
	return b.dir.Open(ctx, blob.Ref(ref))
}

func (b blobs) Delete(ctx context.Context, ref string) error {
	return b.dir.Delete(ctx, blob.Ref(ref))
}

type sink struct{ *blob.Writer }

// Commit makes the bytes durable.
func (s sink) Commit() (string, error) {
	ref, err := s.Writer.Commit()
	return string(ref), err
}

// Abort drops them. What cannot be dropped is found by fsck.
func (s sink) Abort() { _ = s.Writer.Abort() }
