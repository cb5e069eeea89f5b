package iam

import "bawn.dev/internal/api"

func (s *Service) deviceOperations() []api.Operation { return nil }
