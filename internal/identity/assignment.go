package identity

import (
	"context"
	"errors"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

func (s *Service) putAssignmentConfiguration(_ context.Context, _ *api.Call, in *shape.PutApplicationAssignmentConfigurationInput, _ *application) (api.Commit[shape.PutApplicationAssignmentConfigurationOutput], error) {
	return func(tx *store.Tx) (*shape.PutApplicationAssignmentConfigurationOutput, error) {
		return &shape.PutApplicationAssignmentConfigurationOutput{}, s.change(tx, in.ApplicationArn, func(a *application) error {
			a.AssignmentRequired = in.AssignmentRequired
			return nil
		})
	}, nil
}

func (s *Service) createAssignment(_ context.Context, _ *api.Call, in *shape.CreateApplicationAssignmentInput, _ *application) (api.Commit[shape.CreateApplicationAssignmentOutput], error) {
	return func(tx *store.Tx) (*shape.CreateApplicationAssignmentOutput, error) {
		if found, err := there(tx, in.PrincipalType, in.PrincipalId); err != nil || !found {
			return nil, errors.Join(err, notFound("%s %s does not exist.", in.PrincipalType, in.PrincipalId))
		}
		var assigned int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_assignments WHERE application = ? AND kind = ? AND principal = ?`,
			in.ApplicationArn, string(in.PrincipalType), in.PrincipalId).Scan(&assigned); err != nil {
			return nil, err
		}
		if assigned > 0 {
			return nil, conflict("The assignment exists already.")
		}
		_, err := tx.Exec(`INSERT INTO identity_assignments (application, kind, principal) VALUES (?, ?, ?)`, in.ApplicationArn, string(in.PrincipalType), in.PrincipalId)
		if err != nil {
			return nil, err
		}
		return &shape.CreateApplicationAssignmentOutput{}, tx.Touch(applicationKey(in.ApplicationArn))
	}, nil
}

func (s *Service) deleteAssignment(_ context.Context, _ *api.Call, in *shape.DeleteApplicationAssignmentInput, _ *application) (api.Commit[shape.DeleteApplicationAssignmentOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteApplicationAssignmentOutput, error) {
		gone, err := tx.Exec(`DELETE FROM identity_assignments WHERE application = ? AND kind = ? AND principal = ?`, in.ApplicationArn, string(in.PrincipalType), in.PrincipalId)
		if err != nil {
			return nil, err
		}
		if n, err := gone.RowsAffected(); err != nil || n == 0 {
			return nil, notFound("The assignment does not exist.")
		}
		return &shape.DeleteApplicationAssignmentOutput{}, tx.Touch(applicationKey(in.ApplicationArn))
	}, nil
}

func (s *Service) listAssignments(_ context.Context, c *api.Call, in *shape.ListApplicationAssignmentsInput, _ *application) (*shape.ListApplicationAssignmentsOutput, error) {
	after, err := afterToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	limit := pageSize(in.MaxResults)
	kind, principal, _ := strings.Cut(after, "/")
	list, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.ApplicationAssignment, error) {
		a := shape.ApplicationAssignment{ApplicationArn: in.ApplicationArn}
		return a, r.Scan((*string)(&a.PrincipalType), &a.PrincipalId)
	}, `SELECT kind, principal FROM identity_assignments WHERE application = ? AND (kind > ? OR kind = ? AND principal > ?) ORDER BY kind, principal LIMIT ?`,
		in.ApplicationArn, kind, kind, principal, limit+1)
	if err != nil {
		return nil, err
	}
	list, next := cut(list, limit, func(a shape.ApplicationAssignment) string { return string(a.PrincipalType) + "/" + a.PrincipalId })
	return &shape.ListApplicationAssignmentsOutput{ApplicationAssignments: list, NextToken: pageToken(next)}, nil
}

// Assigned says whether a person may use an application: by herself or by a group.
func (s *Service) Assigned(_ context.Context, sn *store.Snapshot, application, userID string) (bool, error) {
	versions, err := sn.Versions(userKey(userID), applicationKey(application))
	if err != nil {
		return false, err
	}
	key := standingKey{userID, application, versions[1]}
	if ok, known := s.assigned.Get(key, versions[0]); known {
		return ok, nil
	}
	var n int
	err = sn.QueryRow(`SELECT count(*) FROM identity_assignments a WHERE a.application = ? AND (
		a.kind = 'USER' AND a.principal = ? OR
		a.kind = 'GROUP' AND a.principal IN (SELECT group_id FROM identity_memberships WHERE user_id = ?))`, application, userID, userID).Scan(&n)
	if err != nil {
		return false, err
	}
	return s.assigned.Put(key, versions[0], n > 0), nil
}
