package server

import (
	"context"
	"log/slog"
	"time"

	"bawn.dev/internal/config"
)

// OpenAt is Open for tests that move the clock.
func OpenAt(ctx context.Context, cfg config.Config, log *slog.Logger, now func() time.Time) (*Server, error) {
	return open(ctx, cfg, log, now, false)
}

// Deliver has trails deliver what is due by the clock.
func (s *Server) Deliver(ctx context.Context) error { return s.cloudtrail.Tend(ctx) }
