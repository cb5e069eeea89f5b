package sigv4

import (
	"net/http"
	"strings"
	"testing"
)

// TestCodes: the codes are those that AWS documents, in the words of each service.
func TestCodes(t *testing.T) {
	for _, c := range []struct {
		reason        Reason
		s3, ec2, rest string
	}{
		{Unsigned, "AccessDenied", "MissingAuthenticationToken", "MissingAuthenticationToken"},
		{Ambiguous, "InvalidArgument", "IncompleteSignature", "IncompleteSignature"},
		{MalformedHeader, "AuthorizationHeaderMalformed", "IncompleteSignature", "IncompleteSignature"},
		{MalformedQuery, "AuthorizationQueryParametersError", "IncompleteSignature", "IncompleteSignature"},
		{HeaderNotSigned, "AccessDenied", "SignatureDoesNotMatch", "SignatureDoesNotMatch"},
		{Skewed, "RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch"},
		{Expired, "AccessDenied", "RequestExpired", "SignatureDoesNotMatch"},
		{Mismatch, "SignatureDoesNotMatch", "SignatureDoesNotMatch", "SignatureDoesNotMatch"},
		{BodyMismatch, "XAmzContentSHA256Mismatch", "SignatureDoesNotMatch", "SignatureDoesNotMatch"},
		{MalformedTrailer, "MalformedTrailerError", "MalformedTrailerError", "MalformedTrailerError"},
		{0, "SignatureDoesNotMatch", "SignatureDoesNotMatch", "SignatureDoesNotMatch"},
	} {
		e := &Error{Reason: c.reason}
		if s3, ec2, rest := e.Code("s3"), e.Code("ec2"), e.Code("kms"); s3 != c.s3 || ec2 != c.ec2 || rest != c.rest {
			t.Errorf("reason %d: %s, %s, %s", c.reason, s3, ec2, rest)
		}
	}
}

// TestErrorsAreBounded: what a stranger sends must not fill a log through an error.
func TestErrorsAreBounded(t *testing.T) {
	r := &http.Request{Method: "GET", Host: "kms.example.com", RequestURI: "/", Header: http.Header{"X-Amz-Date": {goodDate},
		"Authorization":                         {authorization(goodScope, "host;x-amz-date", EmptyHash)},
		"X-Amz-" + strings.Repeat("a", 100_000): {"x"}}}
	if _, err := Parse(r); !errorIs(err, HeaderNotSigned) || len(err.Error()) > 300 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}
