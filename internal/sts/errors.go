package sts

import (
	"errors"
	"fmt"
	"net/http"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
)

func fail(code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *api.Error { return fail("ValidationError", format, args...) }

// badToken refuses a token or assertion as such.
func badToken(message string) *api.Error { return fail("InvalidIdentityToken", "%s", message) }

func denied(message string) *api.Error {
	return &api.Error{Code: "AccessDenied", Status: http.StatusForbidden, Message: message}
}

// refused is what there is to say of a role that is not there, as of one that may
// not be assumed.
func refused(role string) *api.Error {
	return denied("Not authorized to assume " + role)
}

// malformed tells the writer of a session policy where it is wrong.
func malformed(err error) *api.Error {
	var e *policy.Error
	if errors.As(err, &e) {
		return fail("MalformedPolicyDocument", "Line %d, column %d: %s.", e.Line, e.Column, e.Message)
	}
	return fail("MalformedPolicyDocument", "The policy could not be read.")
}
