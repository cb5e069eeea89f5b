package iam

import "bawn.dev/internal/api"

func (s *Service) userOperations() []api.Operation { return nil }
