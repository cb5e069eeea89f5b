package iam

import "bawn.dev/internal/api"

func (s *Service) lastUsedOperations() []api.Operation { return nil }
