package organizations

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/organizations"
)

// No service is given access to the organization and no account is its delegated
// administrator: these lists are empty because there is nothing in them.

func (s *Service) listedServiceAccess(_ context.Context, c *api.Call, _ *shape.ListAWSServiceAccessForOrganizationInput) (org, []api.Demand, error) {
	return anywhere(c, "organizations:ListAWSServiceAccessForOrganization")
}

func (s *Service) listServiceAccess(_ context.Context, _ *api.Call, in *shape.ListAWSServiceAccessForOrganizationInput, _ org) (*shape.ListAWSServiceAccessForOrganizationOutput, error) {
	_, err := paging(in.NextToken, in.MaxResults)
	return &shape.ListAWSServiceAccessForOrganizationOutput{EnabledServicePrincipals: []shape.EnabledServicePrincipal{}}, err
}

func (s *Service) listedDelegates(_ context.Context, c *api.Call, in *shape.ListDelegatedAdministratorsInput) (org, []api.Demand, error) {
	o, demands, err := anywhere(c, "organizations:ListDelegatedAdministrators")
	if in.ServicePrincipal != "" {
		for i := range demands {
			demands[i].Keys = policy.Context{}
			demands[i].Keys.Set("organizations:ServicePrincipal", in.ServicePrincipal)
		}
	}
	return o, demands, err
}

func (s *Service) listDelegatedAdministrators(_ context.Context, _ *api.Call, in *shape.ListDelegatedAdministratorsInput, _ org) (*shape.ListDelegatedAdministratorsOutput, error) {
	_, err := paging(in.NextToken, in.MaxResults)
	return &shape.ListDelegatedAdministratorsOutput{DelegatedAdministrators: []shape.DelegatedAdministrator{}}, err
}
