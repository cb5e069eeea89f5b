package authz

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// Origin says how a call reached Bawn. The listener that accepted the
// connection fills it; nothing in a request can.
type Origin struct {
	SourceIP   string // of the peer
	TLS        bool
	EndpointID string // vpce-…, when an endpoint's listener accepted it
	VPC        string
	VPCAccount string
	Referer    string // what the request says of itself; anybody can say anything
}

// Loopback says whether the peer is on this very machine.
func (o *Origin) Loopback() bool {
	a, err := netip.ParseAddr(o.SourceIP)
	return err == nil && o.EndpointID == "" && a.Unmap().IsLoopback()
}

// A Target is what an action is asked for.
type Target struct {
	ARN         string
	Account     string // owner; the caller's own when empty
	Policy      *policy.Doc
	RootOfTrust bool // the resource policy must allow, or must delegate to IAM
	AWSManaged  bool // no resource control policy speaks of it
	Tags        map[string]string
}

// A Question is one demand of one call.
type Question struct {
	Subject *Subject
	Action  string
	Target  Target
	Keys    policy.Context // keys that describe the request
	Origin  *Origin        // nil for a forwarded call: network keys and endpoint policies do not apply again
	Via     []string       // services that forwarded the call, first caller first
	Grant   *policy.Grant  // of the resource, that allows it
	Free    bool           // no permission is needed; a Deny still refuses
	MFA     bool           // the call itself brought a good one-time code of the caller's
	// Aside marks a demand that is not for an action of the called service, such as
	// iam:PassRole of CreateTrainingJob: an endpoint's policy is about the calls that
	// come through it, and has no say.
	Aside     bool
	Region    string
	Now       time.Time
	UserAgent string
}

// Decide gathers and decides. An error is a refusal whose cause is ours.
func (a *Authorizer) Decide(ctx context.Context, sn *store.Snapshot, q *Question) (policy.Decision, error) {
	if q.beyond() {
		return policy.Decision{}, nil
	}
	in, err := a.Gather(ctx, sn, q)
	if err != nil {
		return policy.Decision{}, err
	}
	d := policy.Decide(in)
	if q.Free && !d.Allowed && d.Doc == "" { // nothing denies, and nothing is unreadable
		return policy.Decide(a.freely(in)), nil
	}
	return d, nil
}

// freely is an input without the policies that merely fail to allow: that of an
// endpoint alone stays, which is about the way and not about the caller.
func (a *Authorizer) freely(in *policy.Input) *policy.Input {
	free := *in
	free.SCPs, free.RCPs, free.Boundary, free.Identity = nil, nil, nil, []policy.Doc{a.free}
	return &free
}

// Gather collects what applies to a question, for Decide and for explanations.
func (a *Authorizer) Gather(ctx context.Context, sn *store.Snapshot, q *Question) (*policy.Input, error) {
	s := q.Subject
	owner := q.Target.Account
	if owner == "" {
		owner = s.Principal.Account
	}
	resourceSide := s.Account
	if owner != s.Account.ID {
		var err error
		if resourceSide, err = a.src.Organization.Account(ctx, sn, owner); err != nil && !errors.Is(err, ErrGone) {
			return nil, fmt.Errorf("authz: account that owns %s: %w", q.Target.ARN, err)
		}
		if err != nil || !resourceSide.Active {
			// Nothing speaks for what an absent account owns. The refusal is the same
			// as for a resource that is not there, so that account ids cannot be probed.
			resourceSide = &Account{ID: owner}
			q.Target.Policy, q.Grant = a.absent(q.Target.Policy), nil
		}
	}
	in := &policy.Input{
		Action:          q.Action,
		Resource:        q.Target.ARN,
		Principal:       s.Principal,
		ResourceAccount: owner,
		ResourcePolicy:  q.Target.Policy,
		RootOfTrust:     q.Target.RootOfTrust,
		Grant:           q.Grant,
		Session:         s.Claim.SessionPolicies,
		HasSession:      s.Claim.HasSession,
		Catalogue:       a.src.Catalogue,
	}
	var err error
	if in.Context, err = a.requestKeys(ctx, sn, q, resourceSide); err != nil {
		return nil, err
	}
	switch {
	case s.Entity != nil:
		in.Identity, in.Boundary = s.Entity.Policies, s.Entity.Boundary
	case s.Claim.Kind == Service:
		in.Identity = a.src.ServicePolicies.ServicePolicy(s.Claim.ID)
	}
	if s.Entity != nil && !s.Account.Management && !s.serviceLinked() {
		in.SCPs = s.Account.SCPs
	}
	if resourceSide.RCPs != nil && !q.Target.AWSManaged && !resourceSide.Management && !s.serviceLinked() && controlled(q.Action) {
		in.RCPs = resourceSide.RCPs
	}
	if q.Origin != nil && q.Origin.EndpointID != "" && !q.Aside {
		if a.src.Endpoints == nil {
			return nil, fmt.Errorf("authz: a call came through %s and nothing here knows endpoint policies", q.Origin.EndpointID)
		}
		docs, err := a.src.Endpoints.EndpointPolicy(ctx, sn, q.Origin.EndpointID)
		if err != nil {
			return nil, err
		}
		in.Endpoint = append([]policy.Doc{}, docs...) // none is not nil: an endpoint without a policy lets nothing through
	}
	return in, nil
}

