package s3

import (
	"errors"

	"bawn.dev/internal/api"
)

func fail(status int, code, message string) *api.Error {
	return &api.Error{Code: code, Status: status, Message: message}
}

func badArgument(name, value, message string) *api.Error {
	e := fail(400, "InvalidArgument", message)
	e.Fields = map[string]string{"ArgumentName": name, "ArgumentValue": value}
	return e
}

func badRequest(message string) *api.Error { return fail(400, "InvalidRequest", message) }

// notServed refuses something of S3 by name, rather than ignoring it.
func notServed(what string) *api.Error {
	return fail(501, "NotImplemented", what+" is not implemented.")
}

func accessDenied() *api.Error { return fail(403, "AccessDenied", "Access Denied") }

func noSuchBucket(name string) *api.Error {
	e := fail(404, "NoSuchBucket", "The specified bucket does not exist")
	e.Fields = map[string]string{"BucketName": name}
	return e
}

func noSuchKey(key string) *api.Error {
	e := fail(404, "NoSuchKey", "The specified key does not exist.")
	e.Fields = map[string]string{"Key": key}
	return e
}

func preconditionFailed(condition string) *api.Error {
	e := fail(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	e.Fields = map[string]string{"Condition": condition}
	return e
}

// fromKMS says in S3's words why the key service refused: a refusal is a refusal
// of the request, anything else carries the name of the service.
func fromKMS(err error) error {
	e, ok := errors.AsType[*api.Error](err)
	switch {
	case !ok:
		return err
	case e.Code == "AccessDenied" || e.Code == "AccessDeniedException":
		return fail(403, "AccessDenied", e.Message)
	case e.Status >= 500:
		return e
	}
	return fail(400, "KMS."+e.Code, e.Message)
}
