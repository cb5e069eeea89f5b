package logs

import (
	"fmt"
	"net/http"

	"bawn.dev/internal/api"
)

func fail(code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *api.Error {
	return fail("InvalidParameterException", format, args...)
}

func noGroup() *api.Error {
	return fail("ResourceNotFoundException", "The specified log group does not exist.")
}

func noStream() *api.Error {
	return fail("ResourceNotFoundException", "The specified log stream does not exist.")
}
