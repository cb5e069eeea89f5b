package server

import (
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/trail"
)

// denials are the error codes of who was not allowed, or did not prove who she is,
// beside those that say so in their names.
var denials = []string{
	"AccessForbidden", "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "IncompleteSignatureException",
	"InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken",
	"MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired", "RequestExpired", "RequestTimeTooSkewed",
	"SignatureDoesNotMatch", "UnrecognizedClientException", "InvalidIdentityToken", "ExpiredTokenError", "InvalidGrantException",
	"AuthorizationHeaderMalformed", "ForbiddenException", "InvalidClientException", "ReauthenticationRequiredException",
}

// deletesMany is the operation that succeeds also where some of what it is about was
// refused: its items say so.
const deletesMany = "DeleteObjects"

// failures are the error codes of a call, or of the things that it was about.
func failures(r *trail.Record) (codes []string) {
	if r.ErrorCode != "" {
		return []string{r.ErrorCode}
	}
	if r.EventName != deletesMany || r.AdditionalEventData == nil {
		return nil
	}
	var said struct {
		Items []struct {
			ErrorCode string `json:"errorCode"`
		} `json:"items"`
	}
	if json.Unmarshal(r.AdditionalEventData, &said) != nil {
		return []string{"AccessDenied"} // it cannot be told: show it
	}
	for _, item := range said.Items {
		if item.ErrorCode != "" {
			codes = append(codes, item.ErrorCode)
		}
	}
	return codes
}

// Denied says whether an error code is a refusal of who asked, not of what.
func Denied(code string) bool {
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
