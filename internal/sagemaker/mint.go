package sagemaker

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
)

// credentialsLife is how long a workload's credentials are good: AWS's least.
const credentialsLife = time.Hour

// Credentials are what a workload signs with.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
	RoleARN         string
}

// Mint makes credentials of the job's role for its workload, on behalf of the job's
// person, for an hour at most. That the job runs, that the role is there and trusts
// the service, and that the person is present is looked up each time; what is not
// so is api.ErrGone.
func (s *Service) Mint(ctx context.Context, workloadID string) (Credentials, error) {
	if s.Sessions == nil {
		return Credentials{}, api.ErrGone
	}
	sn, err := s.Door().Store.Snapshot(ctx)
	if err != nil {
		return Credentials{}, err
	}
	j, err := s.jobByID(sn, workloadID)
	sn.Close()
	if err != nil {
		return Credentials{}, err
	}
	if j == nil || j.phase != running || j.network == nil {
		return Credentials{}, api.ErrGone
	}
	if _, err := s.asRole(ctx, j, nil); err != nil {
		if f, denied := errors.AsType[*failure](err); denied {
			err = errors.Join(api.ErrGone, f)
		}
		return Credentials{}, err
	}
	claim := j.claim()
	claim.Issued = s.Door().Now().UTC()
	claim.Expires = claim.Issued.Add(credentialsLife)
	out, err := s.Sessions.Issue(claim)
	if err != nil {
		return Credentials{}, err
	}
	out.RoleARN = j.role
	return out, nil
}
