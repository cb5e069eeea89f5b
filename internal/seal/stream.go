package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
)

const (
	// ChunkSize is how many bytes of plaintext each chunk of a stream holds; the last may hold fewer.
	ChunkSize = 64 << 10
	// MaxChunks is how many chunks a stream may have (8 TiB of plaintext; the largest S3 object is 5 TiB). It
	// keeps the number of random nonces under one key far below what NIST SP 800-38D allows.
	MaxChunks = 1 << 27
	// MaxStream is the greatest length in bytes of a stream's plaintext.
	MaxStream = MaxChunks * ChunkSize

	streamVersion = 0x11
	streamHeader  = 1 + saltSize
	chunkOverhead = nonceSize + tagSize
	sealedChunk   = ChunkSize + chunkOverhead
)

var (
	errTooLong = errors.New("seal: the stream is longer than MaxStream")
	errClosed  = errors.New("seal: write to a closed stream")
)

// SealedSize returns how many bytes a stream of plain bytes of plaintext takes, or -1 if plain is negative or
// more than MaxStream.
func SealedSize(plain int64) int64 {
	if plain < 0 || plain > MaxStream {
		return -1
	}
	chunks := max(1, (plain+ChunkSize-1)/ChunkSize)
	return streamHeader + plain + chunks*chunkOverhead
}

// PlainSize is the inverse of SealedSize. It fails with ErrOpen for a length that no stream has. It computes; only
// opening the stream proves its length.
func PlainSize(sealed int64) (int64, error) {
	body := sealed - streamHeader
	if body < chunkOverhead || sealed > SealedSize(MaxStream) {
		return 0, ErrOpen
	}
	chunks := (body + sealedChunk - 1) / sealedChunk
	plain := body - chunks*chunkOverhead
	if SealedSize(plain) != sealed {
		return 0, ErrOpen
	}
	return plain, nil
}

// stream is the cipher of one stream: its derived key depends on its salt and on the caller's associated data, and
// each chunk is bound to its index and to whether it is the last.
type stream struct {
	aead cipher.AEAD
	aad  [10]byte // scratch: version, index, final
}

func newStream(key, salt, aad []byte) (stream, error) {
	bound := sha256.Sum256(aad)
	context := append(append(make([]byte, 0, saltSize+len(bound)), salt...), bound[:]...)
	aead, err := newCipher(key, "bawn.dev/seal stream v1", context)
	return stream{aead: aead}, err
}

func (s *stream) chunkAAD(index int64, final bool) []byte {
	s.aad[0] = streamVersion
	binary.BigEndian.PutUint64(s.aad[1:], uint64(index))
	s.aad[9] = 0
	if final {
		s.aad[9] = 1
	}
	return s.aad[:]
}

func (s *stream) seal(dst, plain []byte, index int64, final bool) []byte {
	return s.aead.Seal(dst, nil, plain, s.chunkAAD(index, final))
}

// open appends the plaintext of a chunk to dst.
func (s *stream) open(dst, sealed []byte, index int64, final bool) ([]byte, error) {
	// One plaintext has one form: only the empty stream has an empty chunk. (Readers cut the stream into full chunks,
	// so only a last one can be short.)
	if index >= MaxChunks || len(sealed) == chunkOverhead && index > 0 {
		return nil, ErrOpen
	}
	plain, err := s.aead.Open(dst, nil, sealed, s.chunkAAD(index, final))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// NewWriter returns a writer that seals what it is given into dst under the 32-byte key, bound to aad. It holds one
// chunk in memory. The stream is complete only when Close has returned nil; whatever an aborted writer left behind
// does not open. Close does not close dst.
func NewWriter(dst io.Writer, key, aad []byte) (io.WriteCloser, error) {
	header := make([]byte, streamHeader)
	header[0] = streamVersion
	rand.Read(header[1:])
	s, err := newStream(key, header[1:], aad)
	if err != nil {
		return nil, err
	}
	return &writer{dst: dst, stream: s, header: header, plain: make([]byte, 0, ChunkSize)}, nil
}

type writer struct {
	dst    io.Writer
	stream stream
	header []byte // until written
	plain  []byte
	sealed []byte
	index  int64
	err    error // sticky
}

func (w *writer) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && w.err == nil {
		// A full chunk waits for one more byte: only then is it known not to be the last.
		if len(w.plain) == ChunkSize {
			w.flush(false)
			continue
		}
		n := min(len(p), ChunkSize-len(w.plain))
		w.plain = append(w.plain, p[:n]...)
		p, written = p[n:], written+n
	}
	return written, w.err
}

func (w *writer) Close() error {
	if w.err == nil {
		w.flush(true)
	}
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	clear(w.plain[:cap(w.plain)])
	return nil
}

func (w *writer) flush(final bool) {
	if w.index >= MaxChunks {
		w.err = errTooLong
		return
	}
	if w.sealed == nil {
		w.sealed = make([]byte, 0, streamHeader+len(w.plain)+chunkOverhead)
	}
	out := append(w.sealed[:0], w.header...)
	w.header = nil
	out = w.stream.seal(out, w.plain, w.index, final)
	if _, err := w.dst.Write(out); err != nil {
		w.err = err
		return
	}
	w.index++
	w.plain = w.plain[:0]
}
