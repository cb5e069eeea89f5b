package signin

import (
	"fmt"
	"net/http"

	"bawn.dev/internal/api"
)

// statuses of the sign-in API's errors, as its model has them.
var statuses = map[string]int{
	"ValidationException": http.StatusBadRequest, "ThrottlingException": http.StatusTooManyRequests,
	"UnauthorizedException": http.StatusUnauthorized, "AccessDeniedException": http.StatusForbidden,
	"ResourceNotFoundException": http.StatusNotFound, "ConflictException": http.StatusConflict,
	"ServiceQuotaExceededException": http.StatusPaymentRequired, "ReauthenticationRequiredException": http.StatusForbidden,
}

func fail(code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Status: statuses[code], Message: fmt.Sprintf(format, args...)}
}

func tooFast(why string) *api.Error { return fail("ThrottlingException", "%s", why) }

func conflict(why string) *api.Error { return fail("ConflictException", "%s", why) }

// over is all that a flow says which cannot be gone on with.
func over() *api.Error {
	return fail("AccessDeniedException", "This sign-in is over: it took too long, was used already, or was begun elsewhere. Please begin again.")
}

// gone is all that a session says which is not, or no longer, one.
func gone() *api.Error {
	return fail("UnauthorizedException", "Session token not found or invalid")
}
