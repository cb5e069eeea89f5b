package server

import (
	"context"
	"time"
)

// PruneAt is what the server does about retention when it is so late.
func (s *Server) PruneAt(ctx context.Context, now time.Time) (gone int64, err error) {
	return s.prune(ctx, now)
}

// RetainAt goes on doing it.
func (s *Server) RetainAt(ctx context.Context, now time.Time) error {
	return s.retaining(ctx, 0, func() time.Time { return now })
}
