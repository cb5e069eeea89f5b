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
	writer  *writer               // SQLite
	lock    *fileLock             // SQLite
}

// maxIdle bounds the connections (with their caches) kept for later snapshots.
const maxIdle = 32

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
// database. Open snapshots stay readable until they are closed.
func (s *Store) Close() error {
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

// reader takes an idle connection or makes one. There is no upper bound: a call
// that invokes another while it holds a snapshot must not wait for itself. The
// server bounds the calls.
func (s *Store) reader(ctx context.Context) (*conn, error) {
	select {
	case c := <-s.idle:
		return c, nil
	default:
	}
	c, err := s.newConn(ctx, s.readers)
	if err != nil {
		return nil, fmt.Errorf("store: connect: %w", err)
	}
	return c, nil
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
