package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

// Config says where the state is. Exactly one of Path and DatabaseURL is set.
type Config struct {
	Path        string // SQLite's file; made (0600) when absent, in a directory that exists
	DatabaseURL string // postgres://…; never logged, it may hold a password
	Log         *slog.Logger

	// MinFree is the free space in bytes below which SQLite accepts no change;
	// 0 stands for 64 MiB.
	MinFree uint64
}

// Store is the database. Its methods may be called from many goroutines.
type Store struct {
	dialect dialect
	log     *slog.Logger
	readers *sql.DB // PostgreSQL: everything
	idle    chan *conn

	failed  atomic.Pointer[error] // set once: the store refuses everything
	texts   sync.Map              // PostgreSQL: query with '?' → with $n
	version int64                 // SQLite: the last version given; the writer's
	known   known                 // SQLite
	writer  *writer               // SQLite
	lock    *fileLock             // SQLite

	closing sync.Once
	closed  error
}

// maxIdle bounds the connections (with their caches) kept for later snapshots.
const maxIdle = 64

// Open opens the database and makes the store's own tables.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if (cfg.Path == "") == (cfg.DatabaseURL == "") {
		return nil, errors.New("store: set exactly one of Path and DatabaseURL")
	}
	s := &Store{log: cfg.Log, idle: make(chan *conn, maxIdle)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	open := s.openSQLite
	if cfg.DatabaseURL != "" {
		open = s.openPostgres
	}
	if err := open(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Healthy returns nil, or why the store refuses to work: it was closed, or it
// met an error after which only a restart can tell what is on the disk.
func (s *Store) Healthy() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// fail makes the store refuse everything from now on. The first reason stays.
func (s *Store) fail(err error) error {
	if s.failed.CompareAndSwap(nil, &err) && !errors.Is(err, ErrClosed) {
		s.log.Error("the store refuses all work until it is opened again", "error", err)
	}
	return *s.failed.Load()
}

// Close waits for the changes in progress, refuses the rest and closes the
// database. It may be called more than once. Close snapshots first.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Store) close() error {
	s.fail(ErrClosed)
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	for len(s.idle) > 0 {
		errs = append(errs, (<-s.idle).discard())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.release())
	}
	return errors.Join(errs...)
}

// begin opens a transaction on an idle connection, or on a new one. Idle ones may
// have died with their server; a new one must work. There is no upper bound: a
// call that invokes another while it holds a snapshot must not wait for itself.
// The server bounds the calls.
func (s *Store) begin(ctx context.Context, statement string) (*conn, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var c *conn
		fresh := false
		select {
		case c = <-s.idle:
		default:
			var err error
			if c, err = s.newConn(ctx, s.readers); err != nil {
				return nil, fmt.Errorf("store: connect: %w", err)
			}
			fresh = true
		}
		err := c.control(ctx, statement)
		if err == nil {
			return c, nil
		}
		s.release(c, err)
		if fresh {
			return nil, fmt.Errorf("store: begin: %w", err)
		}
	}
}

// release keeps a connection for later, unless it failed or is one too many.
func (s *Store) release(c *conn, err error) {
	if err == nil && s.Healthy() == nil {
		select {
		case s.idle <- c:
			return
		default:
		}
	}
	if err := c.discard(); err != nil {
		s.log.Warn("close a database connection", "error", err)
	}
}
