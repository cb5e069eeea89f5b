package store

import (
	"context"
	"errors"
	"maps"
)

// Snapshot is one consistent, read-only view of the database, of the moment of
// its first query. It belongs to one goroutine and must be closed soon: while it
// is open SQLite cannot shorten its log. Close it before streaming a body.
type Snapshot struct {
	store  *Store
	conn   *conn // SQLite: nil until the first row is asked for
	ctx    context.Context
	deps   Dependencies
	closed bool

	// SQLite: the last version that it sees, and whether it tells of versions before
	// it has a view of the rows.
	at   int64
	lazy bool
}

// Snapshot opens a view that contains every Update that returned before.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	if err := errors.Join(s.Healthy(), ctx.Err()); err != nil {
		return nil, err
	}
	n := &Snapshot{store: s, ctx: ctx, deps: make(Dependencies, 8)}
	if s.dialect == sqlite {
		n.at = s.known.now()
		return n, nil
	}
	var err error
	if n.conn, err = s.begin(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, err
	}
	return n, nil
}

// Glance is a Snapshot for who may need versions only: where they are kept in memory,
// it does not open the database before the first row is asked for. Should what it told
// of versions not be so any more then, it fails with ErrChanged, and so does each later
// use that needs the database: begin again.
func (s *Store) Glance(ctx context.Context) (*Snapshot, error) {
	n, err := s.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	n.lazy = true
	return n, nil
}

// Query reads rows.
func (n *Snapshot) Query(query string, args ...any) (*Rows, error) {
	if n.closed {
		return nil, ErrDone
	}
	if n.conn == nil {
		return n.open(query, args)
	}
	return n.conn.query(n.ctx, query, args)
}

// QueryRow reads one row; its error comes with Scan.
func (n *Snapshot) QueryRow(query string, args ...any) Row {
	rows, err := n.Query(query, args...)
	return Row{rows, err}
}

// Version returns the current version of an entity's key, 0 when it was never
// touched, and remembers it as a dependency.
func (n *Snapshot) Version(key string) (int64, error) {
	if v, ok := n.deps[key]; ok {
		return v, nil
	}
	err := n.read([]string{key})
	return n.deps[key], err
}

// Versions is Version for several keys in one lookup, in their order.
func (n *Snapshot) Versions(keys ...string) ([]int64, error) {
	if err := n.read(keys); err != nil {
		return nil, err
	}
	return inOrder(n.deps, keys), nil
}

func (n *Snapshot) read(keys []string) error {
	if n.store.dialect == sqlite {
		return n.look(keys)
	}
	return n.forget(readVersions(n, n.deps, keys, ""), keys...)
}

// forget drops keys whose lookup failed: an unread version must not pass for 0.
func (n *Snapshot) forget(err error, keys ...string) error {
	if err != nil {
		for _, k := range keys {
			delete(n.deps, k)
		}
	}
	return err
}

// Dependencies returns the keys and versions that this snapshot was asked for.
// The map is the caller's.
func (n *Snapshot) Dependencies() Dependencies { return maps.Clone(n.deps) }

// Close ends the snapshot. It may be called more than once.
func (n *Snapshot) Close() error {
	n.closed = true
	if n.conn == nil {
		return nil
	}
	c := n.conn
	n.conn = nil
	err := c.control(context.WithoutCancel(n.ctx), "ROLLBACK")
	n.store.release(c, err)
	return err
}
