package store

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"time"
)

// Lead waits until this copy is the only one that leads under this name, and
// then runs fn. fn's context ends when the lock may have been lost. Being the
// leader saves work and conflicts; it is no proof against a copy that has not
// noticed its loss yet: fn's changes must be safe by what they read in their own
// transaction. With SQLite this process is the only copy and leads at once.
func (s *Store) Lead(ctx context.Context, name string, fn func(context.Context) error) error {
	if s.dialect == sqlite {
		return fn(ctx)
	}
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	key := lockKey("lead", name)
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", key); err != nil {
		return err
	}
	leading, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-leading.Done():
				return
			case <-tick.C:
			}
			if err := conn.PingContext(leading); err != nil {
				cancel(err)
				return
			}
		}
	}()
	err = fn(leading)
	cancel(nil)
	<-watched

	unlock, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	var held bool
	if e := conn.QueryRowContext(unlock, "SELECT pg_advisory_unlock($1)", key).Scan(&held); e != nil || !held {
		// The session must go, and a lock that it may still hold with it.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}

// lockKey maps a name to PostgreSQL's number for an advisory lock.
func lockKey(kind, name string) int64 {
	sum := sha256.Sum256([]byte("bawn/" + kind + "/" + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}
