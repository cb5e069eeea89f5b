package identity

import (
	"fmt"
	"net/http"

	"bawn.dev/internal/api"
)

func notFound(format string, args ...any) *api.Error {
	return &api.Error{Code: "ResourceNotFoundException", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// absent says that the directory has no such thing: USER, GROUP, GROUP_MEMBERSHIP
// or IDENTITY_STORE. The id may be unknown.
func absent(kind, id string) *api.Error {
	e := notFound("%s not found.", kind)
	e.With("ResourceType", kind)
	if id != "" {
		e.With("ResourceId", id)
	}
	return e
}

func conflict(format string, args ...any) *api.Error {
	return &api.Error{Code: "ConflictException", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// taken says that what must be unique is another's.
func taken(what string) *api.Error {
	return conflict("Duplicate %s", what).With("Reason", "UNIQUENESS_CONSTRAINT_VIOLATION")
}

func invalid(format string, args ...any) *api.Error {
	return &api.Error{Code: "ValidationException", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func tooMany(format string, args ...any) *api.Error {
	return &api.Error{Code: "ServiceQuotaExceededException", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}
