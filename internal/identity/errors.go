package identity

import (
	"fmt"
	"net/http"

	"bawn.dev/internal/api"
)

func notFound(format string, args ...any) *api.Error {
	return &api.Error{Code: "ResourceNotFoundException", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) *api.Error {
	return &api.Error{Code: "ConflictException", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *api.Error {
	return &api.Error{Code: "ValidationException", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func tooMany(format string, args ...any) *api.Error {
	return &api.Error{Code: "ServiceQuotaExceededException", Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}
