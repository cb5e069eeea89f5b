package sagemaker

import (
	"errors"
	"fmt"
	"net/http"

	"bawn.dev/internal/api"
)

func fail(code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *api.Error {
	return fail("ValidationException", format, args...)
}

// notServed refuses a part of a request by name.
func notServed(what string) *api.Error { return invalid("%s is not supported.", what) }

func notFound() *api.Error { return invalid("Requested resource not found.") }

func untrusted(role string) *api.Error {
	return invalid("Could not assume role %s. Please ensure that the role exists and allows principal '%s' to assume the role.", role, principal)
}

// A failure ends a job. It is what FailureReason says.
type failure struct {
	kind string // "AlgorithmError", "ClientError", "InternalServerError"
	text string // may hold what the workload wrote: sealed at rest, in no record
}

func (f *failure) Error() string { return f.kind + ": " + f.text }

func clientError(format string, args ...any) error {
	return &failure{"ClientError", fmt.Sprintf(format, args...)}
}

func internalError(format string, args ...any) error {
	return &failure{"InternalServerError", fmt.Sprintf(format, args...)}
}

// because turns what a service refused to do for a job into the job's failure.
// Trouble of ours stays what it is, and is tried again.
func because(err error, format string, args ...any) error {
	e, told := errors.AsType[*api.Error](err)
	switch {
	case !told, e.Server, e.Status >= 500, e.Code == "Throttling", e.Code == "ThrottlingException":
		return err
	}
	return clientError("%s: %s: %s", fmt.Sprintf(format, args...), e.Code, e.Message)
}
