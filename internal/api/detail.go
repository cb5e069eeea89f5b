package api

// What owners let other services see of their resources, under Foreign.Detail,
// where no shape says it. A user or role is an *Entity.

// An Application is an identity-centre application, as sign-in needs it.
type Application struct {
	ARN                string
	InstanceARN        string
	IdentityStoreARN   string
	Enabled            bool
	AssignmentRequired bool
	IAM                bool // callers prove themselves by Signature V4, under Resource.Policy
	Scopes             []string
	Issuers            []TrustedIssuer // of the jwt-bearer grant; nil when it is not granted
}

// A TrustedIssuer is an OIDC issuer whose tokens an application may exchange.
type TrustedIssuer struct {
	ARN               string
	URL               string
	Audiences         []string
	ClaimPath         string // in the token: "email"
	IdentityStorePath string // in the identity store: "emails.value"
}
