package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // registers the driver "sqlite" with database/sql
)

// openSQLite opens the file with one writing connection and a pool of reading
// ones. Other processes are kept out by a lock, because version numbers are
// counted in memory.
func (s *Store) openSQLite(ctx context.Context, cfg Config) (err error) {
	s.dialect = sqlite
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return err
	}
	if s.lock, err = lockFile(path + ".lock"); err != nil {
		return err
	}
	if err := createFile(path); err != nil {
		return err
	}

	db := sqliteDB(path, writing)
	c, err := s.newConn(ctx, db)
	if err != nil {
		return errors.Join(fmt.Errorf("store: open %s: %w", path, err), db.Close())
	}
	// From here Close ends the writer and with it the connection.
	s.writer = newWriter(s, db, c, path, cfg.MinFree)
	if err := s.writer.prepare(ctx); err != nil {
		return fmt.Errorf("store: open %s: %w", path, err)
	}
	s.readers = sqliteDB(path, reading)
	s.writer.looped = true
	go s.writer.loop()
	return nil
}

// access is what a connection is for.
type access int

const (
	reading access = iota
	writing
	copying // reads, and writes another file
)

// sqliteDB names the file with what every connection sets. Checksums and layout
// of a hostile file are not trusted (cell_size_check, trusted_schema).
func sqliteDB(path string, mode access) *sql.DB {
	patience := "busy_timeout(10000)"
	if mode == writing {
		patience = "busy_timeout(100)" // nobody else writes; see writer.shorten
	}
	q := url.Values{"mode": {"rw"}, "_pragma": {
		patience,
		"case_sensitive_like(1)",
		"foreign_keys(1)",
		"trusted_schema(0)",
		"cell_size_check(1)",
		"temp_store(2)",
		"cache_size(-4096)",
	}}
	switch mode {
	case reading:
		q.Set("mode", "ro")
		q.Add("_pragma", "query_only(1)")
	case writing:
		q.Add("_pragma", "journal_mode(WAL)")
		q.Add("_pragma", "synchronous(FULL)")
		q.Add("_pragma", "journal_size_limit(67108864)")
		q.Add("_pragma", "secure_delete(ON)") // what is deleted is no longer in the file
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		panic("store: the driver named sqlite is linked into this package: " + err.Error())
	}
	// Connections are kept by this package, with their statements.
	db.SetMaxIdleConns(0)
	return db
}

// createFile makes an empty database file readable by its owner only, or checks
// that an existing one is a regular file and closes it to others.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("store: %s is not a regular file", path)
		}
		return os.Chmod(path, 0o600)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// prepare checks the settings that durability rests on and makes the store's
// tables.
func (w *writer) prepare(ctx context.Context) error {
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2"} {
		var got string
		if err := w.row(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s is %q, not %q: this file system cannot hold the database", pragma, got, want)
		}
	}
	for _, statement := range ownTables {
		if _, err := w.conn.exec(ctx, statement, nil); err != nil {
			return err
		}
	}
	if err := w.row(ctx, "SELECT coalesce(max(version), 0) FROM versions").Scan(&w.store.version); err != nil {
		return err
	}
	w.store.known.versions = make(map[string]int64)
	w.store.known.at = w.store.version
	return w.guard.remember()
}

func (w *writer) row(ctx context.Context, query string) Row {
	rows, err := w.conn.query(ctx, query, nil)
	return Row{rows, err}
}
