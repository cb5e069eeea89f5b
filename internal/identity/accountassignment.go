package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// Accounts knows the organization's accounts; package organizations is one.
type Accounts interface {
	// Named is what an account is called and its address; api.ErrGone for one that is
	// not there or is closed.
	Named(sn *store.Snapshot, id string) (name, email string, err error)
}

func (s *Service) named(sn *store.Snapshot, id string) (name, email string, err error) {
	if s.accounts == nil {
		return "", "", api.ErrGone
	}
	return s.accounts.Named(sn, id)
}

// accountResource is an account as a decision about access to it sees it.
func (s *Service) accountResource(sn *store.Snapshot, id string) (api.Resource, error) {
	r := api.Resource{ARN: "arn:aws:sso:::account/" + id, Account: s.account, Type: "AWS::SSO::Account"}
	_, _, err := s.named(sn, id)
	if errors.Is(err, api.ErrGone) {
		r.Missing, err = notFound("Account %s is not an active account of the organization.", id), nil
	}
	return r, err
}

// inAccount demands an action on an instance, a permission set and an account.
func inAccount[In any](s *Service, action string, names func(*In) (instance, set, account string)) func(context.Context, *api.Call, *In) (*permissionSet, []api.Demand, error) {
	return func(_ context.Context, c *api.Call, in *In) (*permissionSet, []api.Demand, error) {
		instance, arn, account := names(in)
		p, set, err := s.setResource(c.Snapshot, arn)
		if err != nil {
			return nil, nil, err
		}
		a, err := s.accountResource(c.Snapshot, account)
		if err != nil {
			return nil, nil, err
		}
		_, demands, err := s.onInstance(c, action, instance, set, a)
		return p, demands, err
	}
}

// A pair is a permission set in an account.
type pair struct{ account, set string }

// A role is what is made of a pair.
type role struct {
	pair
	arn      string
	revision int64 // of the set that it was last made after; 0: it may not be there
	seconds  int64 // that its sessions last
}

// name is that of the role as IAM knows it.
func (r *role) name() string { return r.arn[strings.LastIndexByte(r.arn, '/')+1:] }

// path begins and ends with a slash.
func (r *role) path() string {
	_, path, _ := strings.Cut(r.arn, ":role")
	return strings.TrimSuffix(path, r.name())
}

const roleColumns = `account, permission_set, role, revision, seconds`

func scanRole(scan func(...any) error) (*role, error) {
	r := &role{}
	return r, scan(&r.account, &r.set, &r.arn, &r.revision, &r.seconds)
}

