package server

import (
	"context"
	"iter"
	"testing"
	"time"

	"bawn.dev/internal/blob"
)

// A slowBlobs is a store whose list takes longer than an orphan needs to be one.
type slowBlobs struct {
	blobs
	meanwhile func()
}

func (b *slowBlobs) Refs(ctx context.Context) iter.Seq2[blob.Stored, error] {
	b.meanwhile()
	return b.blobs.Refs(ctx)
}

// What is uploaded while fsck goes through the bytes is none of its orphans, however
// long that takes.
func TestUploadsDuringALongCheckStay(t *testing.T) {
	s, _ := openForCompaction(t)
	whole := s.blobs
	s.blobs = &slowBlobs{whole, func() {
		s.blobs = whole
		kept(t, s, 0, []byte("uploaded meanwhile"))
		s.now = func() time.Time { return time.Now().Add(2 * orphanAge) }
	}}
	r, err := s.Check(t.Context(), CheckRequest{Operator: "tester"})
	if err != nil || len(r.Problems) > 0 || r.Orphans > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := contents(t, s); got["uploaded meanwhile"] != 1 {
		t.Errorf("%v", got)
	}
}
