package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/policy"
	"bawn.dev/internal/trail"
	"bawn.dev/internal/uuid"
	"bawn.dev/internal/wire"
)

// refuse records that a call failed and answers the error that the world may
// see. When even that cannot be recorded, the failure is ours.
func (d *Door) refuse(ctx context.Context, c *Call, err error) error {
	outward := d.hide(c, err)
	if err := d.record(ctx, c, outward); err != nil {
		return d.hide(c, err)
	}
	return outward
}

// hide keeps what is not meant for the world in the log.
func (d *Door) hide(c *Call, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if e := authenticationError(err, c.signingName()); e != nil {
		return e
	}
	d.Log.Error("a call failed", "request", c.RequestID, "err", err)
	return &Error{Code: wire.CodeInternalFailure, Status: http.StatusInternalServerError, Server: true, Message: "An internal error occurred. The log has it under request " + c.RequestID + "."}
}

// record makes a call's outcome durable, with the records of the calls nested in
// it; a nested call leaves that to the outer one.
func (d *Door) record(ctx context.Context, c *Call, failure *Error) error {
	own := c.shared(c.event(failure, nil))
	if c.parent != "" && c.pending != nil {
		*c.pending = append(*c.pending, own...)
		return nil
	}
	if err := d.Trail.Write(ctx, c.records(own)...); err != nil {
		return err
	}
	c.flushed()
	return nil
}

// records are those that wait, and then this call's own. A nested write commits
// its own at once, and those that waited with it.
func (c *Call) records(own []*trail.Record) []*trail.Record {
	if c.pending == nil {
		return own
	}
	return append((*c.pending)[:len(*c.pending):len(*c.pending)], own...)
}

// shared is the record of a call and, if the call succeeded, its copies for the
// trails of other accounts that own what it was about: an owner hears who came from
// elsewhere.
func (c *Call) shared(r *trail.Record) []*trail.Record {
	own := c.itemized(r)
	if r.ErrorCode != "" {
		return own
	}
	all, told := own, []string{r.Account}
	for _, t := range c.touched {
		if t.Account == "" || slices.Contains(told, t.Account) {
			continue
		}
		told = append(told, t.Account)
		for _, part := range own {
			if part.SharedEventID == "" {
				part.SharedEventID = uuid.New()
			}
			other := *part
			other.EventID, other.Account, other.UserIdentity = uuid.At(c.Now), t.Account, abroad(part.UserIdentity)
			all = append(all, &other)
		}
	}
	return all
}

func (c *Call) flushed() {
	if c.pending != nil {
		*c.pending = nil
	}
}

// event is the record of a call as it ends.
func (c *Call) event(failure *Error, out any) *trail.Record {
	r := &trail.Record{
		EventID:         uuid.At(c.Now), // in the order of time: the lookup index grows at its end
		RequestID:       c.RequestID,
		ParentRequestID: c.parent,
		EventTime:       c.Now,
		Region:          c.Region,
		Account:         c.Account,
		UserAgent:       c.agent,
		EventType:       "AwsApiCall",
		EventCategory:   "Management",
		ManagementEvent: true,
		TLS:             c.tls,
	}
	r.AdditionalEventData = object(c.notes)
	if c.op != nil {
		r.EventSource, r.EventName, r.ReadOnly = c.service.Principal(), c.op.Name, c.op.ReadOnly() || c.op.asRead
		if c.op.data {
			r.EventCategory, r.ManagementEvent = "Data", false
		}
		if c.in != nil {
			r.RequestParameters = c.match.RequestParameters(c.in)
		}
		if out != nil && !c.op.silent {
			r.ResponseElements = c.match.ResponseElements(out)
		}
	} else {
		r.EventSource, r.EventName = "bawn", "UnknownOperation"
	}
	if o := c.origin; o != nil {
		r.SourceIP, r.VpcEndpointID, r.VpcEndpointAccountID = o.SourceIP, o.EndpointID, o.VPCAccount
	} else if len(c.via) > 0 {
		r.SourceIP = c.via[len(c.via)-1]
		r.UserAgent = r.SourceIP
	}
	if failure != nil {
		r.ErrorCode, r.ErrorMessage = failure.Code, failure.Message
		if i := strings.LastIndex(r.ErrorMessage, encodedAfter); i >= 0 && c.service != nil && c.door.encodes(c.service) {
			r.ErrorMessage = r.ErrorMessage[:i] // the record has no room for it, and its readers no need
		}
	}
	if c.subject == nil {
		r.Account = cmp.Or(c.suspect.Account, c.door.Config.Account)
	}
	r.UserIdentity = c.identity()
	r.Resources = recordResources(c.touched, c.Account)
	return r
}

// object is a record's JSON of a map; nil when there is nothing to say.
func object(m map[string]any) jsontext.Value {
	if len(m) == 0 {
		return nil
	}
	raw, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		return jsontext.Value(`{"unprintable":true}`)
	}
	return raw
}

// How many resources a record lists, and of how many bytes. A call that is about more
// names them by Itemize.
const (
	maxRecorded      = 256
	maxRecordedBytes = 128 << 10
)

func recordResources(rs []Resource, account string) []trail.Resource {
	var out []trail.Resource
	size := 0
	for _, r := range rs[:min(len(rs), maxRecorded)] {
		if size += len(r.ARN); size > maxRecordedBytes {
			break
		}
		owner := r.Account
		if owner == "" {
			owner = account
		}
		out = append(out, trail.Resource{ARN: r.ARN, Account: owner, Type: r.Type})
	}
	return out
}

