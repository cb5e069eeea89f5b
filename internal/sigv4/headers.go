package sigv4

import (
	"net/http"
	"slices"
	"strings"
)

// checkHeaders refuses a request with a signed header that is not there, or with one that had to be signed and is
// not: the host, and every x-amz-* header (x-amz-date is one), for these change what a request means.
func (s *Signature) checkHeaders(r *http.Request) error {
	for _, name := range s.SignedHeaders {
		if name != "host" && len(headerValues(r, name)) == 0 {
			return refuse(HeaderNotSigned, "the signed header "+name+" is not in the request")
		}
	}
	if !s.covers("host") {
		return refuse(HeaderNotSigned, "the host is not a signed header")
	}
	for name := range r.Header {
		if len(name) < 6 || !strings.EqualFold(name[:6], "X-Amz-") {
			continue
		}
		if lower := strings.ToLower(name); !s.covers(lower) {
			// The name is the client's and may be of any length.
			return refuse(HeaderNotSigned, "the header "+lower[:min(len(lower), 64)]+" is in the request and not signed")
		}
	}
	return nil
}

func (s *Signature) covers(name string) bool {
	_, found := slices.BinarySearch(s.SignedHeaders, name)
	return found
}

// readPayload decides how the signature covers the body. fromQuery is a presigned request's X-Amz-Content-Sha256.
func (s *Signature) readPayload(r *http.Request, fromQuery string) error {
	value, err := one(r, "X-Amz-Content-Sha256")
	if err != nil {
		return err
	}
	if fromQuery != "" {
		if value != "" && value != fromQuery {
			return refuse(PayloadNotAllowed, "header and query state different values of X-Amz-Content-Sha256")
		}
		value = fromQuery
	}
	s3 := s3Dialect(s.Service)
	if value == "" {
		switch {
		case !s3:
			s.Payload = PayloadComputed
		case s.Presigned:
			s.Payload, s.contentHash = PayloadUnsigned, payloadNames[PayloadUnsigned]
		default:
			return refuse(PayloadNotAllowed, "the header x-amz-content-sha256 is missing")
		}
		return nil
	}
	s.contentHash = value
	if len(value) == 64 && lowerHex(value) {
		s.Payload = PayloadHash
		return nil
	}
	for kind := PayloadUnsigned; kind <= PayloadUnsignedTrailer; kind++ {
		if value != payloadNames[kind] {
			continue
		}
		if !s3 || s.Presigned && kind.Streaming() {
			return refuse(PayloadNotAllowed, value+" is not allowed here")
		}
		s.Payload = kind
		return nil
	}
	return refuse(PayloadNotAllowed, "x-amz-content-sha256 is neither a SHA-256 in lower-case hex nor a known value")
}
