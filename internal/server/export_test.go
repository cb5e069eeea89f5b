package server

import (
	"context"
	"time"
)

// PruneAt is what the server does about retention when it is so late.
func (s *Server) PruneAt(ctx context.Context, now time.Time) (gone int64, err error) {
	return s.prune(ctx, now)
}
