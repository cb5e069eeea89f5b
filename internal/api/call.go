package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape"
	"bawn.dev/internal/sigv4"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
	"bawn.dev/internal/wire"
)

// A Call is one request on its way through the pipeline. Handlers read it; only
// the pipeline writes it. Call.Note is the one exception.
type Call struct {
	RequestID string
	Now       time.Time
	Region    string
	Account   string // the caller's
	Host      string // that the client asked for, without port
	Scheme    string

	// Snapshot is what the decision and the handler see.
	Snapshot *store.Snapshot

	door    *Door
	service *Service
	op      *Operation
	model   *shape.Operation
	match   *wire.Match
	subject *authz.Subject
	// signature is the request's, of a call that came by a listener and of those
	// nested in it: renewing the call asks again whether its key is good.
	signature *sigv4.Signature
	suspect   Claim   // whose credential was tried, or proved, where she is not let in
	origin    *Origin // nil for a forwarded call
	agent     string
	via       []string // services that forwarded the call
	parent    string   // request id of the call that forwarded this one
	in        any

	seen     store.Dependencies // of a snapshot that was given back
	borrowed bool               // the snapshot is the outer call's
	pending  *[]*trail.Record   // records of nested calls, which the outermost call writes
	tls      trail.TLS
	body     *sigv4.Body // of a streaming input
	notes    map[string]any
	touched  []Resource // as the record lists them
	items    []Item     // that it lists instead

	allowance allowance // of an open operation
}

func (c *Call) signingName() string {
	if c.service == nil {
		return ""
	}
	return c.service.Model.SigningName
}

// Clock is the time now. Now is when the call came, which of a slow stream is long ago.
func (c *Call) Clock() time.Time { return c.door.Now() }

// Caller is who makes the call, with her permissions as they are now.
func (c *Call) Caller() policy.Principal { return c.subject.Principal }

// Claim is what the caller's credential says.
func (c *Call) Claim() Claim { return c.subject.Claim }

// Entity is the user or role that makes the call; nil for a service.
func (c *Call) Entity() *Entity { return c.subject.Entity }

// Organization is what the organization says of the caller's account.
func (c *Call) Organization() *Account { return c.subject.Account }

// Person is the human behind the call, or nil.
func (c *Call) Person() *Person { return c.subject.Claim.Person }

// Prove says who the caller of an open operation turned out to be. Only the resolve
// step of such an operation may call it, and must before it states demands.
func (c *Call) Prove(ctx context.Context, claim Claim) error {
	if c.op == nil || c.op.credential.kind != open || c.parent != "" {
		return fmt.Errorf("api: %s is not open", c)
	}
	var err error
	if c.subject, err = c.door.Authorizer.Subject(ctx, c.Snapshot, claim); err != nil {
		c.suspect = claim
		return err
	}
	c.Account = claim.Account
	return nil
}

// Trusts says whether a role lets a service of Bawn assume it for a resource.
func (c *Call) Trusts(ctx context.Context, role *Entity, service, sourceARN string) (bool, error) {
	return c.TrustsWith(ctx, role, service, sourceARN, nil)
}

// TrustsWith is Trusts for a session that carries more: the role must allow each
// further action too, as sts:SetContext, under the condition keys.
func (c *Call) TrustsWith(ctx context.Context, role *Entity, service, sourceARN string, keys policy.Context, also ...string) (bool, error) {
	sn := c.Snapshot
	if sn == nil {
		var err error
		if sn, err = c.door.Store.Snapshot(ctx); err != nil {
			return false, err
		}
		defer sn.Close()
	}
	return c.door.Authorizer.TrustsWith(ctx, sn, role, service, sourceARN, c.door.Now(), keys, also...)
}

// Via lists the services that forwarded the call, the first caller first.
func (c *Call) Via() []string { return c.via }

// Origin says how the call reached Bawn; nil for a call from inside.
func (c *Call) Origin() *Origin { return c.origin }

// Agent is what the client says that it is; empty for a call from inside.
func (c *Call) Agent() string { return c.agent }

// ARN names a resource of the called service in the caller's account and region.
func (c *Call) ARN(service, resource string) string {
	return "arn:aws:" + service + ":" + c.Region + ":" + c.Account + ":" + resource
}

// A Signing is how a request was signed, and over which TLS it came.
type Signing struct {
	Presigned   bool
	Age         time.Duration // of the signature
	ContentHash string        // as x-amz-content-sha256 states it; empty: it does not
	TLS         string        // "1.3"; empty without TLS
}

// Signing is how this request was signed. A call from inside was not: a service made
// it, whoever signed the outer one.
func (c *Call) Signing() (s Signing, ok bool) {
	sig := c.signature
	if sig == nil || c.parent != "" {
		return s, false
	}
	return Signing{sig.Presigned, c.Now.Sub(sig.Time), sig.ContentHash(), strings.TrimPrefix(c.tls.Version, "TLSv")}, true
}

// Note adds a value to the record's additionalEventData. Never a secret.
func (c *Call) Note(name string, value any) {
	if c.notes == nil {
		c.notes = map[string]any{}
	}
	c.notes[name] = value
}

// Trailer is a trailing header of a streamed input, once the stream is read to its
// end; empty if it was not sent.
func (c *Call) Trailer(name string) string {
	if c.body == nil {
		return ""
	}
	return c.body.Trailer().Get(name)
}

// DeclaresTrailer says whether a trailing header of this name, in lower case, will
// follow a streamed input.
func (c *Call) DeclaresTrailer(name string) bool {
	return c.body != nil && slices.Contains(c.body.Declared(), name)
}

// Size is the length in bytes that a streamed input states, or -1.
func (c *Call) Size() int64 {
	if c.body == nil {
		return -1
	}
	return c.body.Size()
}

// Allowed decides one more demand inside a handler, for operations that decide
// item by item. The decision becomes part of this call's record. A refusal is an
// *Error.
func (c *Call) Allowed(ctx context.Context, d Demand) error { return c.door.decide(ctx, c, d) }

// Resource finds a resource of any service by ARN, on this call's snapshot: what
// a decision needs of it, and under Detail what its owner lets others see.
func (c *Call) Resource(ctx context.Context, arn string) (*Foreign, error) {
	return c.door.foreign(ctx, c.Snapshot, arn)
}

// A Foreign resource is one that another service owns.
type Foreign struct {
	Resource
	Detail any // a type that the owner's shape package or package api declares
}

// A Resolver finds resources by ARN. It answers a nil Foreign and no error when
// the ARN is not of its kind, and a Foreign with Missing set when there is no
// such resource.
type Resolver func(ctx context.Context, sn *store.Snapshot, arn string) (*Foreign, error)

func (c *Call) String() string {
	return fmt.Sprintf("%s %s", c.service.Prefix+":"+c.op.Name, c.RequestID)
}
