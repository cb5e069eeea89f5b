package server

import (
	"bawn.dev/internal/accessgrants"
	"bawn.dev/internal/api"
	"bawn.dev/internal/sts"
)

// grantSessions makes the credentials that access grants give.
type grantSessions struct{ sts *sts.Service }

// Issue implements accessgrants.Sessions.
func (g grantSessions) Issue(claim api.Claim, sessionPolicy string) (accessgrants.Credentials, error) {
	c, err := g.sts.Issue(claim, sts.SessionPolicies{Inline: sessionPolicy})
	return accessgrants.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expiration: c.Expiration,
	}, err
}
