package policy

// Input is one request and everything that speaks for or against it. The caller
// gathers; Decide only reads.
//
// Where a field says "nil: not in force", an empty value that is not nil is in
// force and allows nothing.
type Input struct {
	Action   string // "s3:GetObject"
	Resource string // ARN, or "*" for actions that work on no resource; never empty

	Principal       Principal
	ResourceAccount string // owner of the resource
	Context         Context

	Identity   []Doc // of the user and its groups, or of the role
	Boundary   *Doc  // nil: not in force
	Session    []Doc // session policies: together they allow what any of them allows
	HasSession bool  // a session policy is in force, even when Session is empty

	ResourcePolicy *Doc // nil: the resource has none
	// RootOfTrust is set for KMS keys and for the trust policies of roles: the
	// resource's policy must allow, and identity-based policies count only if it
	// allows the caller's account for the action.
	RootOfTrust bool
	// Grant is the KMS grant that allows; nil if none does.
	Grant *Grant

	Endpoint []Doc   // policies of the VPC endpoint that the call came through: each must allow; nil: not in force
	SCPs     [][]Doc // of the principal's account, a level each from root to account; nil: not in force
	RCPs     [][]Doc // of the resource's account, likewise; nil: not in force

	// Catalogue, when set, makes what it does not know fail closed. An unknown
	// action is never allowed; an Allow with an unknown condition key does not
	// match, and in a Deny such a key counts as met.
	Catalogue Catalogue
}

// A Grant of a KMS key stands beside the key's policy. It counts as one that names
// the role behind the session: boundary and session policies still limit it, and a
// caller of another account needs its own account's Allow too.
type Grant struct {
	ID string
	// Account says that the grantee is the caller's account: it then counts as a
	// policy that names the account, and hands the choice to that account's IAM.
	Account bool
}

func (g *Grant) standing(who *Principal) standing {
	switch {
	case g == nil, g.Account && who.Kind == Service: // a service is not of the account that it acts in
		return stranger
	case g.Account:
		return byAccount
	}
	return byOrigin
}

// A Catalogue knows the actions and condition keys that exist. It must be safe
// for concurrent use and answer at once.
type Catalogue interface {
	KnownAction(action string) bool // "s3:GetObject", in any case
	KnownKey(key string) bool       // "aws:principaltag/team", in lower case; families included
}

// A Speller is a Catalogue that can guess what was meant by an unknown name. It
// answers with an empty string where it cannot.
type Speller interface {
	NearAction(action string) string
	NearKey(key string) string
}
