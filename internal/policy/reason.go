package policy

import "strings"

// Reason says why a request was refused, in the words of AWS's access denied
// messages (IAM user guide, "Troubleshoot access denied error messages"). An
// empty principalARN is an anonymous caller; an empty resource is left out. It
// names no policy: the caller may not be one who may know which there are. For
// an allowed request it is empty.
func (d Decision) Reason(action, resource, principalARN string) string {
	if d.Allowed {
		return ""
	}
	var b strings.Builder
	if principalARN == "" {
		principalARN = "anonymous"
	}
	b.WriteString("User: " + principalARN + " is not authorized to perform: " + action)
	if resource != "" {
		b.WriteString(` on resource: "` + resource + `"`)
	}
	switch name := d.Gate.String(); {
	case d.Gate == GateRequest:
	case d.Explicit && d.Gate == GateTrust:
		b.WriteString(" with an explicit deny in the role trust policy")
	case d.Explicit && d.Gate == GateIdentity:
		b.WriteString(" with an explicit deny in an " + name)
	case d.Explicit:
		b.WriteString(" with an explicit deny in a " + name)
	default:
		b.WriteString(" because no " + name + " allows the " + action + " action")
	}
	return b.String()
}

// MarshalText is String, for JSON.
func (g Gate) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// String names the gate as AWS's messages do.
func (g Gate) String() string {
	switch g {
	case GateSCP:
		return "service control policy"
	case GateRCP:
		return "resource control policy"
	case GateEndpoint:
		return "VPC endpoint policy"
	case GateResource:
		return "resource-based policy"
	case GateTrust:
		return "role trust policy"
	case GateBoundary:
		return "permissions boundary"
	case GateSession:
		return "session policy"
	case GateIdentity:
		return "identity-based policy"
	case GateGrant:
		return "grant"
	}
	return "request"
}
