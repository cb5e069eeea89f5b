package server

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/fetch"
	"bawn.dev/internal/signin"
	"bawn.dev/internal/store"
)

// federation is what sign-in at external identity providers needs of the others.
func (s *Server) federation(fetcher *fetch.Client) signin.Federation {
	return signin.Federation{
		Begin: func(ctx context.Context, claim api.Claim, via string) (*api.Call, error) {
			return s.door.Begin(ctx, claim, via)
		},
		Fetch: fetcher,
		Groups: func(sn *store.Snapshot, userID string) ([]signin.Group, error) {
			ids, names, err := s.identity.GroupsOf(sn, userID)
			var groups []signin.Group
			for i := range ids {
				groups = append(groups, signin.Group{ID: ids[i], Name: names[i]})
			}
			return groups, err
		},
	}
}
