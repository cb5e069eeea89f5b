package api

import "time"

// What owners let other services see of their resources, under Foreign.Detail,
// where no shape says it. A user or role is an *Entity.

// An Application is an identity-centre application, as sign-in needs it.
type Application struct {
	ARN                string
	Name               string
	InstanceARN        string
	IdentityStoreARN   string
	Enabled            bool
	AssignmentRequired bool
	IAM                bool // callers prove themselves by Signature V4, under Resource.Policy
	Scopes             []string
	Issuers            []TrustedIssuer // of the jwt-bearer grant; nil when it is not granted
	RedirectURIs       []string        // of the authorization_code grant; nil when it is not granted
	RefreshToken       bool            // the refresh_token grant
	TokenExchange      bool            // the token-exchange grant
	Background         bool            // what a user starts may go on when she has left
}

// An Assignment is a role that a person may enter from the identity centre.
type Assignment struct {
	AccountID, AccountName, Email       string // of the account
	PermissionSetARN, PermissionSetName string
	RoleName, RoleARN                   string
	SessionDuration                     time.Duration // that the role's sessions last
}

// A TrustedIssuer is an OIDC issuer whose tokens an application may exchange.
type TrustedIssuer struct {
	ARN               string
	URL               string
	Audiences         []string
	ClaimPath         string // in the token: "email"
	IdentityStorePath string // in the identity store: "emails.value"
}

// An OIDCProvider is an OpenID Connect provider that an account registered.
type OIDCProvider struct {
	ARN       string   // arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH
	URL       string   // https://HOST/PATH as it was registered; a token's issuer is that to the letter
	ClientIDs []string // audiences
	// Thumbprints of the certificates of the host's chain, SHA-1 in hexadecimal, are
	// kept and shown. They vouch for nothing: keys are fetched over TLS that must
	// verify by the machine's authorities.
	Thumbprints []string
}

// A SAMLProvider is a SAML 2.0 identity provider that an account registered.
type SAMLProvider struct {
	ARN      string // arn:aws:iam::ACCOUNT:saml-provider/NAME
	Metadata string // the provider's, as it was uploaded
}
