package server

import (
	"bawn.dev/internal/api"
	"bawn.dev/internal/signin"
	"bawn.dev/internal/sts"
)

// portalSessions makes the credentials that people get at the access portal. STS is
// made after sign-in, which it asks for people's contexts.
type portalSessions struct{ server *Server }

// Issue implements signin.Sessions.
func (p portalSessions) Issue(claim api.Claim) (signin.Credentials, error) {
	c, err := p.server.sts.Issue(claim, sts.SessionPolicies{})
	return signin.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expiration: c.Expiration,
	}, err
}
