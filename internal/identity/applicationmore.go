package identity

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/bearer"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// updateApplication leaves what is not given.
func (s *Service) updateApplication(_ context.Context, _ *api.Call, in *shape.UpdateApplicationInput, _ *application) (api.Commit[shape.UpdateApplicationOutput], error) {
	return func(tx *store.Tx) (*shape.UpdateApplicationOutput, error) {
		err := s.change(tx, in.ApplicationArn, func(a *application) error {
			if in.Name != "" {
				a.Shown.Name = in.Name
			}
			if in.Description != "" {
				a.Shown.Description = in.Description
			}
			if in.Status != "" {
				a.Shown.Status = in.Status
			}
			return nil
		})
		if err == nil && in.Name != "" {
			_, err = tx.Exec(`UPDATE identity_applications SET name = ? WHERE arn = ?`, in.Name, in.ApplicationArn)
		}
		return &shape.UpdateApplicationOutput{}, err
	}, nil
}

// The one provider of applications.

func (s *Service) provider(arn string) api.Resource {
	r := api.Resource{ARN: arn, Account: s.account, Type: "AWS::SSO::ApplicationProvider"}
	if arn != customProvider {
		r.Missing = notFound("Only %s is served as an application provider.", customProvider)
	}
	return r
}

func (s *Service) listedProviders(_ context.Context, _ *api.Call, _ *shape.ListApplicationProvidersInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("sso:ListApplicationProviders", s.provider(customProvider)), nil
}

func (s *Service) listProviders(context.Context, *api.Call, *shape.ListApplicationProvidersInput, struct{}) (*shape.ListApplicationProvidersOutput, error) {
	return &shape.ListApplicationProvidersOutput{ApplicationProviders: []shape.ApplicationProvider{custom()}}, nil
}

func custom() shape.ApplicationProvider {
	return shape.ApplicationProvider{
		ApplicationProviderArn: customProvider, FederationProtocol: shape.FederationProtocolOauth,
		DisplayData: &shape.DisplayData{DisplayName: "Custom application"},
	}
}

func (s *Service) describedProvider(_ context.Context, _ *api.Call, in *shape.DescribeApplicationProviderInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("sso:DescribeApplicationProvider", s.provider(in.ApplicationProviderArn)), nil
}

func (s *Service) describeProvider(context.Context, *api.Call, *shape.DescribeApplicationProviderInput, struct{}) (*shape.DescribeApplicationProviderOutput, error) {
	out := shape.DescribeApplicationProviderOutput(custom())
	return &out, nil
}

// Scopes.

func noScope(scope string) *api.Error {
	return notFound("The application has no access scope %s.", scope)
}

func (s *Service) getScope(_ context.Context, _ *api.Call, in *shape.GetApplicationAccessScopeInput, a *application) (*shape.GetApplicationAccessScopeOutput, error) {
	if !slices.Contains(a.Scopes, in.Scope) {
		return nil, noScope(in.Scope)
	}
	return &shape.GetApplicationAccessScopeOutput{Scope: in.Scope}, nil
}

func (s *Service) deleteScope(_ context.Context, _ *api.Call, in *shape.DeleteApplicationAccessScopeInput, _ *application) (api.Commit[shape.DeleteApplicationAccessScopeOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteApplicationAccessScopeOutput, error) {
		return &shape.DeleteApplicationAccessScopeOutput{}, s.change(tx, in.ApplicationArn, func(a *application) error {
			i := slices.Index(a.Scopes, in.Scope)
			if i < 0 {
				return noScope(in.Scope)
			}
			a.Scopes = slices.Delete(a.Scopes, i, i+1)
			return nil
		})
	}, nil
}

func (s *Service) listScopes(_ context.Context, _ *api.Call, in *shape.ListApplicationAccessScopesInput, a *application) (*shape.ListApplicationAccessScopesOutput, error) {
	list, next, err := part(slices.Sorted(slices.Values(a.Scopes)), in.NextToken, in.MaxResults, func(scope string) string { return scope })
	out := &shape.ListApplicationAccessScopesOutput{Scopes: []shape.ScopeDetails{}, NextToken: next}
	for _, scope := range list {
		out.Scopes = append(out.Scopes, shape.ScopeDetails{Scope: scope})
	}
	return out, err
}

// Authentication methods: there is one type.

func noMethod() *api.Error { return notFound("The application has no authentication method.") }

func (s *Service) deleteMethod(_ context.Context, _ *api.Call, in *shape.DeleteApplicationAuthenticationMethodInput, _ *application) (api.Commit[shape.DeleteApplicationAuthenticationMethodOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteApplicationAuthenticationMethodOutput, error) {
		return &shape.DeleteApplicationAuthenticationMethodOutput{}, s.change(tx, in.ApplicationArn, func(a *application) error {
			if a.ActorPolicy == "" {
				return noMethod()
			}
			a.ActorPolicy, a.ActorBindings = "", nil
			return nil
		})
	}, nil
}

