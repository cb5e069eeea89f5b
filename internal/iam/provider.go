package iam

import "bawn.dev/internal/api"

func (s *Service) providerOperations() []api.Operation { return nil }
