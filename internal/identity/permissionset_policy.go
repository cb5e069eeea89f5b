package identity

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// maxSetPolicies is AWS's limit on the managed policies of a permission set, of both
// kinds together. What a role can have attached may be fewer.
const maxSetPolicies = 20

// checkInline refuses a policy that could not become a role's.
func (s *Service) checkInline(text string) error {
	p, err := policy.Parse([]byte(text), policy.Identity)
	if err != nil {
		return invalid("InlinePolicy: %v", err)
	}
	for _, f := range policy.Validate(p, s.catalogue) {
		if !strings.HasSuffix(f.Element, "Action") { // it may speak of services that are not here
			return invalid("InlinePolicy: statement %d: %s.", f.Statement+1, f.Message)
		}
	}
	return nil
}

func (s *Service) putInline(_ context.Context, _ *api.Call, in *shape.PutInlinePolicyToPermissionSetInput, _ *permissionSet) (api.Commit[shape.PutInlinePolicyToPermissionSetOutput], error) {
	if err := s.checkInline(in.InlinePolicy); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.PutInlinePolicyToPermissionSetOutput, error) {
		return &shape.PutInlinePolicyToPermissionSetOutput{}, s.changeSet(tx, in.PermissionSetArn, true, func(p *permissionSet) error {
			p.Inline = in.InlinePolicy
			return nil
		})
	}, nil
}

func (s *Service) getInline(_ context.Context, _ *api.Call, _ *shape.GetInlinePolicyForPermissionSetInput, p *permissionSet) (*shape.GetInlinePolicyForPermissionSetOutput, error) {
	return &shape.GetInlinePolicyForPermissionSetOutput{InlinePolicy: p.Inline}, nil
}

func (s *Service) deleteInline(_ context.Context, _ *api.Call, in *shape.DeleteInlinePolicyFromPermissionSetInput, _ *permissionSet) (api.Commit[shape.DeleteInlinePolicyFromPermissionSetOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteInlinePolicyFromPermissionSetOutput, error) {
		return &shape.DeleteInlinePolicyFromPermissionSetOutput{}, s.changeSet(tx, in.PermissionSetArn, true, func(p *permissionSet) error {
			p.Inline = ""
			return nil
		})
	}, nil
}

// supplied refuses an AWS-managed policy that is not there.
func supplied(ctx context.Context, c *api.Call, arn string) error {
	f, err := c.Resource(ctx, arn)
	if err != nil {
		return err
	}
	if f.Missing != nil {
		return notFound("Policy %s does not exist.", arn)
	}
	return nil
}

// fits refuses more policies than a set may have.
func (p *permissionSet) fits() error {
	if len(p.Managed)+len(p.Customer) > maxSetPolicies {
		return tooMany("A permission set has at most %d managed policies.", maxSetPolicies)
	}
	return nil
}

func (s *Service) attachManaged(ctx context.Context, c *api.Call, in *shape.AttachManagedPolicyToPermissionSetInput, _ *permissionSet) (api.Commit[shape.AttachManagedPolicyToPermissionSetOutput], error) {
	if err := supplied(ctx, c, in.ManagedPolicyArn); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.AttachManagedPolicyToPermissionSetOutput, error) {
		return &shape.AttachManagedPolicyToPermissionSetOutput{}, s.changeSet(tx, in.PermissionSetArn, true, func(p *permissionSet) error {
			if slices.Contains(p.Managed, in.ManagedPolicyArn) {
				return conflict("Policy %s is attached already.", in.ManagedPolicyArn)
			}
			p.Managed = append(p.Managed, in.ManagedPolicyArn)
			slices.Sort(p.Managed)
			return p.fits()
		})
	}, nil
}

func (s *Service) detachManaged(_ context.Context, _ *api.Call, in *shape.DetachManagedPolicyFromPermissionSetInput, _ *permissionSet) (api.Commit[shape.DetachManagedPolicyFromPermissionSetOutput], error) {
	return func(tx *store.Tx) (*shape.DetachManagedPolicyFromPermissionSetOutput, error) {
		return &shape.DetachManagedPolicyFromPermissionSetOutput{}, s.changeSet(tx, in.PermissionSetArn, true, func(p *permissionSet) error {
			i := slices.Index(p.Managed, in.ManagedPolicyArn)
			if i < 0 {
				return notFound("Policy %s is not attached.", in.ManagedPolicyArn)
			}
			p.Managed = slices.Delete(p.Managed, i, i+1)
			return nil
		})
	}, nil
}

func (s *Service) listManaged(_ context.Context, _ *api.Call, in *shape.ListManagedPoliciesInPermissionSetInput, p *permissionSet) (*shape.ListManagedPoliciesInPermissionSetOutput, error) {
	list := []shape.AttachedManagedPolicy{}
	for _, arn := range p.Managed {
		list = append(list, shape.AttachedManagedPolicy{Arn: arn, Name: arn[strings.LastIndex(arn, "/")+1:]})
	}
	out := &shape.ListManagedPoliciesInPermissionSetOutput{}
	var err error
	out.AttachedManagedPolicies, out.NextToken, err = part(list, in.NextToken, in.MaxResults, func(a shape.AttachedManagedPolicy) string { return a.Arn })
	return out, err
}