func (s *Service) listMethods(ctx context.Context, c *api.Call, _ *shape.ListApplicationAuthenticationMethodsInput, a *application) (*shape.ListApplicationAuthenticationMethodsOutput, error) {
	out := &shape.ListApplicationAuthenticationMethodsOutput{AuthenticationMethods: []shape.AuthenticationMethodItem{}}
	if a.ActorPolicy == "" {
		return out, nil
	}
	shown, err := a.ActorBindings.Shown(a.ActorPolicy, bearer.In(ctx, c))
	out.AuthenticationMethods = append(out.AuthenticationMethods, shape.AuthenticationMethodItem{
		AuthenticationMethodType: shape.AuthenticationMethodTypeIam,
		AuthenticationMethod:     &shape.AuthenticationMethod{Iam: &shape.IamAuthenticationMethod{ActorPolicy: []byte(shown)}},
	})
	return out, err
}

// Sessions that outlive a login.

func (s *Service) putSessionConfiguration(_ context.Context, _ *api.Call, in *shape.PutApplicationSessionConfigurationInput, _ *application) (api.Commit[shape.PutApplicationSessionConfigurationOutput], error) {
	return func(tx *store.Tx) (*shape.PutApplicationSessionConfigurationOutput, error) {
		return &shape.PutApplicationSessionConfigurationOutput{}, s.change(tx, in.ApplicationArn, func(a *application) error {
			if in.UserBackgroundSessionApplicationStatus != "" {
				a.Background = in.UserBackgroundSessionApplicationStatus == shape.UserBackgroundSessionApplicationStatusEnabled
			}
			return nil
		})
	}, nil
}

func (s *Service) getSessionConfiguration(_ context.Context, _ *api.Call, _ *shape.GetApplicationSessionConfigurationInput, a *application) (*shape.GetApplicationSessionConfigurationOutput, error) {
	status := shape.UserBackgroundSessionApplicationStatusDisabled
	if a.Background {
		status = shape.UserBackgroundSessionApplicationStatusEnabled
	}
	return &shape.GetApplicationSessionConfigurationOutput{UserBackgroundSessionApplicationStatus: status}, nil
}

// Assignments.

func (s *Service) getAssignmentConfiguration(_ context.Context, _ *api.Call, _ *shape.GetApplicationAssignmentConfigurationInput, a *application) (*shape.GetApplicationAssignmentConfigurationOutput, error) {
	return &shape.GetApplicationAssignmentConfigurationOutput{AssignmentRequired: a.AssignmentRequired}, nil
}

func (s *Service) describeAssignment(_ context.Context, c *api.Call, in *shape.DescribeApplicationAssignmentInput, _ *application) (*shape.DescribeApplicationAssignmentOutput, error) {
	var n int
	if err := c.Snapshot.QueryRow(`SELECT count(*) FROM identity_assignments WHERE application = ? AND kind = ? AND principal = ?`,
		in.ApplicationArn, string(in.PrincipalType), in.PrincipalId).Scan(&n); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, notFound("The assignment does not exist.")
	}
	return &shape.DescribeApplicationAssignmentOutput{ApplicationArn: in.ApplicationArn, PrincipalId: in.PrincipalId, PrincipalType: in.PrincipalType}, nil
}

func (s *Service) listedAssignmentsForPrincipal(_ context.Context, c *api.Call, in *shape.ListApplicationAssignmentsForPrincipalInput) (instance, []api.Demand, error) {
	i, demands, err := s.onInstance(c, "sso:ListApplicationAssignmentsForPrincipal", in.InstanceArn)
	if err == nil {
		demands[0].Keys.Set("sso:ApplicationAccount", s.account)
	}
	return i, demands, err
}

// listAssignmentsForPrincipal shows a user those of her groups too, with the group
// that has it.
func (s *Service) listAssignmentsForPrincipal(_ context.Context, c *api.Call, in *shape.ListApplicationAssignmentsForPrincipalInput, _ instance) (*shape.ListApplicationAssignmentsForPrincipalOutput, error) {
	after, err := afterToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	query, args := `kind = 'GROUP' AND principal = ?`, []any{in.PrincipalId}
	if in.PrincipalType == shape.PrincipalTypeUser {
		query, args = `(kind = 'USER' AND principal = ? OR kind = 'GROUP' AND principal IN (SELECT group_id FROM identity_memberships WHERE user_id = ?))`,
			[]any{in.PrincipalId, in.PrincipalId}
	}
	if in.Filter != nil && in.Filter.ApplicationArn != "" {
		query, args = query+` AND application = ?`, append(args, in.Filter.ApplicationArn)
	}
	if key := strings.Split(after, "|"); len(key) == 3 {
		query += ` AND (application > ? OR application = ? AND (kind > ? OR kind = ? AND principal > ?))`
		args = append(args, key[0], key[0], key[1], key[1], key[2])
	}
	limit := pageSize(in.MaxResults)
	list, err := store.Collect(c.Snapshot, func(r *store.Rows) (a shape.ApplicationAssignmentForPrincipal, err error) {
		return a, r.Scan(&a.ApplicationArn, (*string)(&a.PrincipalType), &a.PrincipalId)
	}, `SELECT application, kind, principal FROM identity_assignments WHERE `+query+` ORDER BY application, kind, principal LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return nil, err
	}
	list, next := cut(list, limit, func(a shape.ApplicationAssignmentForPrincipal) string {
		return strings.Join([]string{a.ApplicationArn, string(a.PrincipalType), a.PrincipalId}, "|")
	})
	return &shape.ListApplicationAssignmentsForPrincipalOutput{ApplicationAssignments: list, NextToken: pageToken(next)}, nil
}
