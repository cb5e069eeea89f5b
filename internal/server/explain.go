package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// ExplainRequest asks why something would be allowed or denied now: what a principal
// asks for, or each demand of a call that is on record.
type ExplainRequest struct {
	Operator  string `json:"operator"`
	RequestID string `json:"requestId,omitempty"` // of a recorded call; only the condition keys below go with it

	Principal string `json:"principal,omitempty"` // ARN, or a service's name
	Action    string `json:"action,omitempty"`
	Resource  string `json:"resource,omitempty"` // ARN; empty stands for "*"

	Session string            `json:"session,omitempty"` // name of a role's session
	User    string            `json:"user,omitempty"`    // ARN of the user who made a federated user's session
	Policy  string            `json:"policy,omitempty"`  // session policy
	Tags    map[string]string `json:"tags,omitempty"`    // of the session
	MFA     bool              `json:"mfa,omitempty"`     // a one-time code was given for the session
	Person  string            `json:"person,omitempty"`  // user name or id in the identity store
	Account string            `json:"account,omitempty"` // in which a service acts

	Endpoint string              `json:"endpoint,omitempty"` // vpce-… that the call comes through
	SourceIP string              `json:"sourceIp,omitempty"`
	Via      []string            `json:"via,omitempty"` // services that forward the call, the first caller first
	Context  map[string][]string `json:"context,omitempty"`
}

// Explanations are the answers to an ExplainRequest, one for each thing demanded.
type Explanations struct {
	Recorded *Recorded      `json:"recorded,omitempty"`
	Allowed  bool           `json:"allowed"` // all of them
	Demands  []*Explanation `json:"demands"`
}

// Recorded is what a record says of the call that is explained anew.
type Recorded struct {
	RequestID string `json:"requestId"`
	Time      string `json:"time"`
	Event     string `json:"event"`
	Error     string `json:"error,omitempty"`
	Message   string `json:"message,omitempty"`
}

// An Explanation is one decision with all that it was made of.
type Explanation struct {
	Allowed         bool     `json:"allowed"`
	Verdict         string   `json:"verdict"` // in one line, with the statement that decided
	Message         string   `json:"message,omitempty"`
	Principal       string   `json:"principal"`
	Account         string   `json:"account"`
	Action          string   `json:"action"`
	Resource        string   `json:"resource"`
	ResourceAccount string   `json:"resourceAccount"`
	Missing         bool     `json:"resourceMissing,omitzero"` // there is no such resource
	Notes           []string `json:"notes,omitempty"`          // what could not be taken into account

	Context  map[string][]string `json:"context,omitempty"` // condition keys of the request, in lower case
	Lacking  []string            `json:"missingContext,omitempty"`
	Policies []Heard             `json:"policies,omitempty"` // in the order in which they were looked at
}

// Heard is what one policy had to say.
type Heard struct {
	Kind       string                  `json:"kind"`                // "identity-based policy", as in AWS's messages
	Level      int                     `json:"level,omitzero"`      // of an organization's policy: 0 is the root
	Policy     string                  `json:"policy"`              // ARN or label
	Unreadable bool                    `json:"unreadable,omitzero"` // there was none under the name
	Statements []policy.StatementTrace `json:"statements,omitempty"`
}

