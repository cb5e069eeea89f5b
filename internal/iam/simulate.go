package iam

import "bawn.dev/internal/api"

func (s *Service) simulatorOperations() []api.Operation { return nil }
