package iam

import (
	"strings"

	"bawn.dev/internal/api"
)

// Roles under a reserved path are a service's: the identity centre makes one for
// each permission set in each account where somebody is assigned to it. An
// administrator of the account who could change one would hand himself what was
// assigned to others, or lift what limits them.
const (
	reservedPath = "/aws-reserved/"
	centrePath   = reservedPath + centre + "/"
	centre       = "sso.amazonaws.com"
)

// keeper says whether the caller is the service whose roles lie under a path.
func keeper(c *api.Call, path string) bool {
	claim := c.Claim()
	return claim.Kind == api.KindService && claim.ID == centre && strings.HasPrefix(path, centrePath)
}

// guarded refuses a change of a reserved role to whoever may change roles and is
// not its keeper.
func guarded(c *api.Call, e *entity, d api.Demand) api.Demand {
	if e.kind == role && strings.HasPrefix(e.path, reservedPath) && !reads(d.Action) && !keeper(c, e.path) {
		d.Resource.Missing = fail("UnmodifiableEntity", "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", e.name)
	}
	return d
}

func reads(action string) bool {
	return strings.HasPrefix(action, "iam:Get") || strings.HasPrefix(action, "iam:List")
}
