package sigv4

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stream describes a body that is sent in aws-chunked form.
type Stream struct {
	// Payload is one of the three streaming kinds.
	Payload PayloadKind
	// Size is the length in bytes of the body, which must have exactly that many.
	Size int64
	// ChunkSize is the length of each chunk but the last, at least 8 KiB; zero means 64 KiB.
	ChunkSize int
	// Trailers are the names of the trailing headers, and Trailer gives their values once the body has been read.
	Trailers []string
	Trailer  func(name string) string
}

// SignStream signs a client's request and makes body its chunked body. It is for S3.
func SignStream(r *http.Request, c Credential, service, region string, now time.Time, body io.Reader, st Stream) error {
	if st.ChunkSize == 0 {
		st.ChunkSize = 64 << 10
	}
	if !st.Payload.Streaming() || st.Size < 0 || st.ChunkSize < minChunk ||
		len(st.Trailers) > 0 && (st.Payload == PayloadChunks || st.Trailer == nil) {
		return errors.New("sigv4: the stream is not one that can be sent")
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.HasPrefix(encoding, "aws-chunked") {
		r.Header.Set("Content-Encoding", "aws-chunked,"+encoding)
	} else {
		r.Header.Set("Content-Encoding", "aws-chunked")
	}
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(st.Size, 10))
	if len(st.Trailers) > 0 {
		r.Header.Set("X-Amz-Trailer", strings.Join(st.Trailers, ","))
	}
	s, err := sign(r, c, service, region, now, st.Payload.String())
	if err != nil {
		return err
	}
	e := &chunkWriter{src: body, stream: st, left: st.Size, plain: make([]byte, st.ChunkSize)}
	if st.Payload != PayloadUnsignedTrailer {
		e.chain = newChunkChain(SigningKey(c.Secret, s.Date, region, service), s)
	}
	r.Body, r.GetBody, r.ContentLength = io.NopCloser(e), nil, -1
	return nil
}

// chunkWriter encodes src as it is read.
type chunkWriter struct {
	src    io.Reader
	stream Stream
	chain  *chunkChain // nil if chunks are not signed
	left   int64
	plain  []byte
	buf    []byte
	out    []byte // what of buf is still to be handed out
	err    error
}

func (e *chunkWriter) Read(p []byte) (int, error) {
	if len(e.out) == 0 && e.err == nil {
		e.fill()
	}
	if len(e.out) == 0 {
		return 0, e.err
	}
	n := copy(p, e.out)
	e.out = e.out[n:]
	return n, nil
}

func (e *chunkWriter) fill() {
	n := int(min(e.left, int64(len(e.plain))))
	data := e.plain[:n]
	if _, err := io.ReadFull(e.src, data); err != nil {
		e.err = errors.New("sigv4: the body is shorter than its stated size")
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			e.err = err
		}
		return
	}
	e.left -= int64(n)
	out := strconv.AppendInt(e.buf[:0], int64(n), 16)
	if e.chain != nil {
		e.chain.data.Write(data)
		signature := e.chain.next()
		e.chain.previous = string(signature)
		out = append(append(out, ";"+chunkSignature...), signature...)
	}
	out = append(append(out, "\r\n"...), data...)
	if n > 0 {
		out = append(out, "\r\n"...)
	} else {
		out = e.end(out)
		e.err = io.EOF
	}
	e.buf, e.out = out, out
}

// end writes what follows the last chunk's header.
func (e *chunkWriter) end(out []byte) []byte {
	var text strings.Builder
	for _, name := range slices.Sorted(slices.Values(e.stream.Trailers)) {
		line := strings.ToLower(name) + ":" + strings.TrimSpace(e.stream.Trailer(name))
		text.WriteString(line + "\n")
		out = append(append(out, line...), "\r\n"...)
	}
	if e.stream.Payload == PayloadChunksTrailer {
		out = append(out, trailerSignature+":"...)
		out = append(append(out, e.chain.trailers(text.String())...), "\r\n"...)
	}
	return append(out, "\r\n"...)
}
