package organizations

import (
	"fmt"
	"net/http"

	"bawn.dev/internal/api"
)

func fail(code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// invalid says by AWS's reason what is wrong with an input.
func invalid(reason, format string, args ...any) *api.Error {
	return fail("InvalidInputException", format, args...).With("Reason", reason)
}

// constraint says by AWS's reason which rule or quota stands against a change.
func constraint(reason, format string, args ...any) *api.Error {
	return fail("ConstraintViolationException", format, args...).With("Reason", reason)
}

func noSuchAccount() *api.Error {
	return fail("AccountNotFoundException", "You specified an account that doesn't exist.")
}

func noSuchParent() *api.Error {
	return fail("ParentNotFoundException", "You specified a parent that doesn't exist.")
}

func noSuchUnit() *api.Error {
	return fail("OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.")
}

func noSuchRoot() *api.Error {
	return fail("RootNotFoundException", "You specified a root that doesn't exist.")
}

func noSuchTarget() *api.Error {
	return fail("TargetNotFoundException", "You specified a target that doesn't exist.")
}

func noSuchPolicy() *api.Error {
	return fail("PolicyNotFoundException", "You specified a policy that doesn't exist.")
}

func notEnabled() *api.Error {
	return fail("PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types.")
}

func duplicateUnit() *api.Error {
	return fail("DuplicateOrganizationalUnitException", "An OU with the same name already exists.")
}

func duplicatePolicy() *api.Error {
	return fail("DuplicatePolicyException", "A policy with the same name already exists.")
}
