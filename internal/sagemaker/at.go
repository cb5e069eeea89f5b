package sagemaker

import (
	"context"
	"net/netip"

	"bawn.dev/internal/api"
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
