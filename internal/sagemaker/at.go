package sagemaker

import (
	"context"
	"net/netip"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// At is the id of the running job that has an address in a VPC; api.ErrGone if
// there is none.
func (s *Service) At(ctx context.Context, vpc string, address netip.Addr) (string, error) {
	sn, err := s.Door().Store.Snapshot(ctx)
	if err != nil {
		return "", err
	}
	defer sn.Close()
	j, err := s.jobWhere(sn, "vpc = ? AND address = ? AND phase = ?", vpc, address.String(), string(running))
	if err != nil {
		return "", err
	}
	if j == nil {
		return "", api.ErrGone
	}
	return j.id, nil
}

// Behind says as whom a workload with an id acts, and the ARN of what it is;
// api.ErrGone if there is no such workload.
func (s *Service) Behind(q store.Querier, workload string) (api.Claim, string, error) {
	j, err := s.jobWhere(q, "id = ?", workload)
	if err != nil {
		return api.Claim{}, "", err
	}
	if j == nil {
		return api.Claim{}, "", api.ErrGone
	}
	return j.claim(), j.arn, nil
}
