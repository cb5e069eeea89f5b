package store

import (
	"context"
	"errors"
)

// Enter marks the transaction as one that Settle under the same name waits for.
// Call it before the INSERT whose place in the order matters.
func (t *Tx) Enter(gate string) error {
	if t.store.dialect == sqlite {
		return nil // the one writer commits in the order of insertion
	}
	_, err := t.Exec("SELECT pg_advisory_xact_lock_shared(?)", lockKey("gate", gate))
	return err
}

// Settle runs read at a moment at which no transaction that entered the gate is
// unfinished. What follows a sequence's numbers may then trust that no smaller
// number than the largest it sees will appear later.
func (s *Store) Settle(ctx context.Context, gate string, read func(Querier) error) error {
	if s.dialect == postgres {
		// A lock of a transaction: whatever happens, its end opens the gate. The
		// snapshot is another session's, so that it begins after the lock.
		c, err := s.begin(ctx, "BEGIN READ ONLY")
		if err != nil {
			return err
		}
		defer func() { s.release(c, c.control(context.WithoutCancel(ctx), "ROLLBACK")) }()
		if _, err := c.exec(ctx, "SELECT pg_advisory_xact_lock(?)", []any{lockKey("gate", gate)}); err != nil {
			return err
		}
	}
	n, err := s.Snapshot(ctx)
	if err != nil {
		return err
	}
	return errors.Join(read(n), n.Close())
}
