package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/blob"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

// An uploadPart is one part of a multipart upload, and later of the object: its
// bytes stay where the upload put them. It is sealed under the upload's data key.
type uploadPart struct {
	number   int32
	etag     string // new with each upload of the part
	size     int64
	modified time.Time
	ref      blob.Ref
	proof    []byte // its checksum, sealed
}

// associatedPart is what a part's bytes are bound to besides their key: one of
// another object, upload or place, or an earlier one of the same place, does not open.
func associatedPart(arn, upload string, p *uploadPart) []byte {
	return fmt.Appendf(nil, "s3 part %s %d %s %s", upload, p.number, p.etag, arn)
}

const provingPart seal.Purpose = "s3 part details"

// claims are what the store says of the part and its upload has proven.
func (p *uploadPart) claims(arn, upload string) []byte {
	return fmt.Appendf(nil, "%s %d %s %d %d %s", upload, p.number, p.etag, p.size, p.modified.UnixMicro(), arn)
}

// prove seals the part's checksum, and if the part came with one of another kind than
// the upload's, that too.
func (p *uploadPart) prove(key []byte, arn, upload, checksum string, stated ...string) (err error) {
	p.proof, err = provingPart.Seal(key, []byte(strings.Join(append([]string{checksum}, stated...), " ")), p.claims(arn, upload))
	return err
}

// checksum opens the proof and answers the checksum of the upload's kind.
func (p *uploadPart) checksum(key []byte, arn, upload string) (string, error) {
	sum, _, err := p.checksums(key, arn, upload)
	return sum, err
}

// checksums is checksum with the other that the part came with, "CRC32 AAAAAA==", or
// nothing.
func (p *uploadPart) checksums(key []byte, arn, upload string) (sum, stated string, err error) {
	both, err := provingPart.Open(key, p.proof, p.claims(arn, upload))
	if err != nil {
		return "", "", fmt.Errorf("s3: what is stored of part %d of %s is not what was uploaded: %w", p.number, arn, err)
	}
	sum, stated, _ = strings.Cut(string(both), " ")
	return sum, stated, nil
}

// manifest stands in an object's details, and so in what its proof binds, for the
// parts that make it up and their order.
func manifest(parts []uploadPart) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %d %s\n", p.number, p.size, p.etag)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// partRows reads an upload's parts in the order of their numbers.
func partRows(q querier, upload string) ([]uploadPart, error) {
	rows, err := q.Query("SELECT number, etag, size, modified, ref, proof FROM s3_parts WHERE upload = ? ORDER BY number", upload)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var parts []uploadPart
	for rows.Next() {
		var p uploadPart
		var modified int64
		if err := rows.Scan(&p.number, &p.etag, &p.size, &modified, &p.ref, &p.proof); err != nil {
			return nil, err
		}
		p.modified = time.UnixMicro(modified).UTC()
		parts = append(parts, p)
	}
	return parts, rows.Err()
}

// dropParts deletes all parts of an upload, and after the commit their bytes.
func (s *Service) dropParts(ctx context.Context, tx *store.Tx, upload string) error {
	parts, err := partRows(tx, upload)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM s3_parts WHERE upload = ?", upload); err != nil {
		return err
	}
	refs := make([]blob.Ref, len(parts))
	for i := range parts {
		refs[i] = parts[i].ref
	}
	tx.AfterCommit(func() {
		for _, ref := range s.readers.doom(upload, refs) {
			s.drop(ctx, ref)
		}
	})
	return nil
}

// partsOf reads an object's parts and holds them against its proof, which the
// caller has opened.
func partsOf(q querier, o *object) ([]uploadPart, error) {
	parts, err := partRows(q, o.upload)
	if err != nil {
		return nil, err
	}
	if len(parts) != o.details.Parts || manifest(parts) != o.details.Manifest {
		return nil, errors.New("the parts are not those of the upload")
	}
	return parts, nil
}

// partsIn are the parts that a range touches, and where in the first of them it
// begins. Of the others nothing is kept: there may be 10,000, and readers for each.
func partsIn(parts []uploadPart, start, length int64) ([]uploadPart, int64) {
	for len(parts) > 0 && start >= parts[0].size {
		start -= parts[0].size
		parts = parts[1:]
	}
	n := 0
	for end := start + length; n < len(parts) && end > 0; n++ {
		end -= parts[n].size
	}
	return slices.Clone(parts[:n]), start
}

// partsReader reads a range of an object that lies in parts, opening one at a
// time. Until it is closed it holds them.
type partsReader struct {
	s     *Service
	ctx   context.Context
	key   seal.Key
	arn   string
	o     *object
	parts []uploadPart // what is not opened yet
	skip  int64        // bytes of the first of them
	left  int64        // bytes until the end of the range
	open  *stream      // nil: none
	ended bool
}

func (r *partsReader) Read(p []byte) (int, error) {
	for {
		if r.left == 0 || r.ended {
			return 0, io.EOF
		}
		if r.open == nil {
			if err := r.next(); err != nil {
				return 0, err
			}
		}
		n, err := r.open.Read(p[:min(int64(len(p)), r.left)])
		r.left -= int64(n)
		if err == io.EOF {
			err = r.open.Close()
			r.open = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (r *partsReader) next() error {
	if len(r.parts) == 0 {
		return io.ErrUnexpectedEOF
	}
	part := &r.parts[0]
	opened, err := r.s.openSealed(r.ctx, part.ref, r.key[:], associatedPart(r.arn, r.o.upload, part), part.size)
	if err != nil {
		return fmt.Errorf("s3: part %d of %s: %w", part.number, r.arn, err)
	}
	r.open = opened.cut(r.skip, part.size-r.skip)
	r.parts, r.skip = r.parts[1:], 0
	return nil
}

func (r *partsReader) Close() error {
	if !r.ended {
		for _, ref := range r.s.readers.release(r.o.upload) {
			r.s.drop(r.ctx, ref)
		}
	}
	r.ended = true
	r.key.Zero()
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}

// A sealed source is stored bytes that opened.
type sealedSource struct {
	sealed *seal.ReaderAt
	source io.Closer
}

// cut is a part of it, which closes it.
func (s *sealedSource) cut(start, length int64) *stream {
	return &stream{s.sealed.Range(start, length), s.source}
}

// openSealed opens stored bytes under their key, which must have the size that is
// said of them.
func (s *Service) openSealed(ctx context.Context, ref blob.Ref, key, bound []byte, size int64) (*sealedSource, error) {
	source, err := s.Blobs.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	sealed, err := seal.OpenAt(source, source.Size(), key, bound)
	if err == nil && sealed.Size() != size {
		err = errors.New("the size is not that of the upload")
	}
	if err != nil {
		source.Close()
		return nil, err
	}
	return &sealedSource{sealed, source}, nil
}
