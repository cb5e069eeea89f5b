package identity

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// Assignments are the roles that a person may enter now, by herself or by her groups,
// in accounts that are active: by account, then by permission set. It reads no more
// than what is hers.
func (s *Service) Assignments(sn *store.Snapshot, userID string) ([]api.Assignment, error) {
	if _, err := sn.Version(userKey(userID)); err != nil {
		return nil, err
	}
	all, err := store.Collect(sn, func(r *store.Rows) (api.Assignment, error) {
		var a api.Assignment
		var seconds int64
		err := r.Scan(&a.AccountID, &a.PermissionSetARN, &a.PermissionSetName, &a.RoleARN, &seconds)
		a.SessionDuration = time.Duration(seconds) * time.Second
		a.RoleName = (&role{arn: a.RoleARN}).name()
		return a, err
	}, `SELECT DISTINCT r.account, r.permission_set, s.name, r.role, r.seconds FROM `+ofUser+` a
		JOIN identity_roles r ON r.account = a.account AND r.permission_set = a.permission_set
		JOIN identity_permission_sets s ON s.arn = r.permission_set
		WHERE r.revision > 0 ORDER BY r.account, s.name`, userID, userID)
	if err != nil {
		return nil, err
	}
	var out []api.Assignment
	for _, a := range all {
		if _, err := sn.Version(roleKey(a.RoleARN)); err != nil {
			return nil, err
		}
		if n := len(out); n > 0 && out[n-1].AccountID == a.AccountID {
			a.AccountName, a.Email = out[n-1].AccountName, out[n-1].Email
		} else if a.AccountName, a.Email, err = s.named(sn, a.AccountID); errors.Is(err, api.ErrGone) {
			continue
		} else if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// A holding is who sits in which role.
type holding struct {
	user, role string
	version    int64 // the role's
}

// Holds implements authz.Assignments: a person whose assignment to a role is gone, or
// the group that had it, or her place in that group, is out of it on her next call.
func (s *Service) Holds(_ context.Context, sn *store.Snapshot, p *api.Person, e *api.Entity) error {
	versions, err := sn.Versions(userKey(p.UserID), roleKey(e.ARN))
	if err != nil {
		return err
	}
	key := holding{p.UserID, e.ARN, versions[1]}
	held, ok := s.holdings.Get(key, versions[0])
	if !ok {
		var n int
		if err := sn.QueryRow(`SELECT count(*) FROM identity_roles r JOIN `+ofUser+` a ON a.account = r.account AND a.permission_set = r.permission_set
			WHERE r.role = ?`, p.UserID, p.UserID, e.ARN).Scan(&n); err != nil {
			return err
		}
		held = n > 0
		s.holdings.Put(key, versions[0], held)
	}
	if !held {
		return api.ErrGone
	}
	return nil
}