// identity is who the record says made the call.
func (c *Call) identity() trail.UserIdentity {
	s := c.subject
	if s == nil {
		return suspected(c.suspect)
	}
	switch {
	case s.Claim.Kind == KindWebIdentity:
		id := s.Claim.Provider + ":" + vouched(s.Claim, ":aud") + ":" + s.Claim.ID
		return trail.UserIdentity{Type: "WebIdentityUser", PrincipalID: id, UserName: s.Claim.ID, IdentityProvider: s.Claim.Provider}
	case s.Claim.Kind == KindCentre:
		return trail.UserIdentity{Type: "IdentityCenterUser", AccountID: s.Claim.Account, OnBehalfOf: onBehalfOf(s.Claim.Person), CredentialID: s.Claim.Person.CredentialID}
	case s.Claim.Kind == KindSAML:
		qualifier := vouched(s.Claim, ":namequalifier")
		return trail.UserIdentity{Type: "SAMLUser", PrincipalID: qualifier + ":" + s.Claim.ID, UserName: s.Claim.ID, IdentityProvider: qualifier}
	case s.Entity == nil:
		return serviceIdentity(s.Claim.ID, s.Claim)
	}
	u := trail.UserIdentity{
		InScopeOf:   inScopeOf(s.Claim),
		PrincipalID: s.Principal.ID,
		ARN:         s.Principal.ARN,
		AccountID:   s.Principal.Account,
		AccessKeyID: s.Claim.AccessKeyID,
		OnBehalfOf:  onBehalfOf(s.Claim.Person),
	}
	if len(c.via) > 0 {
		u.InvokedBy = c.via[len(c.via)-1]
	}
	if s.Claim.Temporary() {
		u.SessionContext = &trail.SessionContext{
			CreationDate:   s.Claim.Issued.UTC().Truncate(time.Second),
			MFA:            !s.Claim.MFA.IsZero(),
			SourceIdentity: s.Claim.SourceIdentity,
		}
		if strings.Contains(s.Claim.Provider, ":oidc-provider/") {
			u.SessionContext.FederatedProvider, u.SessionContext.Attributes = s.Claim.Provider, attributes(s.Claim.Vouched)
		}
	}
	issuer := trail.SessionIssuer{
		PrincipalID: s.Entity.ID, ARN: s.Entity.ARN, AccountID: s.Entity.Account, UserName: s.Entity.Name,
	}
	switch s.Claim.Kind {
	case KindUser:
		u.Type, u.UserName = "IAMUser", s.Entity.Name
	case KindFederated:
		u.Type, issuer.Type = "FederatedUser", "IAMUser"
		u.SessionContext.SessionIssuer = issuer
	default:
		u.Type, issuer.Type = "AssumedRole", "Role"
		u.SessionContext.SessionIssuer = issuer
	}
	return u
}

// suspected is who was not let in: at most it is known whose credential was tried, and
// for whom that was made.
func suspected(claim Claim) trail.UserIdentity {
	id := claim.ID
	if claim.Kind == KindRole {
		id += ":" + claim.SessionName
	}
	return trail.UserIdentity{Type: "Unknown", PrincipalID: id, AccountID: claim.Account, AccessKeyID: claim.AccessKeyID, OnBehalfOf: onBehalfOf(claim.Person)}
}

// abroad is what another account hears of a caller: whose she is and her unique id,
// not her names, keys and sessions. The person behind her is told everywhere.
func abroad(u trail.UserIdentity) trail.UserIdentity {
	switch u.Type {
	case "IAMUser", "AssumedRole", "FederatedUser":
		return trail.UserIdentity{Type: "AWSAccount", PrincipalID: u.PrincipalID, AccountID: u.AccountID, InvokedBy: u.InvokedBy, OnBehalfOf: u.OnBehalfOf}
	}
	return u
}

// vouched is the first value of the condition key, with the provider's name before it,
// that a provider vouched for.
func vouched(claim Claim, name string) string {
	for key, values := range claim.Vouched {
		if strings.HasSuffix(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// attributes are the keys that a provider vouched for, without its name before them.
func attributes(vouched policy.Context) map[string]string {
	out := make(map[string]string, len(vouched))
	for key, values := range vouched {
		out[key[strings.LastIndexByte(key, ':')+1:]] = strings.Join(values, ",")
	}
	return out
}

// inScopeOf is what a session, or a service's act, belongs to.
func inScopeOf(claim Claim) *trail.InScopeOf {
	switch {
	case claim.Workload != "":
		return &trail.InScopeOf{IssuerType: claim.WorkloadType, CredentialsIssuedTo: claim.Workload}
	case claim.Kind == KindService && claim.SourceARN != "":
		return &trail.InScopeOf{SourceARN: claim.SourceARN, SourceAccount: claim.SourceAccount}
	}
	return nil
}

func onBehalfOf(p *Person) *trail.OnBehalfOf {
	if p == nil {
		return nil
	}
	return &trail.OnBehalfOf{UserID: p.UserID, IdentityStoreARN: p.IdentityStoreARN}
}

func serviceIdentity(service string, claim Claim) trail.UserIdentity {
	// A service that acts for the holder of a token says for which.
	return trail.UserIdentity{Type: "AWSService", InvokedBy: service, AccessKeyID: claim.AccessKeyID, OnBehalfOf: onBehalfOf(claim.Person), InScopeOf: inScopeOf(claim)}
}
