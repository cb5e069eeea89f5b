package server

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/store"
)

// steadyPause is how long a loop waits for a database that is away.
const steadyPause = time.Second

// steady is a loop of the server that a database's absence does not end: calls are
// refused meanwhile, and when it is back the loop goes on, here or on the copy that leads
// then. Any other error is the loop's own and ends the server.
func (s *Server) steady(ctx context.Context, name string, loop func(context.Context) error) func() error {
	return func() error {
		told := false
		for {
			err := loop(ctx)
			if ctx.Err() != nil {
				return err
			}
			lost := err == nil || errors.Is(err, context.Canceled) // it no longer leads
			if !lost && !store.Away(err) {
				return err
			}
			if !lost && !told {
				s.log.Warn("the database is away: no call is answered until it is back", "waiting", name, "err", err)
			}
			told = !lost
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(steadyPause):
			}
		}
	}
}
