// Package authz gathers every policy that applies to a call and asks package
// policy for the verdict.
//
// It knows no service: who a principal is now, what its organization allows,
// which person stands behind it and what an endpoint lets through come from
// small interfaces that services implement and the server connects. Everything
// is read on the call's own snapshot and by unique id, so a change takes effect
// on the next call and a name that was deleted and made again gains nothing.
//
// It trusts the caller of this package to have verified the signature. An
// attacker who controls a request controls condition keys that describe the
// request itself (a tag, a prefix, a user agent) and no others: identity and
// network keys are set here and in package api, from rows and from the socket.
// Any error while gathering is a refusal.
package authz

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// ErrGone says that the principal of a credential, its account or its person no
// longer exists, is not active, or was signed out after the credential was made.
var ErrGone = errors.New("the security token included in the request is invalid")

// Kind says what a credential stands for. The zero value stands for nothing.
type Kind string

// The kinds of claim.
const (
	User        Kind = "User"        // an IAM user, by long-term key or GetSessionToken
	Role        Kind = "Role"        // an assumed role
	Federated   Kind = "Federated"   // a session of GetFederationToken, made by a user
	WebIdentity Kind = "WebIdentity" // who shows an OIDC token, before there is a role
	SAML        Kind = "SAML"        // who shows a SAML assertion, likewise
	Centre      Kind = "Centre"      // a person who signed in and has no role: she sees what is hers and no more
	Service     Kind = "Service"     // a service of Bawn acting on its own
)

// A Person is the human on whose behalf a call is made, as the identity centre
// knows her.
type Person struct {
	UserID           string // in the identity store
	IdentityStoreARN string
	InstanceARN      string
	ApplicationARN   string
	CredentialID     string
	SignedIn         time.Time // when the token behind this session was made
	// Audit says that records name her, and that no policy may: an application acts for
	// her with what is its own.
	Audit bool
}

// A Claim is what a verified credential says of itself. It carries ids, never
// permissions: those are read anew on each call.
type Claim struct {
	Kind        Kind
	Account     string // for WebIdentity and SAML that of the role asked for
	ID          string // AIDA… or AROA…; for Service its principal name; for WebIdentity and SAML the subject
	AccessKeyID string
	SessionName string // of a role's session, or the name of a federated user
	Issued      time.Time
	Expires     time.Time // zero for long-term keys

	SessionPolicies []policy.Doc
	HasSession      bool // a session policy was given, even one that allows nothing
	Tags            map[string]string
	TransitiveTags  []string
	SourceIdentity  string
	Chained         bool // made by a session

	// MFA is when a one-time code was given for the session; zero: none was.
	MFA time.Time
	// Provider is the identity provider that a session began with: the ARN of an
	// OIDC or SAML provider; empty where there was none.
	Provider string
	// Vouched are the condition keys that the provider vouched for, as
	// "token.example.com:sub" and "saml:aud". They stay with a role's session.
	Vouched policy.Context
	Person  *Person

	// Workload is the ARN, and WorkloadType the type, of the workload that the session was
	// made for. Records name it; no policy can.
	Workload, WorkloadType string

	// SourceARN and SourceAccount say for which resource a service acts.
	SourceARN, SourceAccount string
}

// Temporary says whether the claim is of a session, not of a key that a user
// keeps, a service or somebody without a role.
func (c *Claim) Temporary() bool {
	return c.Kind == Role || c.Kind == Federated || c.Kind == User && !c.Expires.IsZero()
}

// An Entity is what IAM holds of a user or role now.
type Entity struct {
	Kind          Kind
	ID            string
	ARN           string // of the user or role, path included
	Name          string
	Account       string
	Policies      []policy.Doc // identity-based: inline, attached, by group
	Boundary      *policy.Doc
	Trust         *policy.Doc // roles
	Tags          map[string]string
	Created       time.Time
	NotBefore     time.Time     // sessions made earlier are refused
	MaxSession    time.Duration // roles
	ServiceLinked bool
}

// Principals finds users and roles by unique id. A missing one is ErrGone.
type Principals interface {
	Principal(ctx context.Context, sn *store.Snapshot, id string) (*Entity, error)
}

// An Account is what the organization says of an account.
type Account struct {
	ID         string
	Active     bool
	Management bool
	OrgID      string
	OrgPath    string // o-…/r-…/ou-…/ with a closing slash
	NotBefore  time.Time
	SCPs       [][]policy.Doc // root first; nil where none are in force
	RCPs       [][]policy.Doc
}

// Organization knows the accounts. A missing one is ErrGone.
type Organization interface {
	Account(ctx context.Context, sn *store.Snapshot, id string) (*Account, error)
}

// Directory knows the people. It answers ErrGone for one who was removed or
// disabled, whose sessions were ended after she signed in, or who came through an
// application that is no longer there.
type Directory interface {
	Present(ctx context.Context, sn *store.Snapshot, p *Person) error
}

// Assignments knows who may hold the roles that the identity centre made. It
// answers ErrGone for a person to whom a role is no longer assigned.
type Assignments interface {
	Holds(ctx context.Context, sn *store.Snapshot, p *Person, role *Entity) error
}

// Endpoints knows the policies of VPC endpoints; each of them must allow.
type Endpoints interface {
	EndpointPolicy(ctx context.Context, sn *store.Snapshot, endpointID string) ([]policy.Doc, error)
}

// ServicePolicies says what Bawn's services may do on their own, by principal
// name ("organizations.amazonaws.com").
type ServicePolicies interface {
	ServicePolicy(principal string) []policy.Doc
}

// Sources are where policies come from. Endpoints may be nil where no endpoint
// listens: a call through one is then refused. So may Assignments where no
// identity centre makes roles: a person in one is then refused.
type Sources struct {
	Principals      Principals
	Organization    Organization
	Directory       Directory
	Assignments     Assignments
	Endpoints       Endpoints
	ServicePolicies ServicePolicies
	Catalogue       policy.Catalogue
	Region          string // of what no request asks for, such as a service's trust
}

// An Authorizer decides.
type Authorizer struct {
	src    Sources
	free   policy.Doc // stands in for the identity policies of actions that need none
	nobody policy.Doc // stands in for the trust policies of absent accounts
}

// New makes an Authorizer. Every source but Assignments, Endpoints and Catalogue
// must be there.
func New(src Sources) (*Authorizer, error) {
	if src.Principals == nil || src.Organization == nil || src.Directory == nil || src.ServicePolicies == nil {
		return nil, errors.New("authz: principals, organization, directory and service policies are all needed")
	}
	everything, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`), policy.Identity)
	if err != nil {
		return nil, err
	}
	nobody, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"nobody.invalid"},"Action":"sts:AssumeRole"}]}`), policy.Trust)
	return &Authorizer{src, policy.Doc{Name: "no permission needed", Policy: everything}, policy.Doc{Name: "trust policy of nobody", Policy: nobody}}, err
}
