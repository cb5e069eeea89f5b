package identity

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// What is asked for and done by Run.
const (
	toAssign    = "ASSIGN"
	toUnassign  = "UNASSIGN"
	toProvision = "PROVISION"
)

// keepRequests is how long their outcome can be asked for.
const keepRequests = 90 * 24 * time.Hour

// A request is something that was asked for and takes its time.
type request struct {
	id, action string
	pair       // an empty account: every one where the set is provisioned
	kind       shape.PrincipalType
	principal  string
	state      shape.StatusValues
	reason     string // of a failure
	created    time.Time
}

func newRequest(action string, p pair, now time.Time) *request {
	return &request{id: uuid.At(now), action: action, pair: p, state: shape.StatusValuesInProgress, created: now.UTC().Truncate(time.Microsecond)}
}

const requestColumns = `id, action, account, permission_set, kind, principal, state, reason, created`

func scanRequest(scan func(...any) error) (*request, error) {
	r := &request{}
	var created int64
	err := scan(&r.id, &r.action, &r.account, &r.set, (*string)(&r.kind), &r.principal, (*string)(&r.state), &r.reason, &created)
	r.created = time.UnixMicro(created).UTC()
	return r, err
}

// insertRequest refuses a second one for the same while the first is in progress, and
// wakes Run.
func (s *Service) insertRequest(tx *store.Tx, r *request) error {
	var same int
	if err := tx.QueryRow(`SELECT count(*) FROM identity_requests WHERE state = ? AND account = ? AND permission_set = ? AND kind = ? AND principal = ?`,
		string(shape.StatusValuesInProgress), r.account, r.set, string(r.kind), r.principal).Scan(&same); err != nil {
		return err
	}
	if same > 0 {
		return conflict("An earlier request for the same is in progress.")
	}
	if _, err := tx.Exec(`DELETE FROM identity_requests WHERE created < ? AND state <> ?`, r.created.Add(-keepRequests).UnixMicro(), string(shape.StatusValuesInProgress)); err != nil {
		return err
	}
	tx.AfterCommit(s.notify)
	_, err := tx.Exec(`INSERT INTO identity_requests (`+requestColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, '', ?)`,
		r.id, r.action, r.account, r.set, string(r.kind), r.principal, string(r.state), r.created.UnixMicro())
	return err
}

// assignment is how AWS describes a request for an assignment, or for its end.
func (r *request) assignment() *shape.AccountAssignmentOperationStatus {
	return &shape.AccountAssignmentOperationStatus{
		CreatedDate: r.created, FailureReason: r.reason, PermissionSetArn: r.set, PrincipalId: r.principal, PrincipalType: r.kind,
		RequestId: r.id, Status: r.state, TargetId: r.account, TargetType: shape.TargetTypeAwsAccount,
	}
}

// provision is how AWS describes a request for provisioning.
func (r *request) provision() *shape.PermissionSetProvisioningStatus {
	return &shape.PermissionSetProvisioningStatus{
		AccountId: r.account, CreatedDate: r.created, FailureReason: r.reason, PermissionSetArn: r.set, RequestId: r.id, Status: r.state,
	}
}

func (s *Service) requestOf(q store.Querier, action, id string) (*request, error) {
	r, err := scanRequest(q.QueryRow(`SELECT `+requestColumns+` FROM identity_requests WHERE id = ? AND action = ?`, id, action).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("Request %s does not exist.", id)
	}
	return r, err
}

// requests is a page of those of an action, the oldest first.
func (s *Service) requests(c *api.Call, action string, f *shape.OperationStatusFilter, token string, size *int32) ([]*request, string, error) {
	after, err := afterToken(token)
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(size)
	query, args := `SELECT `+requestColumns+` FROM identity_requests WHERE action = ? AND id > ?`, []any{action, after}
	if f != nil && f.Status != "" {
		query, args = query+` AND state = ?`, append(args, string(f.Status))
	}
	list, err := store.Collect(c.Snapshot, func(r *store.Rows) (*request, error) { return scanRequest(r.Scan) },
		query+` ORDER BY id LIMIT ?`, append(args, limit+1)...)
	list, next := cut(list, limit, func(r *request) string { return r.id })
	return list, pageToken(next), err
}

func (s *Service) describeCreation(_ context.Context, c *api.Call, in *shape.DescribeAccountAssignmentCreationStatusInput, _ instance) (*shape.DescribeAccountAssignmentCreationStatusOutput, error) {
	r, err := s.requestOf(c.Snapshot, toAssign, in.AccountAssignmentCreationRequestId)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeAccountAssignmentCreationStatusOutput{AccountAssignmentCreationStatus: r.assignment()}, nil
}

func (s *Service) describeDeletion(_ context.Context, c *api.Call, in *shape.DescribeAccountAssignmentDeletionStatusInput, _ instance) (*shape.DescribeAccountAssignmentDeletionStatusOutput, error) {
	r, err := s.requestOf(c.Snapshot, toUnassign, in.AccountAssignmentDeletionRequestId)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeAccountAssignmentDeletionStatusOutput{AccountAssignmentDeletionStatus: r.assignment()}, nil
}

func (s *Service) describeProvisioning(_ context.Context, c *api.Call, in *shape.DescribePermissionSetProvisioningStatusInput, _ instance) (*shape.DescribePermissionSetProvisioningStatusOutput, error) {
	r, err := s.requestOf(c.Snapshot, toProvision, in.ProvisionPermissionSetRequestId)
	if err != nil {
		return nil, err
	}
	return &shape.DescribePermissionSetProvisioningStatusOutput{PermissionSetProvisioningStatus: r.provision()}, nil
}

func (s *Service) listCreations(_ context.Context, c *api.Call, in *shape.ListAccountAssignmentCreationStatusInput, _ instance) (*shape.ListAccountAssignmentCreationStatusOutput, error) {
	list, next, err := s.requests(c, toAssign, in.Filter, in.NextToken, in.MaxResults)
	return &shape.ListAccountAssignmentCreationStatusOutput{AccountAssignmentsCreationStatus: outcomes(list), NextToken: next}, err
}

func (s *Service) listDeletions(_ context.Context, c *api.Call, in *shape.ListAccountAssignmentDeletionStatusInput, _ instance) (*shape.ListAccountAssignmentDeletionStatusOutput, error) {
	list, next, err := s.requests(c, toUnassign, in.Filter, in.NextToken, in.MaxResults)
	return &shape.ListAccountAssignmentDeletionStatusOutput{AccountAssignmentsDeletionStatus: outcomes(list), NextToken: next}, err
}

func outcomes(list []*request) []shape.AccountAssignmentOperationStatusMetadata {
	out := []shape.AccountAssignmentOperationStatusMetadata{}
	for _, r := range list {
		out = append(out, shape.AccountAssignmentOperationStatusMetadata{CreatedDate: r.created, RequestId: r.id, Status: r.state})
	}
	return out
}

func (s *Service) listProvisionings(_ context.Context, c *api.Call, in *shape.ListPermissionSetProvisioningStatusInput, _ instance) (*shape.ListPermissionSetProvisioningStatusOutput, error) {
	list, next, err := s.requests(c, toProvision, in.Filter, in.NextToken, in.MaxResults)
	out := &shape.ListPermissionSetProvisioningStatusOutput{PermissionSetsProvisioningStatus: []shape.PermissionSetProvisioningStatusMetadata{}, NextToken: next}
	for _, r := range list {
		out.PermissionSetsProvisioningStatus = append(out.PermissionSetsProvisioningStatus,
			shape.PermissionSetProvisioningStatusMetadata{CreatedDate: r.created, RequestId: r.id, Status: r.state})
	}
	return out, err
}

// inInstance demands an action on the instance that an input names.
func inInstance[In any](s *Service, action string, name func(*In) string) func(context.Context, *api.Call, *In) (instance, []api.Demand, error) {
	return func(_ context.Context, c *api.Call, in *In) (instance, []api.Demand, error) {
		return s.onInstance(c, action, name(in))
	}
}
