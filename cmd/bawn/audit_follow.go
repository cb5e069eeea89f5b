package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"bawn.dev/internal/server"
)

// comeBack is how often a server that went away is asked for.
const comeBack = 500 * time.Millisecond

// follow shows what happens until it is interrupted. Where the server went away it goes
// on from the last record that it told of.
func (c *auditCmd) follow(ctx context.Context, req server.AuditRequest, out *auditWriter) error {
	cfg, err := load(c.Data, c.Database)
	if err != nil {
		return err
	}
	met, away := false, false
	for {
		err := server.FollowRunning(ctx, cfg, req, func(l server.AuditLine) error {
			if met, away, req.From = true, false, max(l.Seq, 1); len(l.Event) == 0 {
				return out.end()
			}
			return errors.Join(out.write(l), out.end())
		})
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, server.ErrNotRunning) || !met {
			return err
		}
		if !away {
			away = true
			fmt.Fprintln(os.Stderr, "bawn: the server is away; waiting for it")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(comeBack):
		}
	}
}
