package iam

import (
	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

func (s *Service) boundaryOperations() []api.Operation { return nil }

// boundary is the permissions boundary of an entity; nil for none.
func (s *Service) boundary(sn *store.Snapshot, e *entity) (*policy.Doc, error) { return nil, nil }
