// Package sigv4 is AWS Signature Version 4, as the front door verifies it and as a client makes it: in the
// Authorization header, in the query (presigned), and over the chunks of a streamed body.
//
// It trusts the secret (or the key derived from it) and the clock that the caller passes, and that r.RequestURI,
// r.Host and r.Header are what net/http read from the connection. Everything in the request is hostile until Verify
// has returned nil: what Parse returns is only a claim, with each field bounded and strictly formed. Who controls
// the request can choose which key, region and service it claims to be signed for; the caller must look the key up,
// and must check that Region and Service are its own, or a signature that was made for one service would be taken
// by another. An attacker who sees a signed request can repeat it while its time is valid, as with AWS; he cannot
// change its method, path, query, host, a signed header, any x-amz-* header, or a body that the signature covers.
// Headers that the client did not sign (Content-Type can be one) are as untrusted as before. The access key id itself
// is not under the signature: it only selects the secret. And for every service but S3 the signature covers the
// normalized path, so that "/a/../b" and "/b" are one: a router must not tell them apart.
//
// The order is: Parse, look up the key, Verify (or VerifyWithKey), then Body or, where the body must be known for
// the signature itself (Payload is PayloadComputed), ReadBody before Verify.
//
// Sources: "Signature Version 4 signing process" in the IAM User Guide and "Authenticating Requests (AWS Signature
// Version 4)" in the Amazon S3 API Reference.
package sigv4

import (
	"time"
)

// Limits on what a request may claim. They are above what AWS issues or documents.
const (
	// MaxSkew is how far the time of a request may lie from the server's.
	MaxSkew = 15 * time.Minute
	// MaxExpires is the longest life of a presigned request.
	MaxExpires = 7 * 24 * time.Hour

	maxAuthorization = 8 << 10
	maxTarget        = 64 << 10
	maxParams        = 2000
	maxToken         = 16 << 10
	maxAccessKeyID   = 128
	maxSignedHeaders = 128
)

// Algorithm is the only one that is verified or made.
const Algorithm = "AWS4-HMAC-SHA256"

// EmptyHash is the hash of an empty body.
const EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Signature is what a request claims about its signature. Until Verify has returned nil nothing in it is true.
// A Signature is for one request and for use by one goroutine.
type Signature struct {
	AccessKeyID string
	Date        string // of the credential scope, YYYYMMDD; the same day as Time
	Region      string
	Service     string
	// Token is the session token, empty for long-lived keys.
	Token string
	// Time is when the request was signed, to the second.
	Time time.Time
	// Presigned is whether the signature is in the query; Expires is then how long after Time it is valid.
	Presigned bool
	Expires   time.Duration
	// SignedHeaders are the names of the headers that the signature covers, in lower case, ascending.
	SignedHeaders []string
	// Payload says how the signature covers the body.
	Payload PayloadKind

	contentHash string // as it stands in the canonical request; empty for PayloadComputed
	signature   string // lower-case hex
	target      target
	verified    bool
}

// ContentHash is the value of x-amz-content-sha256 that the signature covers; empty where the request states none.
func (s *Signature) ContentHash() string { return s.contentHash }

// PayloadKind says how a signature covers the body. The zero value is none of them.
type PayloadKind int

const (
	_ PayloadKind = iota
	// PayloadComputed: the request does not state a hash; the server hashes the body to verify the signature (every
	// service but S3).
	PayloadComputed
	// PayloadHash: x-amz-content-sha256 states the SHA-256 of the body.
	PayloadHash
	// PayloadUnsigned: UNSIGNED-PAYLOAD; only the transport protects the body (S3 only).
	PayloadUnsigned
	// PayloadChunks: STREAMING-AWS4-HMAC-SHA256-PAYLOAD; each chunk is signed (S3 only).
	PayloadChunks
	// PayloadChunksTrailer: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER; the trailing headers are signed too.
	PayloadChunksTrailer
	// PayloadUnsignedTrailer: STREAMING-UNSIGNED-PAYLOAD-TRAILER; chunks and trailing headers without signatures.
	PayloadUnsignedTrailer
)

var payloadNames = [...]string{
	PayloadUnsigned:        "UNSIGNED-PAYLOAD",
	PayloadChunks:          "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
	PayloadChunksTrailer:   "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
	PayloadUnsignedTrailer: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}

// String returns the value of x-amz-content-sha256 for the kinds that have a literal one.
func (k PayloadKind) String() string {
	switch {
	case k == PayloadComputed:
		return "computed"
	case k == PayloadHash:
		return "hash"
	case k > PayloadHash && int(k) < len(payloadNames):
		return payloadNames[k]
	}
	return "invalid"
}

// Streaming is whether the body is in aws-chunked form.
func (k PayloadKind) Streaming() bool { return k >= PayloadChunks && k <= PayloadUnsignedTrailer }

// Signed is whether the signature covers the body.
func (k PayloadKind) Signed() bool {
	return k == PayloadComputed || k == PayloadHash || k == PayloadChunks || k == PayloadChunksTrailer
}

// s3Dialect is whether the service signs as S3 does: the path as it was sent, and the payload named in
// x-amz-content-sha256.
func s3Dialect(service string) bool {
	switch service {
	case "s3", "s3express", "s3-object-lambda", "s3-outposts":
		return true
	}
	return false
}
