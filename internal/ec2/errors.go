package ec2

import (
	"errors"
	"fmt"

	"bawn.dev/internal/api"
)

// ErrNoVPC says that there is no such VPC, or no longer.
var ErrNoVPC = errors.New("ec2: no such VPC")

// fail is an error as EC2 words it; all of its client errors are 400.
func fail(code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Status: 400, Message: fmt.Sprintf(format, args...)}
}

// invalidValue is what a value hears that a parameter cannot have.
func invalidValue(value any, parameter, why string) *api.Error {
	return fail("InvalidParameterValue", "Value (%.100v) for parameter %s is invalid. %s", value, parameter, why)
}

func missingParameter(name string) *api.Error {
	return fail("MissingParameter", "The request must contain the parameter %s", name)
}

func inUse(id, by string) *api.Error {
	return fail("DependencyViolation", "The resource '%s' has dependencies and cannot be deleted: %s.", id, by)
}
