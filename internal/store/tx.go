package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
)

// Tx is one change. It is valid only inside the function that Update runs, on
// that function's goroutine.
type Tx struct {
	store *Store
	conn  *conn
	ctx   context.Context
	after []func()
	err   error // the first failed statement; it dooms the transaction

	touched map[string]int64 // SQLite: by Touch

	// PostgreSQL: keys that Unchanged holds, and keys that an earlier attempt
	// could not lock for itself.
	confirmed, contended map[string]bool
}

// Update runs fn in a transaction and returns nil only once the change is
// durable. When fn returns an error or panics, nothing of it remains.
//
// fn holds the writer: it does SQL and nothing slow, never calls Update, and must
// not fail the test or exit the goroutine. It may be run more than once (a
// PostgreSQL serialization failure runs it again), so it must set, not add to,
// what it captures. On SQLite many waiting Updates share one commit.
//
// A cancelled context ends the wait for a turn. Once fn has begun, Update waits
// for the outcome, so that nil and an error can both be believed; the exception
// is an error of the commit itself, after which the change may be there or not.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	if err := errors.Join(s.Healthy(), ctx.Err()); err != nil {
		return err
	}
	var after []func()
	var err error
	if s.dialect == postgres {
		after, err = s.updatePostgres(ctx, fn)
	} else {
		after, err = s.writer.update(&change{ctx: ctx, fn: fn})
	}
	if err != nil {
		return err
	}
	for _, f := range after {
		f()
	}
	return nil
}

// Query reads rows as the transaction sees them.
func (t *Tx) Query(query string, args ...any) (*Rows, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	rows, err := t.conn.query(t.ctx, query, args)
	return rows, t.doom(err)
}

// QueryRow reads one row; its error comes with Scan.
func (t *Tx) QueryRow(query string, args ...any) Row {
	rows, err := t.Query(query, args...)
	return Row{rows, err}
}

// Exec changes rows.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	res, err := t.conn.exec(t.ctx, query, args)
	return res, t.doom(err)
}

// Version returns the current version of a key, 0 when it was never touched.
func (t *Tx) Version(key string) (int64, error) {
	v, err := t.Versions(key)
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

// Versions is Version for several keys in one lookup, in their order.
func (t *Tx) Versions(keys ...string) ([]int64, error) {
	deps := make(Dependencies, len(keys))
	if err := readVersions(t, deps, keys, ""); err != nil {
		return nil, err
	}
	return inOrder(deps, keys), nil
}

// AfterCommit has f run once the change is durable, before Update returns, on
// the goroutine that called Update; never when the change fails.
func (t *Tx) AfterCommit(f func()) { t.after = append(t.after, f) }

func (t *Tx) usable() error {
	if t.conn == nil {
		return ErrDone
	}
	return t.err
}

func (t *Tx) doom(err error) error {
	if err != nil && t.err == nil {
		t.err = err
	}
	return err
}

// run calls fn, turns a panic into an error and ends the transaction's life.
func (t *Tx) run(fn func(*Tx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		if t.conn.open != nil {
			t.conn.open.Close()
		}
		t.conn.tx = nil
		t.conn = nil
	}()
	t.conn.tx = t
	if err := fn(t); err != nil {
		return err
	}
	if t.err != nil {
		return fmt.Errorf("store: a statement of the update failed: %w", t.err)
	}
	return nil
}
