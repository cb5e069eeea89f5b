package iam

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
)

// A supposition is what a simulation supposes of every request that it judges.
type supposition struct {
	from               *source
	actions, resources []string
	extra              []policy.Doc // PolicyInputList
	size               int          // bytes of all policies in the input
	boundary           *policy.Doc
	caller             *policy.Principal // nil: the source itself, as far as it is one
	resourcePolicy     *policy.Doc
	owner              string // of resources whose ARNs do not tell
	given              policy.Context
	catalogue          policy.Catalogue
}

// supposition reads the input of a simulation.
func (s *Service) supposition(c *api.Call, from *source, in *shape.SimulateCustomPolicyInput) (*supposition, error) {
	if in.ResourceHandlingOption != "" {
		return nil, badInput("ResourceHandlingOption %s is not supported: there are no instances here to launch.", in.ResourceHandlingOption)
	}
	x := &supposition{
		from: from, actions: in.ActionNames, resources: in.ResourceArns, boundary: from.boundary(), owner: c.Account, catalogue: s.cfg.Catalogue,
	}
	if len(x.actions) == 0 {
		return nil, badInput("At least one action is needed in ActionNames.")
	}
	for _, a := range x.actions {
		service, name, ok := strings.Cut(a, ":")
		if !ok || service == "" || name == "" || strings.ContainsAny(a, "*?") || x.catalogue != nil && !x.catalogue.KnownAction(fold(a)) {
			return nil, badInput("Invalid action name: %s", a)
		}
	}
	if len(x.resources) == 0 {
		x.resources = []string{"*"}
	}
	for _, r := range x.resources {
		if _, ok := arn.Split(r); r != "*" && !ok {
			return nil, badInput("Invalid resource ARN: %s", r)
		}
	}
	for _, text := range slices.Concat(in.PolicyInputList, in.PermissionsBoundaryPolicyInputList, []string{in.ResourcePolicy}) {
		x.size += len(text)
	}
	var err error
	if x.extra, err = inputPolicies("PolicyInputList", in.PolicyInputList, policy.Identity); err != nil {
		return nil, err
	}
	bounds, err := inputPolicies("PermissionsBoundaryPolicyInputList", in.PermissionsBoundaryPolicyInputList, policy.Identity)
	switch {
	case err != nil:
		return nil, err
	case len(bounds) > 1:
		return nil, badInput("Only one permissions boundary policy can be given.")
	case len(bounds) == 1:
		x.boundary = &bounds[0]
	}
	if err := x.called(in.CallerArn); err != nil {
		return nil, err
	}
	if err := x.owned(in); err != nil {
		return nil, err
	}
	x.given, err = contextEntries(in.ContextEntries)
	return x, err
}

// called reads who makes the requests. He is not looked for: whether there is such a
// user is not for every simulating caller to know.
func (x *supposition) called(name string) error {
	if u := x.from.user(); name == "" || u != nil && u.ARN == name {
		return nil
	}
	k, account, _ := namedSource(name)
	if k != user || !accountID(account) {
		return unclear(name)
	}
	x.caller = &policy.Principal{Kind: policy.User, Account: account, ARN: name}
	return nil
}

// owned reads the policy and the owner of the resources.
func (x *supposition) owned(in *shape.SimulateCustomPolicyInput) error {
	if x.caller != nil {
		x.owner = x.caller.Account
	}
	if in.ResourceOwner != "" {
		x.owner = strings.TrimSuffix(strings.TrimPrefix(in.ResourceOwner, "arn:aws:iam::"), ":root")
		if !accountID(x.owner) {
			return badInput("Invalid ResourceOwner: %s", in.ResourceOwner)
		}
	}
	if in.ResourcePolicy == "" {
		return nil
	}
	if x.caller == nil && x.from.user() == nil {
		return badInput("CallerArn is required with a ResourcePolicy, unless PolicySourceArn is a user.")
	}
	p, err := policy.Parse([]byte(in.ResourcePolicy), policy.Resource)
	if err != nil {
		return badPolicy("ResourcePolicy", err)
	}
	x.resourcePolicy = &policy.Doc{Name: "ResourcePolicy", Policy: p}
	return nil
}

// input is everything that speaks for or against one request.
func (x *supposition) input(ctx context.Context, c *api.Call, action, resource string) (*policy.Input, error) {
	var in *policy.Input
	if x.from.entity != nil && x.caller == nil {
		var err error
		if in, err = c.Suppose(ctx, x.from.entity, action, resource); err != nil {
			return nil, err
		}
		if x.from.user() == nil { // what only a real session has
			in.Context.Set("aws:userid")
			in.Context.Set("aws:TokenIssueTime")
		}
	} else {
		in = x.asCaller(c)
		in.Action, in.Resource, in.Identity = action, resource, x.from.policies()
	}
	in.Identity = append(in.Identity[:len(in.Identity):len(in.Identity)], x.extra...)
	in.Boundary, in.ResourcePolicy, in.ResourceAccount = x.boundary, x.resourcePolicy, x.owner
	if parts, ok := arn.Split(resource); ok && parts[4] != "" {
		in.ResourceAccount = parts[4]
	}
	if in.ResourceAccount != c.Account { // nothing that another account keeps is looked at
		in.RCPs = nil
		in.Context.Set("aws:ResourceOrgID")
		in.Context.Set("aws:ResourceOrgPaths")
	}
	in.Context.Set("aws:ResourceAccount", in.ResourceAccount)
	in.RootOfTrust = x.resourcePolicy != nil && strings.HasPrefix(resource, "arn:aws:kms:")
	for key, values := range x.given {
		in.Context.Set(key, values...)
	}
	return in, nil
}

// asCaller is what a request brings along that somebody else makes with the policies
// of the source, or nobody who can be named.
func (x *supposition) asCaller(c *api.Call) *policy.Input {
	in := &policy.Input{Principal: policy.Principal{Kind: policy.User, Account: c.Account}, Context: policy.Context{}, Catalogue: x.catalogue}
	in.Context.Set("aws:CurrentTime", c.Now.UTC().Format(time.RFC3339))
	in.Context.Set("aws:EpochTime", fmt.Sprint(c.Now.Unix()))
	in.Context.Set("aws:RequestedRegion", c.Region)
	in.Context.Set("aws:ViaAWSService", "false")
	in.Context.Set("aws:PrincipalIsAWSService", "false")
	if x.caller != nil {
		in.Principal = *x.caller
		in.Context.Set("aws:PrincipalArn", x.caller.ARN)
		in.Context.Set("aws:PrincipalType", "User")
		in.Context.Set("aws:username", x.caller.ARN[strings.LastIndexByte(x.caller.ARN, '/')+1:])
	}
	in.Context.Set("aws:PrincipalAccount", in.Principal.Account)
	home := c.Organization()
	if in.Principal.Account == home.ID && home.OrgID != "" {
		in.Context.Set("aws:PrincipalOrgID", home.OrgID)
		in.Context.Set("aws:PrincipalOrgPaths", home.OrgPath)
	}
	// A simulation of custom policies does not tell what the organization forbids: it
	// takes no permission on anything of the account.
	if x.from.kind != "" && !home.Management {
		in.SCPs = home.SCPs
	}
	return in
}
