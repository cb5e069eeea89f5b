package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup writes a consistent copy of the database, as of some moment during the
// call, into a new file (0600) while work goes on, and makes it durable. SQLite
// only: PostgreSQL has tools of its own (pg_dump, base backups).
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	if s.dialect == postgres {
		return errors.New("store: a PostgreSQL database is backed up with PostgreSQL's tools")
	}
	if err := s.Healthy(); err != nil {
		return err
	}
	// SQLite takes an empty file as the target, and keeps its mode.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	db := sqliteDB(s.writer.guard.path, copying)
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return errors.Join(f.Sync(), syncDir(filepath.Dir(path)))
}

// syncDir makes a new name in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
