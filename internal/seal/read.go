package seal

import "io"

// NewReader returns a reader of the plaintext that a NewWriter with the same key and aad sealed into src. It holds
// one chunk in memory and hands out only bytes whose chunk has been authenticated; a refused chunk, or an end that
// is not the sealed one, is ErrOpen. Only io.EOF means that the stream is whole: who acts on what was read before
// acts on a part. Errors of src are returned as they are.
func NewReader(src io.Reader, key, aad []byte) (io.Reader, error) {
	var header [streamHeader]byte
	if _, err := io.ReadFull(src, header[:]); err != nil {
		return nil, ended(err)
	}
	if header[0] != streamVersion {
		return nil, ErrOpen
	}
	s, err := newStream(key, header[1:], aad)
	if err != nil {
		return nil, err
	}
	return &reader{src: src, stream: s}, nil
}

type reader struct {
	src    io.Reader
	stream stream
	sealed []byte // one chunk and the first byte of the next
	held   int    // bytes of sealed already read: 0 or 1
	buf    []byte
	plain  []byte // what of buf is still to be handed out
	index  int64
	err    error // sticky
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 && r.err == nil {
		r.fill()
	}
	if len(r.plain) == 0 {
		return 0, r.err
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// fill reads the next chunk. One byte beyond it tells whether it is the last.
func (r *reader) fill() {
	if r.sealed == nil {
		r.sealed = make([]byte, sealedChunk+1)
		r.buf = make([]byte, 0, ChunkSize)
	}
	n, err := io.ReadFull(r.src, r.sealed[r.held:])
	n += r.held
	final := false
	switch err {
	case nil:
		n--
	case io.EOF, io.ErrUnexpectedEOF:
		final = true
	default:
		r.err = err
		return
	}
	if r.plain, r.err = r.stream.open(r.buf[:0], r.sealed[:n], r.index, final); r.err != nil {
		return
	}
	if final {
		r.err = io.EOF
		return
	}
	r.sealed[0], r.held = r.sealed[n], 1
	r.index++
}

// ended turns an end of the source where a stream cannot end into ErrOpen.
func ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrOpen
	}
	return err
}
