package iam

import "bawn.dev/internal/api"

func (s *Service) accountOperations() []api.Operation { return nil }