// attachCustomer takes a name without looking for a policy: each account where the
// set is provisioned has its own, or the provisioning there fails.
func (s *Service) attachCustomer(_ context.Context, _ *api.Call, in *shape.AttachCustomerManagedPolicyReferenceToPermissionSetInput, _ *permissionSet) (api.Commit[shape.AttachCustomerManagedPolicyReferenceToPermissionSetOutput], error) {
	r := referenceOf(in.CustomerManagedPolicyReference)
	return func(tx *store.Tx) (*shape.AttachCustomerManagedPolicyReferenceToPermissionSetOutput, error) {
		return &shape.AttachCustomerManagedPolicyReferenceToPermissionSetOutput{}, s.changeSet(tx, in.PermissionSetArn, true, func(p *permissionSet) error {
			if slices.Contains(p.Customer, r) {
				return conflict("Policy %s%s is attached already.", r.Path, r.Name)
			}
			p.Customer = append(p.Customer, r)
			slices.SortFunc(p.Customer, func(a, b reference) int { return strings.Compare(a.key(), b.key()) })
			return p.fits()
		})
	}, nil
}

func (r reference) key() string { return r.Path + r.Name }

func (s *Service) detachCustomer(_ context.Context, _ *api.Call, in *shape.DetachCustomerManagedPolicyReferenceFromPermissionSetInput, _ *permissionSet) (api.Commit[shape.DetachCustomerManagedPolicyReferenceFromPermissionSetOutput], error) {
	r := referenceOf(in.CustomerManagedPolicyReference)
	return func(tx *store.Tx) (*shape.DetachCustomerManagedPolicyReferenceFromPermissionSetOutput, error) {
		return &shape.DetachCustomerManagedPolicyReferenceFromPermissionSetOutput{}, s.changeSet(tx, in.PermissionSetArn, true, func(p *permissionSet) error {
			i := slices.Index(p.Customer, r)
			if i < 0 {
				return notFound("Policy %s%s is not attached.", r.Path, r.Name)
			}
			p.Customer = slices.Delete(p.Customer, i, i+1)
			return nil
		})
	}, nil
}

func (s *Service) listCustomer(_ context.Context, _ *api.Call, in *shape.ListCustomerManagedPolicyReferencesInPermissionSetInput, p *permissionSet) (*shape.ListCustomerManagedPolicyReferencesInPermissionSetOutput, error) {
	out := &shape.ListCustomerManagedPolicyReferencesInPermissionSetOutput{}
	list, next, err := part(p.Customer, in.NextToken, in.MaxResults, reference.key)
	out.CustomerManagedPolicyReferences, out.NextToken = []shape.CustomerManagedPolicyReference{}, next
	for _, r := range list {
		out.CustomerManagedPolicyReferences = append(out.CustomerManagedPolicyReferences, shape.CustomerManagedPolicyReference(r))
	}
	return out, err
}

// part is a page of a sorted list that is there as a whole.
func part[T any](list []T, token string, size *int32, key func(T) string) ([]T, string, error) {
	after, err := afterToken(token)
	if err != nil {
		return nil, "", err
	}
	begin := slices.IndexFunc(list, func(t T) bool { return key(t) > after })
	if begin < 0 {
		begin = len(list)
	}
	list, next := cut(list[begin:], pageSize(size), key)
	return list, pageToken(next), nil
}

func (s *Service) putBoundary(ctx context.Context, c *api.Call, in *shape.PutPermissionsBoundaryToPermissionSetInput, _ *permissionSet) (api.Commit[shape.PutPermissionsBoundaryToPermissionSetOutput], error) {
	b := &boundary{Managed: in.PermissionsBoundary.ManagedPolicyArn}
	if r := in.PermissionsBoundary.CustomerManagedPolicyReference; r != nil {
		named := referenceOf(r)
		b.Customer = &named
	}
	if (b.Managed == "") == (b.Customer == nil) {
		return nil, invalid("PermissionsBoundary takes a CustomerManagedPolicyReference or a ManagedPolicyArn.")
	}
	if b.Managed != "" {
		if err := supplied(ctx, c, b.Managed); err != nil {
			return nil, err
		}
	}
	return func(tx *store.Tx) (*shape.PutPermissionsBoundaryToPermissionSetOutput, error) {
		return &shape.PutPermissionsBoundaryToPermissionSetOutput{}, s.changeSet(tx, in.PermissionSetArn, true, func(p *permissionSet) error {
			p.Boundary = b
			return nil
		})
	}, nil
}

func (s *Service) getBoundary(_ context.Context, _ *api.Call, _ *shape.GetPermissionsBoundaryForPermissionSetInput, p *permissionSet) (*shape.GetPermissionsBoundaryForPermissionSetOutput, error) {
	if p.Boundary == nil {
		return nil, noBoundary()
	}
	shown := &shape.PermissionsBoundary{ManagedPolicyArn: p.Boundary.Managed}
	if r := p.Boundary.Customer; r != nil {
		shown.CustomerManagedPolicyReference = &shape.CustomerManagedPolicyReference{Name: r.Name, Path: r.Path}
	}
	return &shape.GetPermissionsBoundaryForPermissionSetOutput{PermissionsBoundary: shown}, nil
}

func (s *Service) deleteBoundary(_ context.Context, _ *api.Call, in *shape.DeletePermissionsBoundaryFromPermissionSetInput, _ *permissionSet) (api.Commit[shape.DeletePermissionsBoundaryFromPermissionSetOutput], error) {
	return func(tx *store.Tx) (*shape.DeletePermissionsBoundaryFromPermissionSetOutput, error) {
		return &shape.DeletePermissionsBoundaryFromPermissionSetOutput{}, s.changeSet(tx, in.PermissionSetArn, true, func(p *permissionSet) error {
			if p.Boundary == nil {
				return noBoundary()
			}
			p.Boundary = nil
			return nil
		})
	}, nil
}

func noBoundary() *api.Error { return notFound("PermissionSet has no permissions boundary.") }
