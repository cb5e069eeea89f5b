package server

import (
	"net/http"

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

// A startURL answers AWS's command line, which signs in only at start URLs of AWS's
// own names and asks any other, once, where it leads: to what AWS calls this identity
// centre, a name that nobody asks the network about.
type startURL struct{ server *Server }

// Wants implements entrance. Browsers ask with GET, and get the portal.
func (startURL) Wants(r *http.Request) bool {
	return r.Method == http.MethodHead && (r.URL.Path == "/start" || r.URL.Path == "/start/") && r.URL.RawQuery == "" && r.Header.Get("Authorization") == ""
}

func (u startURL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sn, err := u.server.store.Snapshot(r.Context())
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer sn.Close()
	issuer, err := u.server.signin.Issuer(sn)
	if err != nil {
		u.server.log.Error("the identity centre has no name", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Location", issuer)
	w.WriteHeader(http.StatusFound)
}
