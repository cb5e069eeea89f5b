package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// Querier is what a [Snapshot] and a [Tx] share: reading.
type Querier interface {
	Query(query string, args ...any) (*Rows, error)
	QueryRow(query string, args ...any) Row
	Version(key string) (int64, error)
	Versions(keys ...string) ([]int64, error)
}

// Collect runs a query and reads every row with scan, so that further statements
// may follow at once.
func Collect[T any](q Querier, scan func(*Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// Rows is a result that is being read. It must be read to its end or closed
// before the next statement.
type Rows struct {
	*sql.Rows
	conn *conn
}

// Next prepares the next row for Scan; at the end it closes the rows.
func (r *Rows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	if err := r.Rows.Err(); err != nil && r.conn.tx != nil {
		r.conn.tx.doom(err) // PostgreSQL may fail a statement while it is read
	}
	r.release()
	return false
}

// Close ends the reading. It may be called more than once.
func (r *Rows) Close() error {
	r.release()
	return r.Rows.Close()
}

func (r *Rows) release() {
	if r.conn.open == r {
		r.conn.open = nil
	}
}

// Row is the result of QueryRow. Its zero value has no row.
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the first row's columns, or returns sql.ErrNoRows.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if r.rows == nil {
		return sql.ErrNoRows
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	return r.rows.Close()
}

// maxStatements bounds the prepared statements of one connection. Their texts
// come from source code, so that only lists of changing length ever reach it.
const maxStatements = 512

// conn is one database connection with its prepared statements. It belongs to
// one goroutine at a time.
type conn struct {
	sql   *sql.Conn
	store *Store
	stmts map[string]*sql.Stmt
	open  *Rows
	tx    *Tx // while a change uses it
}

func (s *Store) newConn(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{sql: c, store: s, stmts: make(map[string]*sql.Stmt)}, nil
}

// prepared returns the statement of a query. SQLite only: pgx caches its own.
func (c *conn) prepared(query string) (*sql.Stmt, error) {
	if st, ok := c.stmts[query]; ok {
		return st, nil
	}
	if len(c.stmts) >= maxStatements {
		for _, st := range c.stmts {
			st.Close()
		}
		clear(c.stmts)
	}
	st, err := c.sql.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = st
	return st, nil
}

func (c *conn) query(ctx context.Context, query string, args []any) (*Rows, error) {
	if c.open != nil {
		return nil, ErrRowsOpen
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var rows *sql.Rows
	var err error
	if c.store.dialect == postgres {
		rows, err = c.sql.QueryContext(ctx, c.store.rewritten(query), args...)
	} else {
		var st *sql.Stmt
		if st, err = c.prepared(query); err != nil {
			return nil, err
		}
		// Without the caller's context: an interrupted statement would make
		// SQLite roll back the whole group of changes.
		rows, err = st.QueryContext(context.Background(), args...)
	}
	if err != nil {
		return nil, err
	}
	c.open = &Rows{Rows: rows, conn: c}
	return c.open, nil
}

func (c *conn) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	if c.open != nil {
		return nil, ErrRowsOpen
	}
	if c.store.dialect == postgres {
		return c.sql.ExecContext(ctx, c.store.rewritten(query), args...)
	}
	st, err := c.prepared(query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(context.Background(), args...)
}

// control runs BEGIN, COMMIT and their like, closing rows left open.
func (c *conn) control(ctx context.Context, query string) error {
	if c.open != nil {
		c.open.Close()
	}
	_, err := c.exec(ctx, query, nil)
	return err
}

// discard closes the connection for good instead of returning it to a pool.
func (c *conn) discard() error {
	for _, st := range c.stmts {
		st.Close()
	}
	err := c.sql.Raw(func(any) error { return driver.ErrBadConn })
	if errors.Is(err, driver.ErrBadConn) {
		err = nil
	}
	return errors.Join(err, ignoreDone(c.sql.Close()))
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) {
		return nil
	}
	return err
}
