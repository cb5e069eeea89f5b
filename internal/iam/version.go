package iam

import "bawn.dev/internal/api"

func (s *Service) versionOperations() []api.Operation { return nil }
