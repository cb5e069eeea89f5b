package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// unreserved are the bytes of RFC 3986 that are never percent-encoded.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

const upperhex = "0123456789ABCDEF"

func appendEscapedByte(dst []byte, c byte) []byte {
	if unreserved(c) {
		return append(dst, c)
	}
	return append(dst, '%', upperhex[c>>4], upperhex[c&15])
}

func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		dst = appendEscapedByte(dst, s[i])
	}
	return dst
}

// appendPathAsSent is S3's canonical path: each byte encoded once, nothing normalized. Octets are brought to their
// one canonical spelling (an encoded unreserved byte is decoded, a bare reserved one encoded), because clients and
// proxies differ in it; %2F stays apart from '/', since they name different keys.
func appendPathAsSent(dst []byte, path string) ([]byte, bool) {
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch c {
		case '/':
			dst = append(dst, c)
		case '%':
			b, ok := unhex(path, i)
			if !ok {
				return nil, false
			}
			dst = appendEscapedByte(dst, b)
			i += 2
		default:
			dst = appendEscapedByte(dst, c)
		}
	}
	return dst, true
}

// appendPathNormalized is the canonical path of every other service: empty and dot segments removed as in RFC 3986,
// and what the client had encoded encoded once more.
func appendPathNormalized(dst []byte, path string) []byte {
	start := len(dst)
	dst = append(dst, '/')
	rest := path
	for rest != "" {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		switch segment {
		case "", ".":
		case "..":
			if cut := strings.LastIndexByte(string(dst[start:len(dst)-1]), '/'); cut >= 0 {
				dst = dst[:start+cut+1]
			}
		default:
			dst = append(appendEscaped(dst, segment), '/')
		}
	}
	// Every segment was ended with a slash; the last keeps it only if the client wrote one.
	if len(dst)-start > 1 && !strings.HasSuffix(path, "/") {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendQuery writes the parameters, encoded and then sorted by name and value, without the signature itself.
func appendQuery(dst []byte, query []param, presigned bool) []byte {
	if len(query) == 0 {
		return dst
	}
	encoded := make([]param, 0, len(query))
	for _, p := range query {
		if presigned && p.name == paramSignature {
			continue
		}
		encoded = append(encoded, param{escape(p.name), escape(p.value)})
	}
	slices.SortFunc(encoded, func(a, b param) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range encoded {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, p.name...)
		dst = append(dst, '=')
		dst = append(dst, p.value...)
	}
	return dst
}

func escape(s string) string {
	for i := range len(s) {
		if !unreserved(s[i]) {
			return string(appendEscaped(make([]byte, 0, len(s)+16), s))
		}
	}
	return s
}

// hostOf is the Host header: net/http keeps it apart.
func hostOf(r *http.Request) string {
	if r.Host == "" && r.URL != nil {
		return r.URL.Host
	}
	return r.Host
}

// headerValues finds any header but the host by its lower-case name; net/http moves some of them out of r.Header.
func headerValues(r *http.Request, name string) []string {
	if name == "transfer-encoding" {
		return r.TransferEncoding
	}
	// The canonical key, as http.CanonicalHeaderKey makes it of a name that is a token, without its allocation.
	var buf [64]byte
	key := append(buf[:0], name...)
	for i, c := range key {
		if 'a' <= c && c <= 'z' && (i == 0 || key[i-1] == '-') {
			key[i] = c - 'a' + 'A'
		}
	}
	values := r.Header[string(key)]
	if len(values) == 0 && name == "content-length" && r.ContentLength >= 0 {
		return []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	return values
}

// appendHeader writes one canonical header line: values trimmed, runs of blanks made one space, joined with commas.
func appendHeader(dst []byte, name string, values []string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ':')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		v = strings.Trim(v, " \t")
		for j := range len(v) {
			c := v[j]
			if c == '\t' {
				c = ' '
			}
			if c == ' ' && (v[j-1] == ' ' || v[j-1] == '\t') {
				continue
			}
			dst = append(dst, c)
		}
	}
	return append(dst, '\n')
}

// appendCanonical writes the canonical request. Fields of s say what is covered.
func (s *Signature) appendCanonical(dst []byte, r *http.Request, payloadHash string) ([]byte, error) {
	dst = append(dst, r.Method...)
	dst = append(dst, '\n')
	if s.target.path == "" {
		dst = append(dst, '/')
	} else if s3Dialect(s.Service) {
		var ok bool
		if dst, ok = appendPathAsSent(dst, s.target.path); !ok {
			return nil, refuse(MalformedRequest, "the path has a broken percent-encoding")
		}
	} else {
		dst = appendPathNormalized(dst, s.target.path)
	}
	dst = append(dst, '\n')
	dst = appendQuery(dst, s.target.query, s.Presigned)
	dst = append(dst, '\n')
	for _, name := range s.SignedHeaders {
		if name == "host" {
			dst = appendHeader(dst, name, []string{hostOf(r)})
			continue
		}
		dst = appendHeader(dst, name, headerValues(r, name))
	}
	dst = append(dst, '\n')
	for i, name := range s.SignedHeaders {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(dst, name...)
	}
	dst = append(dst, '\n')
	return append(dst, payloadHash...), nil
}
