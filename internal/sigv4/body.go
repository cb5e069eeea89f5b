package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// BodyOptions say what bodies the caller takes. The zero value takes an empty one.
type BodyOptions struct {
	// MaxBytes is the greatest length of the decoded body.
	MaxBytes int64
	// AllowUnsigned takes bodies that the signature does not cover; set it only where TLS protects the request.
	AllowUnsigned bool
}

// Body is the decoded body of a verified request. Only io.EOF says that it is whole and is what was signed; who acts
// on bytes read before then must undo it on any other error. Where Size is known, its last bytes are held back until
// the check, so that nobody can read that many bytes of another body. Errors of the body itself are *Error and stay.
type Body struct {
	src      io.Reader
	close    io.Closer
	size     int64
	declared []string
	trailer  http.Header
	err      error
	decoder  *chunkReader
}

// Body decodes and checks the request's body; key is the SigningKey that Verify used (only signed chunks need it).
// It refuses a request that Verify has not accepted, and PayloadComputed, whose body was read for Verify.
// The length is checked against o.MaxBytes at once where the request states it, and while reading in any case.
func (s *Signature) Body(r *http.Request, key []byte, o BodyOptions) (*Body, error) {
	if !s.verified {
		return nil, errors.New("sigv4: the body of a request that was not verified")
	}
	b := &Body{src: r.Body, close: r.Body, size: r.ContentLength}
	if r.Body == nil || r.Body == http.NoBody {
		b.src, b.close, b.size = http.NoBody, http.NoBody, 0
	}
	if s.Payload == PayloadComputed {
		return nil, errors.New("sigv4: the body was read to verify the signature")
	}
	if !s.Payload.Signed() && !o.AllowUnsigned && b.size != 0 {
		return nil, refuse(PayloadNotAllowed, "a body that the signature does not cover is not allowed here")
	}
	trailers, err := s.declaredTrailers(r)
	if err != nil {
		return nil, err
	}
	b.declared = slices.Clone(trailers)
	if s.Payload.Streaming() {
		if b.size, err = decodedLength(r); err != nil {
			return nil, err
		}
	}
	limit := max(0, o.MaxBytes)
	if b.size > limit {
		return nil, refuse(BodyTooLarge, "the body is too large")
	}
	switch {
	case s.Payload.Streaming():
		b.decoder = s.newChunkReader(b.src, key, b.size, trailers)
		b.src = b.decoder
	case s.Payload == PayloadHash:
		b.src = &limitReader{&hashReader{b.src, sha256.New(), s.contentHash, b.size}, limit}
	default:
		b.src = &limitReader{b.src, limit}
	}
	return b, nil
}

// Read reads decoded bytes.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	if err == io.ErrUnexpectedEOF {
		err = early(err)
	}
	b.err = err
	if err == io.EOF && b.decoder != nil {
		b.trailer = b.decoder.trailer
	}
	return n, err
}

// Close closes the request's body.
func (b *Body) Close() error { return b.close.Close() }

// Size is the decoded length in bytes that the request states, or -1 if it states none.
func (b *Body) Size() int64 { return b.size }

// Declared are the names of the trailing headers, in lower case, before they come.
func (b *Body) Declared() []string { return b.declared }

// Trailer returns the trailing headers, nil before io.EOF. They are exactly the names that x-amz-trailer declares.
func (b *Body) Trailer() http.Header { return b.trailer }

func decodedLength(r *http.Request) (int64, error) {
	value, err := one(r, "X-Amz-Decoded-Content-Length")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return 0, refuse(MalformedHeader, "x-amz-decoded-content-length is missing or not a length")
	}
	return int64(n), nil
}

// hashReader fails at the end of a body whose hash is another. Where the length is known, the last bytes wait for
// the check.
type hashReader struct {
	src  io.Reader
	hash hash.Hash
	want string
	left int64 // negative if the length is not known
}

func (h *hashReader) Read(p []byte) (int, error) {
	n, err := h.src.Read(p)
	h.hash.Write(p[:n])
	h.left -= int64(n)
	if (err == io.EOF || h.left == 0) && hex.EncodeToString(h.hash.Sum(nil)) != h.want {
		return 0, refuse(BodyMismatch, "the body is not the one whose hash was signed")
	}
	return n, err
}

// limitReader fails at the first byte beyond the limit.
type limitReader struct {
	src  io.Reader
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		p = p[:l.left+1]
	}
	n, err := l.src.Read(p)
	if int64(n) > l.left {
		return int(l.left), refuse(BodyTooLarge, "the body is too large")
	}
	l.left -= int64(n)
	return n, err
}
