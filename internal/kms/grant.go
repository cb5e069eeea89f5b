package kms

import "bawn.dev/internal/api"

// granted says whether a grant of the key allows a use of it to the caller.
func (s *Service) granted(*api.Call, *named, use) (bool, error) { return false, nil }