// roleOf finds the role of a pair; nil if there is none.
func roleOf(q store.Querier, p pair) (*role, error) {
	r, err := scanRole(q.QueryRow(`SELECT `+roleColumns+` FROM identity_roles WHERE account = ? AND permission_set = ?`, p.account, p.set).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

// plan answers the role of a pair, giving it a name if it has none yet. The name is
// chosen here and not when the role is made, so that whoever makes it may be killed
// and another go on.
func plan(tx *store.Tx, p pair, setName, region string) (*role, error) {
	r, err := roleOf(tx, p)
	if err != nil || r != nil {
		return r, err
	}
	var random [8]byte
	rand.Read(random[:])
	path := "/aws-reserved/sso.amazonaws.com/"
	if region != "us-east-1" { // as AWS names them
		path += region + "/"
	}
	r = &role{pair: p, arn: fmt.Sprintf("arn:aws:iam::%s:role%sAWSReservedSSO_%s_%x", p.account, path, setName, random)}
	_, err = tx.Exec(`INSERT INTO identity_roles (`+roleColumns+`) VALUES (?, ?, ?, 0, 0)`, p.account, p.set, r.arn)
	return r, err
}

// there says whether a user or group is in the directory.
func there(q store.Querier, kind shape.PrincipalType, id string) (bool, error) {
	table := map[shape.PrincipalType]string{shape.PrincipalTypeUser: "identity_users", shape.PrincipalTypeGroup: "identity_groups"}[kind]
	if table == "" {
		return false, invalid("PrincipalType is USER or GROUP.")
	}
	var n int
	err := q.QueryRow(`SELECT count(*) FROM `+table+` WHERE id = ?`, id).Scan(&n)
	return n > 0, err
}

// createAccountAssignment asks for an assignment. It holds once Run has made the
// role as the permission set says now.
func (s *Service) createAccountAssignment(_ context.Context, c *api.Call, in *shape.CreateAccountAssignmentInput, set *permissionSet) (api.Commit[shape.CreateAccountAssignmentOutput], error) {
	r := newRequest(toAssign, pair{in.TargetId, in.PermissionSetArn}, c.Now)
	r.kind, r.principal = in.PrincipalType, in.PrincipalId
	return func(tx *store.Tx) (*shape.CreateAccountAssignmentOutput, error) {
		found, err := there(tx, in.PrincipalType, in.PrincipalId)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, notFound("%s %s does not exist.", in.PrincipalType, in.PrincipalId)
		}
		planned, err := plan(tx, r.pair, set.Shown.Name, c.Region)
		if err != nil {
			return nil, err
		}
		if err := s.insertRequest(tx, r); err != nil {
			return nil, err
		}
		return &shape.CreateAccountAssignmentOutput{AccountAssignmentCreationStatus: r.assignment()}, tx.Touch(roleKey(planned.arn))
	}, nil
}

// deleteAccountAssignment takes the assignment away at once. What is asked for is
// that the role goes too, if it was the last.
func (s *Service) deleteAccountAssignment(_ context.Context, c *api.Call, in *shape.DeleteAccountAssignmentInput, _ *permissionSet) (api.Commit[shape.DeleteAccountAssignmentOutput], error) {
	r := newRequest(toUnassign, pair{in.TargetId, in.PermissionSetArn}, c.Now)
	r.kind, r.principal = in.PrincipalType, in.PrincipalId
	return func(tx *store.Tx) (*shape.DeleteAccountAssignmentOutput, error) {
		deleted, err := tx.Exec(`DELETE FROM identity_account_assignments WHERE account = ? AND permission_set = ? AND kind = ? AND principal = ?`,
			in.TargetId, in.PermissionSetArn, string(in.PrincipalType), in.PrincipalId)
		if err != nil {
			return nil, err
		}
		n, err := deleted.RowsAffected()
		if err != nil {
			return nil, err
		}
		if err := s.insertRequest(tx, r); err != nil { // which refuses while the same is being made
			return nil, err
		}
		if n == 0 {
			return nil, notFound("%s %s is not assigned to the permission set in account %s.", in.PrincipalType, in.PrincipalId, in.TargetId)
		}
		held, err := roleOf(tx, r.pair)
		if err != nil || held == nil {
			return nil, errors.Join(err, errors.New("identity: an assignment without a role"))
		}
		return &shape.DeleteAccountAssignmentOutput{AccountAssignmentDeletionStatus: r.assignment()}, tx.Touch(roleKey(held.arn))
	}, nil
}

func (s *Service) listAccountAssignments(_ context.Context, c *api.Call, in *shape.ListAccountAssignmentsInput, _ *permissionSet) (*shape.ListAccountAssignmentsOutput, error) {
	after, err := afterToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	kind, principal, _ := strings.Cut(after, "/")
	limit := pageSize(in.MaxResults)
	list, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.AccountAssignment, error) {
		a := shape.AccountAssignment{AccountId: in.AccountId, PermissionSetArn: in.PermissionSetArn}
		return a, r.Scan((*string)(&a.PrincipalType), &a.PrincipalId)
	}, `SELECT kind, principal FROM identity_account_assignments WHERE account = ? AND permission_set = ? AND (kind > ? OR kind = ? AND principal > ?)
		ORDER BY kind, principal LIMIT ?`, in.AccountId, in.PermissionSetArn, kind, kind, principal, limit+1)
	if err != nil {
		return nil, err
	}
	list, next := cut(list, limit, func(a shape.AccountAssignment) string { return string(a.PrincipalType) + "/" + a.PrincipalId })
	return &shape.ListAccountAssignmentsOutput{AccountAssignments: list, NextToken: pageToken(next)}, nil
}
