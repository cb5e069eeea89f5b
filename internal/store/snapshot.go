package store

import (
	"context"
	"maps"
)

// Snapshot is one consistent, read-only view of the database, of the moment of
// its first query. It belongs to one goroutine and must be closed soon: while it
// is open SQLite cannot shorten its log. Close it before streaming a body.
type Snapshot struct {
	store *Store
	conn  *conn
	ctx   context.Context
	deps  Dependencies
}

// Snapshot opens a view that contains every Update that returned before.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	if err := s.Healthy(); err != nil {
		return nil, err
	}
	begin := "BEGIN"
	if s.dialect == postgres {
		begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	}
	c, err := s.begin(ctx, begin)
	if err != nil {
		return nil, err
	}
	return &Snapshot{store: s, conn: c, ctx: ctx, deps: make(Dependencies, 8)}, nil
}

// Query reads rows.
func (n *Snapshot) Query(query string, args ...any) (*Rows, error) {
	if n.conn == nil {
		return nil, ErrDone
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
	err := readVersions(n, n.deps, []string{key}, "")
	return n.deps[key], n.forget(err, key)
}

// Versions is Version for several keys in one lookup, in their order.
func (n *Snapshot) Versions(keys ...string) ([]int64, error) {
	if err := n.forget(readVersions(n, n.deps, keys, ""), keys...); err != nil {
		return nil, err
	}
	return inOrder(n.deps, keys), nil
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
	if n.conn == nil {
		return nil
	}
	c := n.conn
	n.conn = nil
	err := c.control(context.WithoutCancel(n.ctx), "ROLLBACK")
	n.store.release(c, err)
	return err
}
