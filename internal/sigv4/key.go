package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// timeFormat is ISO 8601 basic, always UTC.
const timeFormat = "20060102T150405Z"

const scopeEnd = "aws4_request"

// SigningKey derives the key that signs requests of one day (YYYYMMDD), region and service. It is as secret as the
// secret itself, for that day, region and service; callers may cache it. In FIPS mode an HMAC key has 14 bytes or more: a
// secret has 10 or more (AWS's have 40).
func SigningKey(secret, date, region, service string) []byte {
	key := mac([]byte("AWS4"+secret), date)
	key = mac(key, region)
	key = mac(key, service)
	return mac(key, scopeEnd)
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(make([]byte, 0, sha256.Size))
}

// appendScope writes the credential scope.
func (s *Signature) appendScope(dst []byte) []byte {
	for _, part := range [...]string{s.Date, s.Region, s.Service} {
		dst = append(dst, part...)
		dst = append(dst, '/')
	}
	return append(dst, scopeEnd...)
}

// sign computes the signature of a canonical request, in hex.
func (s *Signature) sign(key, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	text := make([]byte, 0, 192)
	text = append(text, Algorithm+"\n"...)
	text = s.Time.AppendFormat(text, timeFormat)
	text = append(text, '\n')
	text = s.appendScope(text)
	text = append(text, '\n')
	text = hex.AppendEncode(text, sum[:])
	h := hmac.New(sha256.New, key)
	h.Write(text)
	var out [sha256.Size]byte
	return hex.AppendEncode(make([]byte, 0, 2*sha256.Size), h.Sum(out[:0]))
}
