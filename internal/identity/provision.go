package identity

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

func (s *Service) provisionedSet(_ context.Context, c *api.Call, in *shape.ProvisionPermissionSetInput) (pair, []api.Demand, error) {
	p := pair{in.TargetId, in.PermissionSetArn}
	_, set, err := s.setResource(c.Snapshot, in.PermissionSetArn)
	if err != nil {
		return p, nil, err
	}
	a := api.Resource{ARN: "arn:aws:sso:::account/*", Account: s.account, Type: "AWS::SSO::Account"}
	if in.TargetId != "" {
		if a, err = s.accountResource(c.Snapshot, in.TargetId); err != nil {
			return p, nil, err
		}
	}
	_, demands, err := s.onInstance(c, "sso:ProvisionPermissionSet", in.InstanceArn, set, a)
	return p, demands, err
}

func (s *Service) provisionSet(_ context.Context, c *api.Call, in *shape.ProvisionPermissionSetInput, p pair) (api.Commit[shape.ProvisionPermissionSetOutput], error) {
	if (in.TargetType == shape.ProvisionTargetTypeAwsAccount) != (in.TargetId != "") {
		return nil, invalid("TargetId belongs to the TargetType AWS_ACCOUNT, and to no other.")
	}
	r := newRequest(toProvision, p, c.Now)
	return func(tx *store.Tx) (*shape.ProvisionPermissionSetOutput, error) {
		if p.account != "" {
			if held, err := roleOf(tx, p); err != nil || held == nil {
				if err == nil {
					err = notFound("The permission set is not provisioned in account %s.", p.account)
				}
				return nil, err
			}
		}
		return &shape.ProvisionPermissionSetOutput{PermissionSetProvisioningStatus: r.provision()}, s.insertRequest(tx, r)
	}, nil
}

// outdated compares a role with its permission set, for a query over both.
func outdated(status shape.ProvisioningStatus) string {
	switch status {
	case shape.ProvisioningStatusLatestPermissionSetProvisioned:
		return ` AND r.revision = s.revision`
	case shape.ProvisioningStatusLatestPermissionSetNotProvisioned:
		return ` AND r.revision <> s.revision`
	}
	return ""
}

func (s *Service) listedAccount(_ context.Context, c *api.Call, in *shape.ListPermissionSetsProvisionedToAccountInput) (instance, []api.Demand, error) {
	a, err := s.accountResource(c.Snapshot, in.AccountId)
	if err != nil {
		return instance{}, nil, err
	}
	return s.onInstance(c, "sso:ListPermissionSetsProvisionedToAccount", in.InstanceArn, a)
}

func (s *Service) listProvisionedSets(_ context.Context, c *api.Call, in *shape.ListPermissionSetsProvisionedToAccountInput, _ instance) (*shape.ListPermissionSetsProvisionedToAccountOutput, error) {
	out := &shape.ListPermissionSetsProvisionedToAccountOutput{}
	var err error
	out.PermissionSets, out.NextToken, err = texts(c, in.NextToken, in.MaxResults,
		`SELECT s.arn FROM identity_roles r JOIN identity_permission_sets s ON s.arn = r.permission_set
			WHERE r.revision > 0 AND r.account = ?`+outdated(in.ProvisioningStatus)+` AND s.arn > ? ORDER BY s.arn LIMIT ?`, in.AccountId)
	return out, err
}

func (s *Service) listProvisionedAccounts(_ context.Context, c *api.Call, in *shape.ListAccountsForProvisionedPermissionSetInput, _ *permissionSet) (*shape.ListAccountsForProvisionedPermissionSetOutput, error) {
	out := &shape.ListAccountsForProvisionedPermissionSetOutput{}
	var err error
	out.AccountIds, out.NextToken, err = texts(c, in.NextToken, in.MaxResults,
		`SELECT r.account FROM identity_roles r JOIN identity_permission_sets s ON s.arn = r.permission_set
			WHERE r.revision > 0 AND s.arn = ?`+outdated(in.ProvisioningStatus)+` AND r.account > ? ORDER BY r.account LIMIT ?`, in.PermissionSetArn)
	return out, err
}
