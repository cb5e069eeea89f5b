package sigv4

import (
	"net/http"
	"slices"
	"strings"
)

// declaredTrailers reads x-amz-trailer: the names, in lower case, that must follow the last chunk.
func (s *Signature) declaredTrailers(r *http.Request) ([]string, error) {
	value, err := one(r, "X-Amz-Trailer")
	if err != nil || value == "" {
		return nil, err
	}
	if s.Payload != PayloadChunksTrailer && s.Payload != PayloadUnsignedTrailer {
		return nil, refuse(MalformedTrailer, "x-amz-trailer declares headers that this kind of body cannot have")
	}
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		name = strings.ToLower(strings.Trim(name, " \t"))
		// Only x-amz- names: a trailing header must not pass for one that net/http or a proxy acts on.
		if !headerName(name) || !strings.HasPrefix(name, "x-amz-") || name == trailerSignature ||
			slices.Contains(names, name) || len(names) == maxTrailers {
			return nil, refuse(MalformedTrailer, "x-amz-trailer is not a short list of distinct x-amz- names")
		}
		names = append(names, name)
	}
	return names, nil
}

// readTrailers reads the trailing headers up to the blank line and checks that they are the declared ones.
func (c *chunkReader) readTrailers() error {
	c.trailer = make(http.Header, len(c.trailers))
	var text strings.Builder
	for {
		line, err := c.line(maxTrailer)
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || !printable(value) {
			return refuse(MalformedTrailer, "a trailing header is not well formed")
		}
		name = strings.ToLower(name)
		if c.signed && name == trailerSignature {
			if !c.chain.accepts(c.chain.trailers(text.String()), value) {
				return refuse(Mismatch, "the signature of the trailing headers does not match")
			}
			c.signed = false
			if err := c.blank(MalformedTrailer, "bytes after the signature of the trailing headers"); err != nil {
				return err
			}
			break
		}
		i := slices.Index(c.trailers, name)
		if i < 0 {
			return refuse(MalformedTrailer, "a trailing header that x-amz-trailer does not declare, or twice")
		}
		c.trailers = slices.Delete(c.trailers, i, i+1)
		c.trailer.Set(name, value)
		text.WriteString(name + ":" + value + "\n")
	}
	switch {
	case len(c.trailers) > 0:
		return refuse(MalformedTrailer, "the trailing header "+c.trailers[0]+" is missing")
	case c.signed:
		return refuse(MalformedTrailer, "the trailing headers are not signed")
	}
	return nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