// Explain says why something would be allowed or denied now, with text of every
// policy that applies.
func (s *Server) Explain(ctx context.Context, in ExplainRequest) (*Explanations, error) {
	if err := s.administered(ctx, "Explain", in.Operator, in); err != nil {
		return nil, err
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	if in.RequestID != "" {
		return s.explainRecorded(ctx, sn, in)
	}
	claim, err := s.claimed(ctx, sn, in)
	if err != nil {
		return nil, err
	}
	one, err := s.explain(ctx, sn, claim, in)
	if err != nil {
		return nil, err
	}
	return &Explanations{Allowed: one.Allowed, Demands: []*Explanation{one}}, nil
}

func question(format string, args ...any) error {
	return fmt.Errorf("explain: "+format, args...)
}

// explain answers for one principal, action and resource.
func (s *Server) explain(ctx context.Context, sn *store.Snapshot, claim api.Claim, in ExplainRequest) (*Explanation, error) {
	x := &Explanation{Principal: in.Principal, Account: claim.Account, Action: in.Action, Resource: in.Resource, Context: map[string][]string{}}
	if x.Resource == "" {
		x.Resource = "*"
	}
	subject, err := s.door.Authorizer.Subject(ctx, sn, claim)
	if err == nil && in.Person != "" {
		err = s.onBehalf(ctx, sn, subject, in.Person)
	}
	if errors.Is(err, api.ErrGone) {
		x.Verdict = "not authenticated: the principal, its account or its person is gone, not active, or was signed out"
		return x, nil
	}
	if err != nil {
		return nil, err
	}
	x.Principal = subject.Principal.ARN
	q := &authz.Question{
		Subject: subject, Action: in.Action, Keys: policy.Context{}, Via: in.Via, Region: s.cfg.Region, Now: s.now(),
		Aside: strings.EqualFold(in.Action, "iam:PassRole"), Free: strings.EqualFold(in.Action, "sts:GetSessionToken"),
	}
	if err := s.target(ctx, sn, q, x); err != nil {
		return nil, err
	}
	if q.Origin, err = s.origin(sn, in); err != nil {
		return nil, err
	}
	s.usualKeys(q, claim)
	for key, values := range in.Context {
		q.Keys.Set(key, values...)
	}
	if strings.HasPrefix(q.Action, "kms:") {
		if err := s.keyed(sn, q); err != nil {
			return nil, err
		}
	}
	derived, err := s.door.Authorizer.Explain(ctx, sn, q)
	if err != nil {
		return nil, err
	}
	given, err := s.door.Authorizer.Gather(ctx, sn, q)
	if err != nil {
		return nil, err
	}
	x.Context, x.Lacking = given.Context, derived.Missing()
	for _, p := range derived.Policies {
		x.Policies = append(x.Policies, Heard{p.Gate.String(), p.Level, p.Doc, p.Unreadable, p.Statements})
	}
	x.Allowed, x.Verdict = derived.Decision.Allowed, derived.Decision.String()
	x.Message = derived.Decision.Reason(in.Action, x.Resource, x.Principal)
	x.ResourceAccount = given.ResourceAccount
	if why := s.undeniable(in.Action); why != "" {
		x.Allowed, x.Verdict, x.Message = true, "allowed whatever policies say: "+why, ""
	}
	return x, nil
}

// keyed adds what the key service knows of a key, and the grant of it that allows what
// is asked for.
func (s *Server) keyed(sn *store.Snapshot, q *authz.Question) error {
	context := map[string]string{}
	for name, values := range q.Keys {
		if pair, ok := strings.CutPrefix(name, "kms:encryptioncontext:"); ok && len(values) == 1 {
			context[pair] = values[0]
		}
	}
	known, grant, err := s.kms.Suppose(sn, q.Subject.Principal, q.Action, q.Target.ARN, context)
	if err != nil {
		return err
	}
	for name, values := range known {
		if _, given := q.Keys.Get(name); !given {
			q.Keys.Set(name, values...)
		}
	}
	q.Grant = grant
	return nil
}

// undeniable says why no policy can refuse an operation; empty for all others.
func (s *Server) undeniable(action string) string {
	for _, e := range s.door.Entries() {
		if e.Undeniable != "" && strings.EqualFold(e.Name, action) {
			return e.Undeniable
		}
	}
	return ""
}

// target finds what the action is asked for.
func (s *Server) target(ctx context.Context, sn *store.Snapshot, q *authz.Question, x *Explanation) error {
	q.Target = authz.Target{ARN: x.Resource}
	if x.Resource == "*" {
		return nil
	}
	f, err := s.door.Resource(ctx, sn, x.Resource)
	if err != nil {
		return err
	}
	if f == nil {
		parts := strings.SplitN(x.Resource, ":", 6)
		if len(parts) != 6 || parts[0] != "arn" {
			return question("%q is not an ARN", x.Resource)
		}
		q.Target.Account = parts[4]
		x.Notes = append(x.Notes, "Nothing here tells of "+x.Resource+": it is taken to have no policy and no tags.")
		return nil
	}
	q.Target = authz.Target{ARN: x.Resource, Account: f.Account, Policy: f.Policy, RootOfTrust: f.RootOfTrust, AWSManaged: f.AWSManaged, Tags: f.Tags}
	if e, ok := f.Detail.(*api.Entity); ok && e.Kind == api.KindRole && strings.HasPrefix(q.Action, "sts:") {
		q.Target.Policy, q.Target.RootOfTrust = e.Trust, true
	}
	x.Missing = f.Missing != nil
	if f.Missing != nil {
		x.Notes = append(x.Notes, "There is no such resource; who is allowed hears: "+f.Missing.Message)
	}
	if f.Type == "AWS::S3::Bucket" || f.Type == "AWS::S3::Object" {
		if f.Policy != nil && f.Account != q.Subject.Principal.Account && f.Policy.Policy.Public() {
			x.Notes = append(x.Notes, "The bucket's policy is public; if its public access block restricts public buckets, it lets no other account in.")
		}
	}
	return nil
}

// origin is where the call comes from: nowhere that a policy could tell, unless the
// request says so.
func (s *Server) origin(sn *store.Snapshot, in ExplainRequest) (*authz.Origin, error) {
	if len(in.Via) > 0 {
		return nil, nil
	}
	o := &authz.Origin{SourceIP: in.SourceIP, TLS: true}
	if in.Endpoint == "" {
		return o, nil
	}
	all, err := s.ec2.Endpoints(sn)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.EndpointID == in.Endpoint {
			o.EndpointID, o.VPC, o.VPCAccount = e.EndpointID, e.VPC, e.Account
			return o, nil
		}
	}
	return nil, question("there is no VPC endpoint %s", in.Endpoint)
}

// usualKeys are condition keys that services set on every request and that follow
// from who asks for what. Others an operator gives.
func (s *Server) usualKeys(q *authz.Question, claim api.Claim) {
	service, _, _ := strings.Cut(q.Action, ":")
	switch service {
	case "kms":
		q.Keys.Set("kms:CallerAccount", claim.Account)
		if n := len(q.Via); n > 0 {
			q.Keys.Set("kms:ViaService", strings.TrimSuffix(q.Via[n-1], ".amazonaws.com")+"."+s.cfg.Region+".amazonaws.com")
		}
	case "s3":
		if q.Target.Account != "" {
			q.Keys.Set("s3:ResourceAccount", q.Target.Account)
		}
	case "iam", "ec2":
		for name, value := range q.Target.Tags {
			q.Keys.Set(service+":ResourceTag/"+name, value)
		}
	}
	if service == "ec2" {
		q.Keys.Set("ec2:Region", s.cfg.Region)
	}
}
