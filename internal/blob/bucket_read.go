package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	// What one request to the bucket reads: a whole blob that is no longer than
	// wholeRead, the end of another, or the next piece, the longer the more of the
	// blob was read in a row.
	wholeRead  = 512 << 10
	endRead    = 128 << 10
	firstPiece = 256 << 10
	mostPiece  = 4 << 20
)

// Open opens a blob. It returns fs.ErrNotExist for one that is not there, and for a
// directory's.
func (b *Bucket) Open(ctx context.Context, r Ref) (*Reader, error) {
	p, err := r.parse()
	if err != nil {
		return nil, err
	}
	if p.object == "" {
		return nil, fs.ErrNotExist
	}
	b.mu.Lock()
	b.open[r]++
	b.mu.Unlock()
	o := &objectReader{bucket: b, ctx: ctx, ref: r, place: p}
	o.endAt = max(0, p.length-endRead)
	if p.length <= wholeRead {
		o.endAt = 0
	}
	// The end is asked for first, by seals too. An empty blob has none to ask for, and
	// is not sealed.
	if p.length > 0 {
		if o.end, err = o.fetch(nil, o.endAt, p.length); err != nil {
			return nil, errors.Join(err, o.Close())
		}
	}
	return &Reader{o, p.length, o}, nil
}

// An objectReader reads pieces of an object.
type objectReader struct {
	bucket *Bucket
	ctx    context.Context
	ref    Ref
	place
	endAt int64
	end   []byte // what is from endAt on

	mu      sync.Mutex
	pieceAt int64
	piece   []byte // what was read last, before endAt
	closed  bool
}

// ReadAt is io.ReaderAt.
func (o *objectReader) ReadAt(p []byte, off int64) (n int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n < len(p) {
		at := off + int64(n)
		switch {
		case at < 0 || at >= o.length:
			return n, io.EOF
		case at >= o.endAt:
			n += copy(p[n:], o.end[at-o.endAt:])
		case at >= o.pieceAt && at < o.pieceAt+int64(len(o.piece)):
			n += copy(p[n:], o.piece[at-o.pieceAt:])
		default:
			if err := o.next(at); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// next fetches the piece that begins at an offset.
func (o *objectReader) next(at int64) error {
	size := int64(firstPiece)
	if len(o.piece) > 0 && at == o.pieceAt+int64(len(o.piece)) {
		size = min(2*int64(len(o.piece)), mostPiece)
	}
	piece, err := o.fetch(o.piece[:0], at, min(at+size, o.endAt))
	if err != nil {
		return err
	}
	o.pieceAt, o.piece = at, piece
	return nil
}

// fetch reads a part of the object into buf, or a longer one.
func (o *objectReader) fetch(buf []byte, from, to int64) ([]byte, error) {
	key, part := o.bucket.key(o.object), fmt.Sprintf("bytes=%d-%d", from, to-1)
	out, err := o.bucket.client.GetObject(o.ctx, &s3.GetObjectInput{Bucket: &o.bucket.where.Bucket, Key: &key, Range: &part})
	if err != nil {
		return nil, fmt.Errorf("blob: %w", missing(err))
	}
	defer out.Body.Close()
	if int64(cap(buf)) < to-from {
		buf = make([]byte, to-from)
	}
	buf = buf[:to-from]
	if _, err := io.ReadFull(out.Body, buf); err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	return buf, nil
}

// Close ends the reading, and removes the object if it was deleted meanwhile. One
// that cannot be removed is an orphan.
func (o *objectReader) Close() error {
	o.mu.Lock()
	again := o.closed
	o.closed = true
	o.mu.Unlock()
	if again {
		return nil
	}
	b := o.bucket
	b.mu.Lock()
	b.open[o.ref]--
	last := b.open[o.ref] == 0
	doomed := last && b.doomed[o.ref]
	if last {
		delete(b.open, o.ref)
		delete(b.doomed, o.ref)
	}
	b.mu.Unlock()
	if doomed {
		return b.remove(context.WithoutCancel(o.ctx), o.object)
	}
	return nil
}
