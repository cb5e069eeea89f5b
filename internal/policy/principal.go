package policy

// PrincipalKind says what sort of caller makes a request.
type PrincipalKind uint8

// The kinds of principal. The zero value is the least of them.
const (
	Anonymous   PrincipalKind = iota // not signed
	Root                             // an account's root user
	User                             // an IAM user, by its own keys
	Session                          // an assumed role
	Federated                        // a GetFederationToken session
	WebIdentity                      // a bearer of an OIDC token or SAML assertion, before it has a role
	Service                          // a service acting on its own
)

// A Principal is the caller of a request, as authentication found it.
type Principal struct {
	Kind    PrincipalKind
	Account string // twelve digits; empty for Anonymous and WebIdentity
	// ARN of the root user, the user, the assumed-role session or the
	// federated-user session.
	ARN string
	// RoleARN is what a session came from: the role's ARN for Session, the
	// user's for Federated.
	RoleARN   string
	Service   string // "sagemaker.amazonaws.com"; Service only
	Federated string // provider: an ARN or, for some web providers, a host name
	ID        string // AIDA…, AROA…:session-name
	Canonical string // S3's canonical user id of the account, where known
}
