package ec2

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// admits says whether a caller may make an endpoint that leads to a service, and so
// hears that there is one: its owner's account may, and whom she named. That she
// takes a name off her list ends no connection; rejecting it does.
func (v *endpointService) admits(who policy.Principal) bool {
	if who.Account == v.Account {
		return true
	}
	return slices.ContainsFunc(v.Allowed, func(p servicePermission) bool {
		switch principalType(p.Principal) {
		case ec2.PrincipalTypeAll:
			return true
		case ec2.PrincipalTypeAccount:
			return who.Account != "" && p.Principal == rootOf(who.Account)
		case ec2.PrincipalTypeUser:
			return who.Kind == policy.User && p.Principal == who.ARN
		case ec2.PrincipalTypeRole:
			return who.Kind == policy.Session && p.Principal == who.RoleARN
		}
		return false
	})
}

func rootOf(account string) string { return "arn:aws:iam::" + account + ":root" }

// principalType is what a principal is who can be allowed; empty for all others.
func principalType(name string) ec2.PrincipalType {
	if name == "*" {
		return ec2.PrincipalTypeAll
	}
	a, err := arn.Parse(name)
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || !accountID.MatchString(a.Account) ||
		strings.ContainsAny(name, "*?$") || len(name) > maxPrincipal {
		return ""
	}
	kind, rest, _ := strings.Cut(a.Resource, "/")
	switch {
	case a.Resource == "root":
		return ec2.PrincipalTypeAccount
	case kind == "user" && rest != "":
		return ec2.PrincipalTypeUser
	case kind == "role" && rest != "":
		return ec2.PrincipalTypeRole
	}
	return ""
}

const (
	maxPrincipal     = 2048
	permissionPrefix = "vpce-svc-perm-"
)

func (s *Service) changedPermissions(_ context.Context, c *api.Call, in *ec2.ModifyVpcEndpointServicePermissionsInput) (*found[*endpointService], []api.Demand, error) {
	return changing[*endpointService](s, c, "ModifyVpcEndpointServicePermissions", in.ServiceId,
		given{"AddAllowedPrincipals", len(in.AddAllowedPrincipals) > 0}, given{"RemoveAllowedPrincipals", len(in.RemoveAllowedPrincipals) > 0})
}

func (s *Service) modifyPermissions(_ context.Context, c *api.Call, in *ec2.ModifyVpcEndpointServicePermissionsInput, f *found[*endpointService]) (api.Commit[ec2.ModifyVpcEndpointServicePermissionsOutput], error) {
	for _, p := range slices.Concat(in.AddAllowedPrincipals, in.RemoveAllowedPrincipals) {
		if principalType(p) == "" {
			return nil, fail("InvalidPrincipal", "Invalid Principal: '%.256s'; allowed are *, arn:aws:iam::ACCOUNT:root, and ARNs of users and roles", p)
		}
	}
	return func(tx *store.Tx) (*ec2.ModifyVpcEndpointServicePermissionsOutput, error) {
		v, err := owned[*endpointService](tx, c.Account, f.it.ID)
		if err != nil {
			return nil, err
		}
		out := &ec2.ModifyVpcEndpointServicePermissionsOutput{ReturnValue: ptr(true)}
		for _, name := range in.RemoveAllowedPrincipals {
			before := len(v.Allowed)
			v.Allowed = slices.DeleteFunc(v.Allowed, func(p servicePermission) bool { return p.Principal == name })
			if len(v.Allowed) == before {
				return nil, fail("InvalidPrincipal", "Invalid Principal: '%.256s' is not allowed to use %s", name, v.ID)
			}
		}
		for _, name := range unique(in.AddAllowedPrincipals) {
			if slices.ContainsFunc(v.Allowed, func(p servicePermission) bool { return p.Principal == name }) {
				continue
			}
			p := servicePermission{ID: permissionPrefix + kindService.newID()[len(kindService.prefix):], Principal: name}
			v.Allowed = append(v.Allowed, p)
			out.AddedPrincipals = append(out.AddedPrincipals, ec2.AddedPrincipal{
				Principal: name, PrincipalType: principalType(name), ServiceId: v.ID, ServicePermissionId: p.ID,
			})
		}
		if len(v.Allowed) > maxPermissions {
			return nil, fail("VpcEndpointServicePermissionLimitExceeded", "An endpoint service allows at most %d principals.", maxPermissions)
		}
		return out, s.put(tx, v)
	}, nil
}

func (s *Service) permissionsOf(_ context.Context, c *api.Call, in *ec2.DescribeVpcEndpointServicePermissionsInput) (*found[*endpointService], []api.Demand, error) {
	return one[*endpointService](s, c, "DescribeVpcEndpointServicePermissions", in.ServiceId)
}

// A listedPermission is a permission as a listing needs it.
type listedPermission struct {
	meta
	servicePermission
	service string
}

func (*listedPermission) kind() *kind { return kindService }

func (s *Service) describePermissions(_ context.Context, c *api.Call, in *ec2.DescribeVpcEndpointServicePermissionsInput, f *found[*endpointService]) (*ec2.DescribeVpcEndpointServicePermissionsOutput, error) {
	list, next, err := listRegional(c, regional[*listedPermission, ec2.AllowedPrincipal]{
		items: func(store.Querier, string) (all []*listedPermission, err error) {
			for _, p := range f.it.Allowed {
				all = append(all, &listedPermission{meta{ID: p.ID}, p, f.it.ID})
			}
			return all, nil
		},
		filters: map[string]func(*listedPermission) []string{
			"principal":      func(p *listedPermission) []string { return []string{p.Principal} },
			"principal-type": func(p *listedPermission) []string { return []string{string(principalType(p.Principal))} },
		},
		show: func(p *listedPermission) ec2.AllowedPrincipal {
			return ec2.AllowedPrincipal{
				Principal: p.Principal, PrincipalType: principalType(p.Principal), ServiceId: p.service, ServicePermissionId: p.servicePermission.ID,
			}
		},
	}, ask{nil, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeVpcEndpointServicePermissionsOutput{AllowedPrincipals: list, NextToken: next}, err
}
