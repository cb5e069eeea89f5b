package sigv4

// Reason is why a request was refused: what a caller maps to an AWS error code.
type Reason int

const (
	_ Reason = iota
	// Unsigned: no signature in header or query (MissingAuthenticationToken; S3: AccessDenied).
	Unsigned
	// Ambiguous: more than one signature or Authorization header (S3: InvalidArgument; else IncompleteSignature).
	Ambiguous
	// Unsupported: an algorithm other than AWS4-HMAC-SHA256 (S3: InvalidRequest; else IncompleteSignature).
	Unsupported
	// MalformedHeader: the Authorization header, or a header that it needs, is missing a part or is not well formed
	// (S3: AuthorizationHeaderMalformed; else IncompleteSignature).
	MalformedHeader
	// MalformedQuery: the same for a presigned request (S3: AuthorizationQueryParametersError; else
	// IncompleteSignature).
	MalformedQuery
	// MalformedRequest: the target cannot be read as a path and a query (S3: InvalidURI; else
	// SignatureDoesNotMatch).
	MalformedRequest
	// HeaderNotSigned: a header that must be signed is not (S3: AccessDenied; else SignatureDoesNotMatch).
	HeaderNotSigned
	// PayloadNotAllowed: x-amz-content-sha256 is missing, not well formed, or of a kind that is not allowed here
	// (S3: InvalidRequest; else IncompleteSignature).
	PayloadNotAllowed
	// Skewed: the request's time is too far from the server's (S3: RequestTimeTooSkewed; EC2: RequestExpired; else
	// SignatureDoesNotMatch).
	Skewed
	// Expired: a presigned request is past its life (S3: AccessDenied; EC2: RequestExpired; else
	// SignatureDoesNotMatch).
	Expired
	// Mismatch: the signature of the request, of a chunk or of the trailing headers is not the right one
	// (SignatureDoesNotMatch).
	Mismatch
	// BodyMismatch: the body is not the one whose hash was signed (XAmzContentSHA256Mismatch).
	BodyMismatch
	// BodyTooLarge: the body is longer than the caller allows (S3: EntityTooLarge; else RequestEntityTooLarge).
	BodyTooLarge
	// IncompleteBody: the body ended early, or is not as long as x-amz-decoded-content-length says
	// (IncompleteBody).
	IncompleteBody
	// MalformedChunk: the aws-chunked form is broken (InvalidChunkSizeError for a size, else InvalidRequest).
	MalformedChunk
	// MalformedTrailer: the trailing headers are not the declared ones, or not well formed (MalformedTrailerError).
	MalformedTrailer
)

// Error is every refusal of this package. Detail is for the person who signed the request: it names parts of the
// request, never a secret, a token or an expected signature.
type Error struct {
	Reason Reason
	Detail string
}

func (e *Error) Error() string { return "sigv4: " + e.Detail }

// Is compares reasons, so that errors.Is(err, ErrUnsigned) holds for any unsigned request.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// ErrUnsigned is what Parse returns when the request carries no AWS signature at all.
var ErrUnsigned error = &Error{Unsigned, "the request is not signed"}

func refuse(reason Reason, detail string) error { return &Error{reason, detail} }

// Code returns the error code that AWS answers with, in the words of S3, EC2, or (for any other service) of the
// query protocol; the JSON protocols append "Exception" or have words of their own.
func (e *Error) Code(service string) string {
	s3, ec2 := s3Dialect(service), service == "ec2"
	pick := func(ifS3, other string) string {
		if s3 {
			return ifS3
		}
		return other
	}
	switch e.Reason {
	case Unsigned:
		return pick("AccessDenied", "MissingAuthenticationToken")
	case Ambiguous:
		return pick("InvalidArgument", "IncompleteSignature")
	case Unsupported, PayloadNotAllowed:
		return pick("InvalidRequest", "IncompleteSignature")
	case MalformedHeader:
		return pick("AuthorizationHeaderMalformed", "IncompleteSignature")
	case MalformedQuery:
		return pick("AuthorizationQueryParametersError", "IncompleteSignature")
	case MalformedRequest:
		return pick("InvalidURI", "SignatureDoesNotMatch")
	case HeaderNotSigned:
		return pick("AccessDenied", "SignatureDoesNotMatch")
	case Skewed, Expired:
		if ec2 {
			return "RequestExpired"
		}
		if e.Reason == Skewed {
			return pick("RequestTimeTooSkewed", "SignatureDoesNotMatch")
		}
		return pick("AccessDenied", "SignatureDoesNotMatch")
	case BodyMismatch:
		return pick("XAmzContentSHA256Mismatch", "SignatureDoesNotMatch")
	case BodyTooLarge:
		return pick("EntityTooLarge", "RequestEntityTooLarge")
	case IncompleteBody:
		return "IncompleteBody"
	case MalformedChunk:
		return "InvalidChunkSizeError"
	case MalformedTrailer:
		return "MalformedTrailerError"
	}
	return "SignatureDoesNotMatch"
}
