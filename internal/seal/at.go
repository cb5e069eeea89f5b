package seal

import (
	"errors"
	"io"
	"sync"
)

// ReaderAt reads a sealed stream at any offset. It is safe for concurrent use if its source is.
type ReaderAt struct {
	src   io.ReaderAt
	aead  stream // copied before each use: it carries scratch
	size  int64
	last  int64     // index of the last chunk
	final []byte    // plaintext of the last chunk
	idle  sync.Pool // *rangeReader, for the buffers of ReadAt
}

// OpenAt opens the stream of sealedSize bytes in src. It authenticates the last chunk at once, so that Size and the
// end of the stream are proven before anything is read; later reads authenticate the chunks that they touch. A
// stream that was cut or extended is ErrOpen here. Errors of src are returned as they are.
func OpenAt(src io.ReaderAt, sealedSize int64, key, aad []byte) (*ReaderAt, error) {
	size, err := PlainSize(sealedSize)
	if err != nil {
		return nil, err
	}
	var header [streamHeader]byte
	if err := readFullAt(src, header[:], 0); err != nil {
		return nil, err
	}
	if header[0] != streamVersion {
		return nil, ErrOpen
	}
	s, err := newStream(key, header[1:], aad)
	if err != nil {
		return nil, err
	}
	r := &ReaderAt{src: src, aead: s, size: size, last: max(0, size-1) / ChunkSize}
	length := int(size - r.last*ChunkSize)
	r.final, err = r.chunk(r.last, make([]byte, length+chunkOverhead), make([]byte, 0, length))
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Size is the length of the plaintext in bytes, authenticated.
func (r *ReaderAt) Size() int64 { return r.size }

// ReadAt reads plaintext as io.ReaderAt says. Each call opens the chunks that it touches anew: read a longer part
// through Range.
func (r *ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("seal: negative offset")
	}
	if len(p) == 0 {
		return 0, nil
	}
	g, ok := r.idle.Get().(*rangeReader)
	if !ok {
		g = new(rangeReader)
	}
	defer r.idle.Put(g)
	g.reset(r, off, int64(len(p)))
	n, err := io.ReadFull(g, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// Range returns a reader of n bytes from offset off, fewer where the stream ends before. It opens each chunk once
// and holds one in memory. A negative off or n reads nothing.
func (r *ReaderAt) Range(off, n int64) io.Reader {
	g := new(rangeReader)
	g.reset(r, off, n)
	return g
}

// chunk opens chunk index with the given buffers, which are as long as the chunk is.
func (r *ReaderAt) chunk(index int64, sealed, plain []byte) ([]byte, error) {
	if err := readFullAt(r.src, sealed, streamHeader+index*sealedChunk); err != nil {
		return nil, err
	}
	s := r.aead
	return s.open(plain, sealed, index, index == r.last)
}

type rangeReader struct {
	r        *ReaderAt
	off, end int64
	sealed   []byte
	buf      []byte
	plain    []byte
	err      error // sticky
}

// reset begins another range with the buffers of the one before.
func (g *rangeReader) reset(r *ReaderAt, off, n int64) {
	if off < 0 || n < 0 || off > r.size {
		off, n = 0, 0
	}
	*g = rangeReader{r: r, off: off, end: off + min(n, r.size-off), sealed: g.sealed, buf: g.buf}
}

func (g *rangeReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(g.plain) == 0 {
		if g.err == nil {
			g.err = g.fill()
		}
		if g.err != nil {
			return 0, g.err
		}
	}
	n := copy(p, g.plain)
	g.plain = g.plain[n:]
	g.off += int64(n)
	return n, nil
}

func (g *rangeReader) fill() error {
	if g.off >= g.end {
		return io.EOF
	}
	index := g.off / ChunkSize
	plain := g.r.final
	if index < g.r.last {
		if g.sealed == nil {
			g.sealed = make([]byte, sealedChunk)
			g.buf = make([]byte, 0, ChunkSize)
		}
		var err error
		if plain, err = g.r.chunk(index, g.sealed, g.buf); err != nil {
			return err
		}
	}
	start := index * ChunkSize
	g.plain = plain[g.off-start : min(int64(len(plain)), g.end-start)]
	return nil
}

func readFullAt(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return ended(err)
}
