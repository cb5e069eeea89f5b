package api

import (
	"errors"
	"net/http"

	"bawn.dev/internal/sigv4"
	"bawn.dev/internal/wire"
)

// errScope says that a signature was made for another service or region.
var errScope = errors.New("the credential is scoped to another service or region")

// asError is for errors that hide has already made fit for the world.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: wire.CodeInternalFailure, Status: http.StatusInternalServerError, Server: true, Message: "An internal error occurred."}
}

// denied is AWS's refusal. Package wire puts it into the service's own words.
func denied(reason string) *Error {
	return &Error{Code: wire.CodeAccessDenied, Status: http.StatusForbidden, Message: reason}
}

// authenticationError says why a caller was not recognised, and nothing about
// whether a key exists that did not sign correctly.
func authenticationError(err error, service string) *Error {
	const forbidden = http.StatusForbidden
	switch {
	case errors.Is(err, ErrExpired):
		return &Error{Code: wire.CodeExpiredToken, Status: forbidden, Message: "The security token included in the request is expired"}
	case errors.Is(err, ErrGone):
		return &Error{Code: wire.CodeInvalidClientToken, Status: forbidden, Message: "The security token included in the request is invalid."}
	case errors.Is(err, errScope):
		return &Error{Code: wire.CodeSignatureMismatch, Status: forbidden, Message: "Credential should be scoped to a valid region and service."}
	}
	var e *sigv4.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Reason {
	case sigv4.Unsigned:
		return &Error{Code: wire.CodeMissingAuthentication, Status: forbidden, Message: "Request is missing Authentication Token"}
	case sigv4.Mismatch:
		return &Error{Code: wire.CodeSignatureMismatch, Status: forbidden, Message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."}
	case sigv4.Skewed:
		return &Error{Code: wire.CodeTimeSkewed, Status: forbidden, Message: e.Error()}
	case sigv4.Expired:
		return &Error{Code: wire.CodeRequestExpired, Status: forbidden, Message: e.Error()}
	case sigv4.BodyTooLarge:
		return &Error{Code: wire.CodeTooLarge, Status: http.StatusRequestEntityTooLarge, Message: e.Error()}
	default:
		return &Error{Code: e.Code(service), Status: http.StatusBadRequest, Message: e.Error()}
	}
}
