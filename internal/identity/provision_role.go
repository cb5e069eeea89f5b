package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	iam "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// Principal is what Run acts as; IAM lets nobody else touch the roles.
const Principal = "sso.amazonaws.com"

// inlineName is what AWS calls the inline policy of such a role.
const inlineName = "AwsSSOInlinePolicy"

// trust is the trust policy of every role: people enter by the identity centre alone.
const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + Principal +
	`"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity","sts:SetContext"]}]}`

// ServicePolicy says what the service may do on its own: keep its roles, see what has
// their names (a role that is not there has no path), and look for the policies that
// permission sets refer to.
func ServicePolicy() []policy.Doc {
	p, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Resource":"arn:aws:iam::*:role/aws-reserved/`+Principal+`/*","Action":[
			"iam:CreateRole","iam:UpdateRole","iam:DeleteRole","iam:PutRolePermissionsBoundary","iam:DeleteRolePermissionsBoundary",
			"iam:AttachRolePolicy","iam:DetachRolePolicy","iam:PutRolePolicy","iam:DeleteRolePolicy"]},
		{"Effect":"Allow","Resource":"arn:aws:iam::*:role/*","Action":["iam:GetRole","iam:ListAttachedRolePolicies"]},
		{"Effect":"Allow","Resource":"arn:aws:iam::*:policy/*","Action":"iam:GetPolicy"}]}`), policy.Identity)
	if err != nil {
		return nil // and the service may do nothing; every test of it reads it
	}
	return []policy.Doc{{Name: "service policy of " + Principal, Policy: p}}
}

// follow makes the role of a pair what the permission set says now, or takes it away
// if nobody is assigned, and notes that. A role that is up to date is left, unless
// again asks to go over it.
func (s *Service) follow(ctx context.Context, door *api.Door, p pair, again bool) error {
	sn, err := door.Store.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer sn.Close()
	r, err := roleOf(sn, p)
	if err != nil || r == nil {
		return err
	}
	if _, err := sn.Version(roleKey(r.arn)); err != nil {
		return err
	}
	set, err := s.permissionSet(sn, p.set)
	if err != nil || set == nil {
		return err // it cannot be deleted while a role is there
	}
	var held bool
	if err := sn.QueryRow(`SELECT `+wanted+` FROM identity_roles r WHERE role = ?`, toAssign, string(shape.StatusValuesInProgress), r.arn).Scan(&held); err != nil {
		return err
	}
	seen := sn.Dependencies()
	sn.Close()
	if held && r.revision == set.revision && !again {
		return nil
	}
	if !held && r.revision > 0 { // who is assigned while it goes must find that it may be gone
		err := door.Store.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE identity_roles SET revision = 0 WHERE role = ?`, r.arn)
			return errors.Join(tx.Unchanged(seen), err, tx.Touch(roleKey(r.arn)))
		})
		if err != nil {
			return err
		}
		return s.follow(ctx, door, p, again)
	}
	length, err := sessionLength(set.Shown.SessionDuration)
	if err != nil {
		return err
	}
	event := s.event("PermissionSetProvisioned", p.set, map[string]any{"roleArn": r.arn, "revision": set.revision})
	change := func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE identity_roles SET revision = ?, seconds = ? WHERE role = ?`, set.revision, int64(length/time.Second), r.arn)
		return err
	}
	if held {
		err = establish(ctx, door, r, set, length)
	} else {
		err = unmake(ctx, door, r)
		event = s.event("PermissionSetRemoved", p.set, map[string]any{"roleArn": r.arn})
		change = func(tx *store.Tx) error {
			_, err := tx.Exec(`DELETE FROM identity_roles WHERE role = ?`, r.arn)
			return err
		}
	}
	if err != nil {
		return err
	}
	return door.Happened(ctx, event, func(tx *store.Tx) error {
		return errors.Join(tx.Unchanged(seen), change(tx), tx.Touch(roleKey(r.arn)))
	})
}

// act begins calls in an account.
func act(ctx context.Context, door *api.Door, account string) (*api.Call, error) {
	return door.Begin(ctx, api.Claim{Kind: api.KindService, Account: account, ID: Principal}, "")
}

// but makes nothing of an error with a certain code.
func but(code string, err error) error {
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == code {
		return nil
	}
	return err
}

// establish goes from what a role is to what it should be in an order in which it never
// may more than it was or will be: what is not wanted goes first, then the boundary
// changes, then the rest comes.
func establish(ctx context.Context, door *api.Door, r *role, set *permissionSet, length time.Duration) error {
	c, err := act(ctx, door, r.account)
	if err != nil {
		return err
	}
	policies, boundary, err := set.in(ctx, c, r.account)
	if err != nil {
		return err
	}
	now, err := raise(ctx, c, r, int32(length/time.Second), boundary)
	if err != nil {
		return err
	}
	attached, err := api.Invoke[iam.ListAttachedRolePoliciesOutput](ctx, c, "iam:ListAttachedRolePolicies", &iam.ListAttachedRolePoliciesInput{RoleName: r.name()})
	if err != nil {
		return err
	}
	var there []string
	for _, a := range attached.AttachedPolicies {
		if slices.Contains(policies, a.PolicyArn) {
			there = append(there, a.PolicyArn)
		} else if err := detach(ctx, c, r, a.PolicyArn); err != nil {
			return err
		}
	}
	if now != boundary {
		if err := errors.Join(dropInline(ctx, c, r), bound(ctx, c, r, boundary)); err != nil {
			return err
		}
	}
	for _, arn := range policies {
		if slices.Contains(there, arn) {
			continue
		}
		if _, err := api.Invoke[iam.AttachRolePolicyOutput](ctx, c, "iam:AttachRolePolicy", &iam.AttachRolePolicyInput{RoleName: r.name(), PolicyArn: arn}); err != nil {
			return err
		}
	}
	if set.Inline == "" {
		return dropInline(ctx, c, r)
	}
	_, err = api.Invoke[iam.PutRolePolicyOutput](ctx, c, "iam:PutRolePolicy", &iam.PutRolePolicyInput{RoleName: r.name(), PolicyName: inlineName, PolicyDocument: set.Inline})
	return err
}

// in answers which policies a set means in an account, and its boundary there, if it
// has one. All must be there before anything is changed.
func (p *permissionSet) in(ctx context.Context, c *api.Call, account string) (policies []string, boundary string, err error) {
	policies = slices.Clone(p.Managed)
	for _, r := range p.Customer {
		policies = append(policies, r.arn(account))
	}
	all := policies
	if p.Boundary != nil {
		boundary = p.Boundary.arn(account)
		all = append(slices.Clone(policies), boundary)
	}
	for _, arn := range all {
		if _, err := api.Invoke[iam.GetPolicyOutput](ctx, c, "iam:GetPolicy", &iam.GetPolicyInput{PolicyArn: arn}); err != nil {
			return nil, "", err
		}
	}
	return policies, boundary, nil
}

// raise makes the role, or finds it, and answers the boundary that it has.
func raise(ctx context.Context, c *api.Call, r *role, seconds int32, boundary string) (string, error) {
	_, err := api.Invoke[iam.CreateRoleOutput](ctx, c, "iam:CreateRole", &iam.CreateRoleInput{
		RoleName: r.name(), Path: r.path(), AssumeRolePolicyDocument: trust, MaxSessionDuration: &seconds, PermissionsBoundary: boundary,
	})
	if err == nil {
		return boundary, nil
	}
	if err := but("EntityAlreadyExists", err); err != nil {
		return "", err
	}
	found, err := find(ctx, c, r)
	if err != nil {
		return "", err
	}
	if found == nil {
		return "", conflict("Another role has the name %s.", r.name())
	}
	if _, err := api.Invoke[iam.UpdateRoleOutput](ctx, c, "iam:UpdateRole", &iam.UpdateRoleInput{RoleName: r.name(), MaxSessionDuration: &seconds}); err != nil {
		return "", err
	}
	if b := found.PermissionsBoundary; b != nil {
		return b.PermissionsBoundaryArn, nil
	}
	return "", nil
}

// find answers the role; nil if it is not there, or another has its name.
func find(ctx context.Context, c *api.Call, r *role) (*iam.Role, error) {
	out, err := api.Invoke[iam.GetRoleOutput](ctx, c, "iam:GetRole", &iam.GetRoleInput{RoleName: r.name()})
	if err != nil {
		return nil, but("NoSuchEntity", err)
	}
	if out.Role.Arn != r.arn {
		return nil, nil
	}
	return out.Role, nil
}

func detach(ctx context.Context, c *api.Call, r *role, arn string) error {
	_, err := api.Invoke[iam.DetachRolePolicyOutput](ctx, c, "iam:DetachRolePolicy", &iam.DetachRolePolicyInput{RoleName: r.name(), PolicyArn: arn})
	return but("NoSuchEntity", err)
}

func dropInline(ctx context.Context, c *api.Call, r *role) error {
	_, err := api.Invoke[iam.DeleteRolePolicyOutput](ctx, c, "iam:DeleteRolePolicy", &iam.DeleteRolePolicyInput{RoleName: r.name(), PolicyName: inlineName})
	return but("NoSuchEntity", err)
}

func bound(ctx context.Context, c *api.Call, r *role, boundary string) error {
	if boundary == "" {
		_, err := api.Invoke[iam.DeleteRolePermissionsBoundaryOutput](ctx, c, "iam:DeleteRolePermissionsBoundary",
			&iam.DeleteRolePermissionsBoundaryInput{RoleName: r.name()})
		return err
	}
	_, err := api.Invoke[iam.PutRolePermissionsBoundaryOutput](ctx, c, "iam:PutRolePermissionsBoundary",
		&iam.PutRolePermissionsBoundaryInput{RoleName: r.name(), PermissionsBoundary: boundary})
	return err
}

// unmake takes a role away. In an account that was closed it is of no use to anybody.
func unmake(ctx context.Context, door *api.Door, r *role) error {
	c, err := act(ctx, door, r.account)
	if errors.Is(err, api.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if found, err := find(ctx, c, r); err != nil || found == nil {
		return err
	}
	attached, err := api.Invoke[iam.ListAttachedRolePoliciesOutput](ctx, c, "iam:ListAttachedRolePolicies", &iam.ListAttachedRolePoliciesInput{RoleName: r.name()})
	if err != nil {
		return err
	}
	for _, a := range attached.AttachedPolicies {
		if err := detach(ctx, c, r, a.PolicyArn); err != nil {
			return err
		}
	}
	if err := dropInline(ctx, c, r); err != nil {
		return err
	}
	_, err = api.Invoke[iam.DeleteRoleOutput](ctx, c, "iam:DeleteRole", &iam.DeleteRoleInput{RoleName: r.name()})
	return but("NoSuchEntity", err)
}
