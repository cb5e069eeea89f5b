package accessgrants

import (
	"fmt"

	"bawn.dev/internal/api"
)

func fail(status int, code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *api.Error {
	return fail(400, "InvalidRequest", format, args...)
}

func noInstance() *api.Error {
	return fail(404, "AccessGrantsInstanceNotExistsError", "Access Grants Instance does not exist")
}

func noLocation() *api.Error {
	return fail(404, "NoSuchAccessGrantsLocationError", "The specified access grants location does not exist")
}

func noGrant() *api.Error {
	return fail(404, "NoSuchAccessGrantError", "The specified access grant does not exist")
}

func noPolicy() *api.Error {
	return fail(404, "AccessGrantsInstanceResourcePolicyNotExists", "Access Grants Instance Resource Policy does not exist")
}

func noSuchResource() *api.Error {
	return fail(404, "NoSuchResource", "The specified resource doesn't exist.")
}

func badRole() *api.Error { return fail(400, "InvalidIamRole", "The specified IAM Role is invalid") }

func badCentre() *api.Error {
	return fail(400, "InvalidIdentityCenterInstance", "The specified identity center instance is invalid")
}

func badTag(why string) *api.Error { return fail(400, "InvalidTag", "%s", why) }

func badPolicy(why string) *api.Error { return fail(400, "InvalidResourcePolicy", "%s", why) }
