package server

import "strings"

// denials are the error codes of who was not allowed, or did not prove who she is,
// beside those that say so in their names.
var denials = []string{
	"AccessForbidden", "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "IncompleteSignatureException",
	"InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken",
	"MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired", "RequestExpired", "RequestTimeTooSkewed",
	"SignatureDoesNotMatch", "UnrecognizedClientException", "InvalidIdentityToken", "ExpiredTokenError", "InvalidGrantException",
}

// denied says whether an error code is a refusal of who asked, not of what.
func denied(code string) bool {
	if strings.Contains(code, "AccessDenied") || strings.Contains(code, "Unauthorized") {
		return true
	}
	for _, c := range denials {
		if strings.EqualFold(code, c) {
			return true
		}
	}
	return false
}
