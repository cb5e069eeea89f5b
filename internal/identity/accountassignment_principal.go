package identity

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// ofUser are the assignments of a user: her own and those of her groups.
const ofUser = `(SELECT account, permission_set, kind, principal FROM identity_account_assignments WHERE kind = 'USER' AND principal = ?
	UNION ALL SELECT a.account, a.permission_set, a.kind, a.principal FROM identity_memberships m
		JOIN identity_account_assignments a ON a.kind = 'GROUP' AND a.principal = m.group_id WHERE m.user_id = ?)`

// ofGroup are those of a group.
const ofGroup = `(SELECT account, permission_set, kind, principal FROM identity_account_assignments WHERE kind = 'GROUP' AND principal = ?)`

func (s *Service) listedPrincipal(_ context.Context, c *api.Call, in *shape.ListAccountAssignmentsForPrincipalInput) (instance, []api.Demand, error) {
	return s.onInstance(c, "sso:ListAccountAssignmentsForPrincipal", in.InstanceArn)
}

// listForPrincipal shows a user those of her groups too, with the group that has it.
func (s *Service) listForPrincipal(_ context.Context, c *api.Call, in *shape.ListAccountAssignmentsForPrincipalInput, _ instance) (*shape.ListAccountAssignmentsForPrincipalOutput, error) {
	after, err := afterToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	query, args := ofGroup, []any{in.PrincipalId}
	if in.PrincipalType == shape.PrincipalTypeUser {
		query, args = ofUser, []any{in.PrincipalId, in.PrincipalId}
	}
	query = `SELECT account, permission_set, kind, principal FROM ` + query + ` a WHERE 1 = 1`
	if in.Filter != nil && in.Filter.AccountId != "" {
		query += ` AND account = ?`
		args = append(args, in.Filter.AccountId)
	}
	if key := strings.Split(after, "|"); len(key) == 4 {
		query += ` AND (account > ? OR account = ? AND (permission_set > ? OR permission_set = ? AND (kind > ? OR kind = ? AND principal > ?)))`
		args = append(args, key[0], key[0], key[1], key[1], key[2], key[2], key[3])
	}
	limit := pageSize(in.MaxResults)
	list, err := store.Collect(c.Snapshot, func(r *store.Rows) (a shape.AccountAssignmentForPrincipal, err error) {
		return a, r.Scan(&a.AccountId, &a.PermissionSetArn, (*string)(&a.PrincipalType), &a.PrincipalId)
	}, query+` ORDER BY account, permission_set, kind, principal LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return nil, err
	}
	list, next := cut(list, limit, func(a shape.AccountAssignmentForPrincipal) string {
		return strings.Join([]string{a.AccountId, a.PermissionSetArn, string(a.PrincipalType), a.PrincipalId}, "|")
	})
	return &shape.ListAccountAssignmentsForPrincipalOutput{AccountAssignments: list, NextToken: pageToken(next)}, nil
}
