package sts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/sts"
)

const (
	defaultDuration   = time.Hour
	maxChained        = time.Hour // of a session that a session made
	maxSessionPolicy  = 2048      // characters
	maxPolicyARNs     = 10
	maxTags           = 50
	identityCenterARN = "arn:aws:iam::aws:contextProvider/IdentityCenter"
)

// A grant is a session that AssumeRole is about to make.
type grant struct {
	role     *api.Entity
	claim    api.Claim
	policies SessionPolicies
}

// assumedRole finds the role and demands all that the request amounts to. A role
// that is not there trusts nobody, and so is refused like one that does not trust
// the caller.
func (s *Service) assumedRole(ctx context.Context, c *api.Call, in *shape.AssumeRoleInput) (*grant, []api.Demand, error) {
	resource, entity, err := role(ctx, c, in.RoleArn)
	if err != nil {
		return nil, nil, err
	}
	g := &grant{role: entity}
	g.claim = api.Claim{Kind: api.KindRole, Account: resource.Account, SessionName: in.RoleSessionName, Chained: c.Claim().Kind == api.KindRole}
	if entity != nil {
		g.claim.ID = entity.ID
	}
	keys := policy.Context{}
	keys.Set("sts:RoleSessionName", in.RoleSessionName)
	if in.ExternalId != "" {
		keys.Set("sts:ExternalId", in.ExternalId)
	}
	actions := []string{"sts:AssumeRole"}

	if err := g.tag(c.Claim(), in, keys); err != nil {
		return nil, nil, err
	}
	if len(g.claim.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}

	g.claim.SourceIdentity = c.Claim().SourceIdentity
	if in.SourceIdentity != "" {
		if was := g.claim.SourceIdentity; was != "" && was != in.SourceIdentity {
			return nil, nil, &api.Error{Code: "AccessDenied", Status: 403, Message: "The source identity of a session cannot be changed."}
		}
		g.claim.SourceIdentity = in.SourceIdentity
	}
	if g.claim.SourceIdentity != "" {
		keys.Set("sts:SourceIdentity", g.claim.SourceIdentity)
		actions = append(actions, "sts:SetSourceIdentity")
	}

	if g.claim.Person, err = s.person(ctx, c, in.ProvidedContexts, keys); err != nil {
		return nil, nil, err
	}
	if len(in.ProvidedContexts) > 0 {
		actions = append(actions, "sts:SetContext")
	}

	if err := s.narrow(ctx, c, g, in); err != nil {
		return nil, nil, err
	}
	var demands []api.Demand
	for _, action := range actions {
		demands = append(demands, api.Demand{Action: action, Resource: resource, Keys: keys})
	}
	return g, demands, nil
}

// role finds a role as sts decides about it: its trust policy must allow.
func role(ctx context.Context, c *api.Call, name string) (api.Resource, *api.Entity, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || len(a.Account) != 12 || !strings.HasPrefix(a.Resource, "role/") {
		return api.Resource{}, nil, invalid("%s is invalid", name)
	}
	f, err := c.Resource(ctx, name)
	if err != nil {
		return api.Resource{}, nil, err
	}
	r := f.Resource
	r.RootOfTrust, r.Policy = true, nil
	if r.Missing != nil {
		r.Missing = refused(name)
		return r, nil, nil
	}
	e, ok := f.Detail.(*api.Entity)
	if !ok || e.Kind != api.KindRole {
		return api.Resource{}, nil, invalid("%s is invalid", name)
	}
	r.Policy = e.Trust
	return r, e, nil
}

