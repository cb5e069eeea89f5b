package cloudtrail

import (
	"fmt"
	"net/http"

	"bawn.dev/internal/api"
)

func fail(code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func noTrail(name, account string) *api.Error {
	return fail("TrailNotFoundException", "Unknown trail: %s for the user: %s", name, account)
}

func badName(format string, args ...any) *api.Error {
	return fail("InvalidTrailNameException", format, args...)
}

func badSelectors(format string, args ...any) *api.Error {
	return fail("InvalidEventSelectorsException", format, args...)
}
