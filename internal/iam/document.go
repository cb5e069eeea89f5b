package iam

import (
	"net/url"
	"strings"

	"bawn.dev/internal/policy"
)

// AWS's quotas. Sizes are in characters, white space between tokens left out.
const (
	maxUsers           = 5000
	maxGroups          = 300
	maxGroupsPerUser   = 10
	maxRoles           = 1000
	maxPolicies        = 1500
	maxAccessKeys      = 2
	maxAttached        = 10
	maxTags            = 50
	maxUserInline      = 2048 // all inline policies of a user together
	maxGroupInline     = 5120
	maxRoleInline      = 10240
	maxCentreInline    = 32768 // of a permission set
	maxManagedDocument = 6144
	maxTrustDocument   = 2048
)

// read checks a policy that somebody wants to store.
func (s *Service) read(text string, kind policy.Kind, limit int) (*policy.Policy, error) {
	p, err := policy.Parse([]byte(text), kind)
	if err != nil {
		return nil, malformed(err)
	}
	if size(text) > limit {
		quota := "PolicySize"
		if kind == policy.Trust {
			quota = "ACLSizePerRole"
		}
		return nil, exceeded(quota, limit)
	}
	for _, f := range policy.Validate(p, s.cfg.Catalogue) {
		if kind == policy.Identity && f.Tolerable() {
			continue
		}
		return nil, fail("MalformedPolicyDocument", "Statement %d: %s.", f.Statement+1, f.Message)
	}
	return p, nil
}

// size counts a JSON text as AWS does.
func size(text string) int {
	n, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
			n++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
			continue
		}
		n++
	}
	return n
}

// answered is a policy as IAM's answers carry it: percent-encoded after RFC 3986.
func answered(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}