// absent stands for the policy of what an absent account owns. It allows nobody, and
// is of the same kind, which refusals tell.
func (a *Authorizer) absent(d *policy.Doc) *policy.Doc {
	if d != nil && d.Policy != nil && d.Policy.Kind() == policy.Trust {
		return &a.nobody
	}
	return nil
}

// controlled says whether resource control policies speak of an action. AWS
// supports these services (Organizations user guide, "Resource control policies");
// RetireGrant passes them by.
func controlled(action string) bool {
	service, name, _ := strings.Cut(strings.ToLower(action), ":")
	switch service {
	case "s3", "sts", "sqs", "secretsmanager", "dynamodb", "logs", "ecr", "cognito-idp", "aoss":
		return true
	case "kms":
		return name != "retiregrant"
	}
	return false
}

// beyond says that a session of a user asks for what its kind never may: without a
// one-time code no session of a user calls iam, a federated user never does, and of
// sts they may ask who they are and, unless federated, for a role (IAM user guide,
// "Compare AWS STS credentials"). Who only signed in has no policies, and is nobody
// whom a resource's policy could mean.
func (q *Question) beyond() bool {
	c := &q.Subject.Claim
	if c.Kind == Centre {
		return true
	}
	if q.Aside || len(q.Via) > 0 || !c.Temporary() || c.Kind == Role {
		return false
	}
	switch service, name, _ := strings.Cut(strings.ToLower(q.Action), ":"); service {
	case "iam":
		return c.Kind == Federated || c.MFA.IsZero()
	case "sts":
		return c.Kind == Federated || !slices.Contains([]string{"assumerole", "tagsession", "setsourceidentity", "setcontext"}, name)
	}
	return false
}

// maxHeader is how much of a header that says anything counts: a policy of many
// wildcards is matched against all of it.
const maxHeader = 2048

func bounded(s string) string { return s[:min(len(s), maxHeader)] }

// requestKeys adds to the identity's keys those of the request, the resource and
// the network.
func (a *Authorizer) requestKeys(ctx context.Context, sn *store.Snapshot, q *Question, owner *Account) (policy.Context, error) {
	k := make(policy.Context, len(q.Subject.Keys)+len(q.Keys)+9)
	maps.Copy(k, q.Keys)
	maps.Copy(k, q.Subject.Keys) // after the request's, so that none of those can pose as identity
	if c := &q.Subject.Claim; q.MFA {
		k.Set("aws:MultiFactorAuthPresent", "true")
		k.Set("aws:MultiFactorAuthAge", "0")
	} else if c.Temporary() && !c.MFA.IsZero() {
		k.Set("aws:MultiFactorAuthAge", fmt.Sprint(max(0, int64(q.Now.Sub(c.MFA).Seconds()))))
	}
	k.Set("aws:CurrentTime", q.Now.UTC().Format(time.RFC3339))
	k.Set("aws:EpochTime", strconv.FormatInt(q.Now.Unix(), 10))
	k.Set("aws:RequestedRegion", cmp.Or(q.Region, a.src.Region))
	k.Set("aws:ResourceAccount", owner.ID)
	if owner.OrgID != "" {
		k.Set("aws:ResourceOrgID", owner.OrgID)
		k.Set("aws:ResourceOrgPaths", owner.OrgPath)
	}
	for name, value := range q.Target.Tags {
		k.Set("aws:ResourceTag/"+name, value)
	}
	if q.UserAgent != "" {
		k.Set("aws:UserAgent", bounded(q.UserAgent))
	}
	if len(q.Via) > 0 {
		k.Set("aws:ViaAWSService", "true")
		k.Set("aws:CalledVia", q.Via...)
		k.Set("aws:CalledViaFirst", q.Via[0])
		k.Set("aws:CalledViaLast", q.Via[len(q.Via)-1])
	} else {
		k.Set("aws:ViaAWSService", "false")
	}
	if o := q.Origin; o != nil {
		k.Set("aws:SecureTransport", strconv.FormatBool(o.TLS))
		if o.EndpointID != "" {
			k.Set("aws:SourceVpce", o.EndpointID)
			k.Set("aws:SourceVpc", o.VPC)
			k.Set("aws:SourceVpcArn", "arn:aws:ec2:"+q.Region+":"+o.VPCAccount+":vpc/"+o.VPC)
			if o.SourceIP != "" {
				k.Set("aws:VpcSourceIp", o.SourceIP)
			}
			k.Set("aws:VpceAccount", o.VPCAccount)
			home, err := a.src.Organization.Account(ctx, sn, o.VPCAccount)
			if err != nil && !errors.Is(err, ErrGone) {
				return nil, err
			}
			if err == nil && home.OrgID != "" {
				k.Set("aws:VpceOrgID", home.OrgID)
				k.Set("aws:VpceOrgPaths", home.OrgPath)
			}
		} else if o.SourceIP != "" { // a supposed call comes from nowhere
			k.Set("aws:SourceIp", o.SourceIP)
		}
		if o.Referer != "" {
			k.Set("aws:Referer", bounded(o.Referer))
		}
	}
	return k, nil
}
