package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"bawn.dev/internal/config"
)

// witnessEvery is how often the newest signed head of the record is copied out of
// the database.
const witnessEvery = 5 * time.Second

// witness keeps a copy of the record's newest head in a file of its own, so that a
// database that was cut back to an older, correctly signed state is noticed. Who
// can write both can still hide the newest seconds: keep a copy elsewhere.
func (s *Server) witness(ctx context.Context) error {
	tick := time.NewTicker(witnessEvery)
	defer tick.Stop()
	var last string
	for {
		head, err := s.trail.Checkpoint(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if len(head) > 0 && string(head) != last {
			if err := config.WriteFile(s.cfg.Path(headFile), head); err != nil {
				return err
			}
			last = string(head)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

const headFile = "record.head"

// checkRecord verifies the whole record, and that it still extends the head that
// was copied out.
func (s *Server) checkRecord(ctx context.Context) ([]string, error) {
	head, err := os.ReadFile(s.cfg.Path(headFile))
	if errors.Is(err, fs.ErrNotExist) {
		return faults(s.trail.Verify(ctx))
	}
	if err != nil {
		return nil, err
	}
	return faults(s.trail.Verify(ctx, head))
}
