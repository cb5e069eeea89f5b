package sigv4

import (
	"bufio"
	"io"
	"net/http"
	"strings"
)

const (
	// minChunk is the least size of a chunk that is not the last one, as with S3: smaller ones would let a client
	// make the server work out of proportion to what it sends.
	minChunk     = 8 << 10
	maxChunkLine = 128
	maxTrailers  = 16
	maxTrailer   = 2 << 10 // one line

	trailerSignature = "x-amz-trailer-signature"
	chunkSignature   = "chunk-signature="
)

// chunkReader decodes the aws-chunked form:
//
//	<size in hex>[;chunk-signature=<hex>] CRLF <bytes> CRLF ... 0[;chunk-signature=<hex>] CRLF
//	[<name>:<value> CRLF ...] [x-amz-trailer-signature:<hex> CRLF] CRLF
//
// It hands out a chunk's bytes as they arrive, so that its memory does not depend on what the client calls a chunk,
// and refuses a wrong signature at the chunk's end. The body's last bytes wait until all that follows is checked.
type chunkReader struct {
	src      *bufio.Reader
	chain    *chunkChain // nil if chunks are not signed
	trailers []string    // declared and not yet arrived; nil if the form has none
	signed   bool        // the trailing headers are
	trailing bool        // the form has trailing headers
	trailer  http.Header

	left      int64 // of the decoded length
	chunk     int64 // left of this chunk
	signature string
	short     bool // a chunk under minChunk was seen: the last must follow
	err       error
}

func (s *Signature) newChunkReader(src io.Reader, key []byte, size int64, trailers []string) *chunkReader {
	c := &chunkReader{
		src:      bufio.NewReaderSize(src, 4<<10),
		trailers: trailers,
		trailing: s.Payload != PayloadChunks,
		signed:   s.Payload == PayloadChunksTrailer,
		left:     size,
	}
	if s.Payload != PayloadUnsignedTrailer {
		c.chain = newChunkChain(key, s)
	}
	return c
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, c.err
	}
	if c.err == nil && c.chunk == 0 {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.src.Read(p[:min(int64(len(p)), c.chunk)])
	if c.chain != nil {
		c.chain.data.Write(p[:n])
	}
	c.chunk -= int64(n)
	c.left -= int64(n)
	if c.err = early(err); c.err == nil && c.chunk == 0 {
		c.err = c.endChunk()
		if c.err == nil && c.left == 0 {
			c.err = c.next()
		}
	}
	if c.err != nil && c.err != io.EOF {
		return 0, c.err
	}
	return n, c.err
}

// next reads a chunk's header, and after the last chunk everything that follows. It returns io.EOF at the end.
func (c *chunkReader) next() error {
	line, err := c.line(maxChunkLine)
	if err != nil {
		return err
	}
	digits, extension, extended := strings.Cut(line, ";")
	if c.chain != nil {
		c.signature = strings.TrimPrefix(extension, chunkSignature)
		if len(c.signature) != 64 || !lowerHex(c.signature) || len(extension) != len(chunkSignature)+64 {
			return refuse(MalformedChunk, "a chunk without a well-formed chunk-signature")
		}
	} else if extended {
		return refuse(MalformedChunk, "a chunk extension in a body without signed chunks")
	}
	size, ok := chunkSize(digits)
	switch {
	case !ok:
		return refuse(MalformedChunk, "a chunk size is not a hexadecimal number")
	case size > c.left:
		return refuse(IncompleteBody, "the body is longer than x-amz-decoded-content-length")
	case size > 0 && c.short:
		return refuse(MalformedChunk, "only the last chunk may have fewer than 8192 bytes")
	case size > 0:
		c.chunk, c.short = size, size < minChunk
		return nil
	case c.left > 0:
		return refuse(IncompleteBody, "the body is shorter than x-amz-decoded-content-length")
	}
	return c.finish()
}

// chunkSize reads 1 to 16 hexadecimal digits.
func chunkSize(digits string) (int64, bool) {
	if len(digits) < 1 || len(digits) > 16 {
		return 0, false
	}
	var size uint64
	for i := range len(digits) {
		d, ok := nibble(digits[i])
		if !ok {
			return 0, false
		}
		size = size<<4 | uint64(d)
	}
	return int64(size), int64(size) >= 0
}

func (c *chunkReader) endChunk() error {
	if err := c.verifyChunk(); err != nil {
		return err
	}
	return c.blank(MalformedChunk, "a chunk does not end where its size says")
}

func (c *chunkReader) verifyChunk() error {
	if c.chain == nil || c.chain.accepts(c.chain.next(), c.signature) {
		return nil
	}
	return refuse(Mismatch, "the signature of a chunk does not match")
}

// finish checks the last chunk, the trailing headers and that nothing follows.
func (c *chunkReader) finish() error {
	if err := c.verifyChunk(); err != nil {
		return err
	}
	if c.trailing {
		if err := c.readTrailers(); err != nil {
			return err
		}
	} else if err := c.blank(MalformedChunk, "the last chunk is not empty"); err != nil {
		return err
	}
	if _, err := c.src.ReadByte(); err == nil {
		return refuse(MalformedChunk, "bytes after the end of the body")
	} else if err != io.EOF {
		return early(err)
	}
	return io.EOF
}

func (c *chunkReader) blank(reason Reason, detail string) error {
	var crlf [2]byte
	if _, err := io.ReadFull(c.src, crlf[:]); err != nil {
		return early(err)
	}
	if crlf != [2]byte{'\r', '\n'} {
		return refuse(reason, detail)
	}
	return nil
}

// line reads up to CRLF, at most limit bytes.
func (c *chunkReader) line(limit int) (string, error) {
	line := make([]byte, 0, maxChunkLine)
	for len(line) <= limit+2 {
		b, err := c.src.ReadByte()
		if err != nil {
			return "", early(err)
		}
		line = append(line, b)
		if b == '\n' {
			text, ok := strings.CutSuffix(string(line), "\r\n")
			if !ok {
				break
			}
			return text, nil
		}
	}
	return "", refuse(MalformedChunk, "a line of the chunked body is too long or does not end in CRLF")
}

// early turns the end of the source inside the form into its own error.
func early(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return refuse(IncompleteBody, "the body ended early")
	}
	return err
}
