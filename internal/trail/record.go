package trail

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Record is one event, with CloudTrail's meanings (record contents, event
// version 1.11).
type Record struct {
	EventID         string // unique; made by Append when empty
	RequestID       string // the caller's answer and the log carry it too
	ParentRequestID string // of the call that made this one from inside
	EventTime       time.Time
	EventSource     string // "kms.amazonaws.com"
	EventName       string
	Region          string
	Account         string // the recipient's: whose trail it is in

	UserIdentity         UserIdentity
	SourceIP             string // an address, or a service's name
	UserAgent            string
	VpcEndpointID        string
	VpcEndpointAccountID string

	RequestParameters   jsontext.Value // a JSON object without secrets, or nil
	ResponseElements    jsontext.Value // a JSON object; nil for reads
	AdditionalEventData jsontext.Value // a JSON object, or nil
	ErrorCode           string
	ErrorMessage        string
	ReadOnly            bool
	Resources           []Resource
	// SharedEventID is the same in the records that one call left in several
	// accounts' trails: the caller's, and those that own what it was about.
	SharedEventID   string
	EventType       string // "AwsApiCall" when empty
	EventCategory   string // "Management" when empty
	ManagementEvent bool
	TLS             TLS
}

// UserIdentity is who acted.
type UserIdentity struct {
	Type           string // "IAMUser", "AssumedRole", "Root", "AWSService", "IdentityCenterUser", "Unknown", …
	PrincipalID    string
	ARN            string
	AccountID      string
	AccessKeyID    string
	UserName       string
	SessionContext *SessionContext // nil without a session
	OnBehalfOf     *OnBehalfOf     // nil when no person stands behind the call
	InvokedBy      string          // the service that made the call
	// CredentialID is the sign-in of an IdentityCenterUser.
	CredentialID string
	// IdentityProvider is the ARN of the provider that vouches for a WebIdentityUser,
	// and the saml:namequalifier of a SAMLUser.
	IdentityProvider string
	InScopeOf        *InScopeOf // nil where nothing but the caller stands behind the call
}

// InScopeOf is the resource that the call belongs to: the one for which a service
// acts, or the workload that the credentials were made for.
type InScopeOf struct {
	SourceARN, SourceAccount        string // of the first
	IssuerType, CredentialsIssuedTo string // of the second
}

// SessionContext is where a session came from.
type SessionContext struct {
	SessionIssuer  SessionIssuer
	CreationDate   time.Time
	MFA            bool
	SourceIdentity string
	// FederatedProvider is the OIDC provider that a session began with, and Attributes
	// what it vouched for.
	FederatedProvider string
	Attributes        map[string]string
}

// SessionIssuer is the role or user that a session stands for.
type SessionIssuer struct{ Type, PrincipalID, ARN, AccountID, UserName string }

// OnBehalfOf is the person behind the act.
type OnBehalfOf struct{ UserID, IdentityStoreARN string }

// Resource is what was acted on.
type Resource struct{ ARN, Account, Type string }

// TLS is how the call came in.
type TLS struct{ Version, CipherSuite, Host string }
