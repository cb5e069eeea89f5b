package scim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"bawn.dev/internal/api"
)

// A fault is a refusal in SCIM's words (RFC 7644, section 3.12).
type fault struct {
	status int
	kind   string // scimType; may be empty
	detail string
}

// Error implements error.
func (f *fault) Error() string { return f.detail }

func faultf(status int, kind, format string, args ...any) *fault {
	return &fault{status, kind, fmt.Sprintf(format, args...)}
}

func badSyntax(format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, "invalidSyntax", format, args...)
}

func badValue(format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, "invalidValue", format, args...)
}

func badFilter(format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, "invalidFilter", format, args...)
}

func badPath(format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, "invalidPath", format, args...)
}

func immutable(name string) *fault {
	return faultf(http.StatusBadRequest, "mutability", "%s cannot be changed.", name)
}

func tooMany(format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, "tooMany", format, args...)
}

func notFound(id string) *fault {
	return faultf(http.StatusNotFound, "", "Resource %s not found.", id)
}

// missing says whether the directory has no such thing.
func missing(err error) bool { return hasCode(err, "ResourceNotFoundException") }

// clashes says whether something is there already.
func clashes(err error) bool { return hasCode(err, "ConflictException") }

func hasCode(err error, code string) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Code == code
}

// asFault says in SCIM's words what the directory refused. What is not meant for the
// world is none of them: nil.
func asFault(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		return nil
	}
	switch e.Code {
	case "ResourceNotFoundException":
		return faultf(http.StatusNotFound, "", "%s", e.Message)
	case "ConflictException":
		return faultf(http.StatusConflict, "uniqueness", "%s", e.Message)
	case "ValidationException":
		return badValue("%s", e.Message)
	case "ServiceQuotaExceededException":
		return faultf(http.StatusConflict, "", "%s", e.Message)
	case "AccessDenied":
		return faultf(http.StatusForbidden, "", "%s", e.Message)
	case "ServiceUnavailable":
		return faultf(http.StatusServiceUnavailable, "", "%s", e.Message)
	}
	return nil
}

func (f *fault) body() object {
	o := object{"schemas": []any{"urn:ietf:params:scim:api:messages:2.0:Error"}, "status": strconv.Itoa(f.status), "detail": f.detail}
	if f.kind != "" {
		o["scimType"] = f.kind
	}
	return o
}
