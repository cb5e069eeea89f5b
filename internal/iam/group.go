package iam

import (
	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

func (s *Service) groupOperations() []api.Operation { return nil }

// groupPolicies are the policies that a user has by its groups.
func (s *Service) groupPolicies(sn *store.Snapshot, user *entity) ([]policy.Doc, error) {
	return nil, nil
}
