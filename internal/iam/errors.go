package iam

import (
	"errors"
	"fmt"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
)

// fail is an error in AWS's words. Its status is the API model's.
func fail(code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *api.Error { return fail("ValidationError", format, args...) }

func noSuch(k kind, name string) *api.Error {
	return fail("NoSuchEntity", "The %s with name %s cannot be found.", k.noun(), name)
}

func noSuchInline(k kind, name string) *api.Error {
	return fail("NoSuchEntity", "The %s policy with name %s cannot be found.", k.noun(), name)
}

func noSuchPolicy(arn string) *api.Error {
	return fail("NoSuchEntity", "Policy %s was not found.", arn)
}

func noSuchAccessKey(id string) *api.Error {
	return fail("NoSuchEntity", "The Access Key with id %s cannot be found.", id)
}

func exceeded(quota string, limit int) *api.Error {
	return fail("LimitExceeded", "Cannot exceed quota for %s: %d", quota, limit)
}

// malformed tells the writer of a policy where it is wrong.
func malformed(err error) *api.Error {
	var e *policy.Error
	if errors.As(err, &e) {
		return fail("MalformedPolicyDocument", "Line %d, column %d: %s.", e.Line, e.Column, e.Message)
	}
	return fail("MalformedPolicyDocument", "The policy could not be read.")
}