// tag puts together the session's tags: those of the request, and those that the
// caller's session hands on.
func (g *grant) tag(caller api.Claim, in *shape.AssumeRoleInput, keys policy.Context) error {
	all, folded := map[string]string{}, map[string]string{}
	transitive := slices.Clone(caller.TransitiveTags)
	for _, name := range caller.TransitiveTags {
		all[name], folded[strings.ToLower(name)] = caller.Tags[name], "inherited"
	}
	for _, t := range in.Tags {
		switch f := strings.ToLower(t.Key); {
		case strings.HasPrefix(f, "aws:"):
			return invalid("Tag keys may not begin with aws:, which is reserved.")
		case folded[f] == "inherited":
			return fail("InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		case folded[f] != "":
			return fail("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		default:
			all[t.Key], folded[f] = t.Value, "requested"
		}
	}
	if len(all) > maxTags {
		return invalid("A session may have %d tags.", maxTags)
	}
	for _, name := range in.TransitiveTagKeys {
		if _, ok := all[name]; !ok {
			return fail("InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.")
		}
		if !slices.Contains(transitive, name) {
			transitive = append(transitive, name)
		}
	}
	if len(all) == 0 {
		return nil
	}
	g.claim.Tags, g.claim.TransitiveTags = all, transitive
	var names []string
	for name, value := range all {
		keys.Set("aws:RequestTag/"+name, value)
		names = append(names, name)
	}
	slices.Sort(names)
	keys.Set("aws:TagKeys", names...)
	keys.Set("sts:TransitiveTagKeys", transitive...)
	return nil
}

// person is who stands behind the new session: whoever stands behind the caller,
// and else the one whom a context of the identity centre names. Neither can be
// dropped, nor exchanged for another.
func (s *Service) person(ctx context.Context, c *api.Call, provided []shape.ProvidedContext, keys policy.Context) (*api.Person, error) {
	carried := c.Person()
	if len(provided) == 0 {
		return carried, nil
	}
	if len(provided) > 1 {
		return nil, invalid("Only one context can be provided.")
	}
	if s.cfg.Contexts == nil || provided[0].ProviderArn != identityCenterARN {
		return nil, invalid("The context provider %s is not supported.", provided[0].ProviderArn)
	}
	named, err := s.cfg.Contexts.Open(ctx, c.Snapshot, provided[0].ContextAssertion, c.Now)
	switch {
	case errors.Is(err, api.ErrExpired):
		return nil, fail("ExpiredTokenException", "The context assertion has expired.")
	case errors.Is(err, api.ErrGone), err == nil && (named == nil || named.UserID == ""):
		return nil, invalid("The context assertion is invalid.")
	case err != nil:
		return nil, err
	case carried != nil && (carried.UserID != named.UserID || carried.IdentityStoreARN != named.IdentityStoreARN):
		return nil, &api.Error{Code: "AccessDenied", Status: 403, Message: "The caller acts on behalf of one person and the provided context names another."}
	}
	keys.Set("sts:RequestContextProviders", identityCenterARN)
	for name, value := range map[string]string{
		"identitystore:UserId": named.UserID, "identitystore:IdentityStoreArn": named.IdentityStoreARN,
		"identitycenter:InstanceArn": named.InstanceARN, "identitycenter:ApplicationArn": named.ApplicationARN,
		"identitycenter:CredentialId": named.CredentialID,
	} {
		if value != "" {
			keys.Set("sts:RequestContext/"+name, value)
		}
	}
	return named, nil
}

// narrow reads the session policies. Managed ones must be the role's account's,
// or AWS's.
func (s *Service) narrow(ctx context.Context, c *api.Call, g *grant, in *shape.AssumeRoleInput) error {
	if in.Policy != "" {
		p, err := policy.Parse([]byte(in.Policy), policy.SessionPolicy)
		if err != nil {
			return malformed(err)
		}
		for _, f := range policy.Validate(p, s.cfg.Catalogue) {
			if !strings.HasSuffix(f.Element, "Action") {
				return fail("MalformedPolicyDocument", "Statement %d: %s.", f.Statement+1, f.Message)
			}
		}
		if len(in.Policy) > 4*maxSessionPolicy {
			return tooLarge(4 * len(in.Policy))
		}
		g.policies.Inline = in.Policy
	}
	if len(in.PolicyArns) > maxPolicyARNs {
		return invalid("A session may have %d managed policies.", maxPolicyARNs)
	}
	for _, d := range in.PolicyArns {
		account, ok := policyAccount(d.Arn)
		if s.cfg.Policies == nil || !ok || account != g.claim.Account && account != "aws" {
			return invalid("%s is not a policy of the role's account.", d.Arn)
		}
		f, err := c.Resource(ctx, d.Arn)
		if err != nil {
			return err
		}
		p, ok := f.Detail.(*iamshape.Policy)
		if f.Missing != nil || !ok || p.PolicyId == "" {
			// A caller who may not assume the role must not learn what its account has.
			g.policies.Managed = append(g.policies.Managed, "")
			continue
		}
		if !slices.Contains(g.policies.Managed, p.PolicyId) {
			g.policies.Managed = append(g.policies.Managed, p.PolicyId)
		}
	}
	return nil
}

func policyAccount(name string) (string, bool) {
	a, err := arn.Parse(name)
	return a.Account, err == nil && a.Partition == "aws" && a.Service == "iam" && strings.HasPrefix(a.Resource, "policy/")
}

func (s *Service) assumeRole(_ context.Context, c *api.Call, in *shape.AssumeRoleInput, g *grant) (*shape.AssumeRoleOutput, error) {
	if i := slices.Index(g.policies.Managed, ""); i >= 0 {
		return nil, invalid("A policy that PolicyArns names does not exist.")
	}
	duration := defaultDuration
	if in.DurationSeconds != nil {
		duration = time.Duration(*in.DurationSeconds) * time.Second
	}
	switch {
	case duration < 15*time.Minute:
		return nil, invalid("DurationSeconds must be at least 900.")
	case duration > g.role.MaxSession:
		return nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case g.claim.Chained && duration > maxChained:
		return nil, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	g.claim.Issued = c.Now.UTC().Truncate(time.Microsecond)
	g.claim.Expires = g.claim.Issued.Add(duration).Truncate(time.Second)
	made, err := s.Issue(g.claim, g.policies)
	if err != nil {
		return nil, err
	}
	session := &shape.AssumedRoleUser{
		Arn:           "arn:aws:sts::" + g.role.Account + ":assumed-role/" + g.role.Name + "/" + in.RoleSessionName,
		AssumedRoleId: g.role.ID + ":" + in.RoleSessionName,
	}
	c.Note("assumedRoleUser", session.Arn)
	c.Note("assumedRoleId", session.AssumedRoleId)
	c.Note("accessKeyId", made.AccessKeyID)
	c.Note("expiration", made.Expiration.Format(time.RFC3339))
	if p := g.claim.Person; p != nil {
		c.Note("onBehalfOf", p.UserID)
	}
	out := &shape.AssumeRoleOutput{
		AssumedRoleUser: session, SourceIdentity: g.claim.SourceIdentity,
		Credentials: &shape.Credentials{
			AccessKeyId: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey, SessionToken: made.SessionToken, Expiration: made.Expiration,
		},
	}
	if g.policies.any() || len(g.claim.Tags) > 0 {
		percent := int32(len(made.SessionToken) * 100 / maxToken)
		out.PackedPolicySize = &percent
	}
	return out, nil
}
