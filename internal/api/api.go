// Package api is the one door: operations, the pipeline that every call goes
// through, and the way in for calls from inside.
//
// A service is a list of Operations. Each names what it is called, what it
// demands and what does it, and cannot be built without all three. The Door
// takes a request from a listener, from a service (Invoke) or from Bawn itself
// (Begin) and leads it through decode, authenticate, authorize, handle, record
// and answer: see serve.go, which reads top to bottom.
//
// It trusts the store, the trail and the listeners' Origin. An attacker who
// controls a request controls its bytes and nothing else: he chooses among
// operations that exist, his input is bounded and decoded strictly, and whatever
// happens to it a record says so. A service that returns something that is not an
// *Error shows the world InternalFailure and nothing more.
package api

import (
	"errors"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/wire"
)

// What services need of the packages that they may not import.
type (
	// An Error is what the world is told: AWS's code, message and status.
	Error = wire.Error
	// A Claim is what a credential says of itself.
	Claim = authz.Claim
	// An Entity is a user or role as it is now.
	Entity = authz.Entity
	// An Account is an account as its organization sees it now.
	Account = authz.Account
	// A Person is the human behind a call.
	Person = authz.Person
	// An Origin says how a call reached Bawn.
	Origin = authz.Origin
)

// The kinds of claim.
const (
	KindUser        = authz.User
	KindRole        = authz.Role
	KindFederated   = authz.Federated
	KindWebIdentity = authz.WebIdentity
	KindSAML        = authz.SAML
	KindCentre      = authz.Centre
	KindService     = authz.Service
)

// ErrGone says that a principal, account or person is no longer there. Sources
// that api and authz consult return it.
var ErrGone = authz.ErrGone

// ErrAgain asks the pipeline to look once more on a fresh snapshot, because what
// the call needs came into being, or went away, just now, or because it was waited
// for without holding one. A resolve step, the handler of a read and the prepare
// step of a write that does not stream may return it.
var ErrAgain = errors.New("api: look again")

// A Resource is what an operation acts on, as a decision needs it.
type Resource struct {
	ARN     string // "*" for actions that know no resource
	Account string // owner; empty means the caller's account
	Type    string // as the record names it: "AWS::KMS::Key"

	Policy      *policy.Doc // resource-based policy, if any
	RootOfTrust bool        // that policy must allow (KMS keys, role trust)
	AWSManaged  bool        // resource control policies pass it by (AWS-managed KMS keys)
	Tags        map[string]string

	// Called, when set, is how a refusal names the resource, where the ARN would tell
	// what the caller does not know.
	Called string
	// Missing is what a caller hears who may know that there is no such
	// resource. The others hear that access is denied.
	Missing *Error
}

// A Demand is one thing that must be allowed for a call to go on.
type Demand struct {
	Action   string // "s3:ListBucket"
	Resource Resource
	// Keys are the condition keys of this request: "s3:prefix", "aws:RequestTag/x".
	Keys policy.Context
	// Free says that no permission is needed, as for GetSessionToken: only what denies
	// can refuse, and the policy of an endpoint that the call came through.
	Free bool
	// MFA says that this very call brought a good one-time code of its caller's.
	MFA bool
	// Grant is a grant of the key that allows it, if one does. An explicit deny still
	// wins.
	Grant *policy.Grant
}

// Any is the resource of actions that know none.
var Any = Resource{ARN: "*"}

// On is the common demand: one action on one resource.
func On(action string, r Resource) []Demand { return []Demand{{Action: action, Resource: r}} }
