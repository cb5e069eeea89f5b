package iam

import "bawn.dev/internal/api"

func (s *Service) roleOperations() []api.Operation { return nil }
