package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"io"
)

// chunkChain computes the signature of each chunk over the one before it, beginning with the request's.
type chunkChain struct {
	mac      hash.Hash
	data     hash.Hash // of the chunk so far
	scope    string    // time and scope, a line each
	previous string
}

func newChunkChain(key []byte, s *Signature) *chunkChain {
	scope := append(s.Time.AppendFormat(nil, timeFormat), '\n')
	return &chunkChain{
		mac:      hmac.New(sha256.New, key),
		data:     sha256.New(),
		scope:    string(append(s.appendScope(scope), '\n')),
		previous: s.signature,
	}
}

// next returns the signature of the chunk that was written to data.
func (c *chunkChain) next() []byte {
	return c.sign("AWS4-HMAC-SHA256-PAYLOAD\n", EmptyHash+"\n")
}

// trailers returns the signature of the trailing headers, one "name:value\n" each.
func (c *chunkChain) trailers(text string) []byte {
	io.WriteString(c.data, text)
	return c.sign("AWS4-HMAC-SHA256-TRAILER\n", "")
}

func (c *chunkChain) sign(kind, before string) []byte {
	text := make([]byte, 0, 384)
	text = append(text, kind...)
	text = append(text, c.scope...)
	text = append(text, c.previous...)
	text = append(text, '\n')
	text = append(text, before...)
	var sum [sha256.Size]byte
	text = hex.AppendEncode(text, c.data.Sum(sum[:0]))
	c.data.Reset()
	c.mac.Reset()
	c.mac.Write(text)
	return hex.AppendEncode(make([]byte, 0, 2*sha256.Size), c.mac.Sum(sum[:0]))
}

// accepts compares in constant time and moves the chain on.
func (c *chunkChain) accepts(computed []byte, claimed string) bool {
	c.previous = string(computed)
	return subtle.ConstantTimeCompare(computed, []byte(claimed)) == 1
}
