package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Migration is one step of a room's tables. Statements are written once, in
// SQLite's words; on PostgreSQL INTEGER becomes BIGINT, BLOB BYTEA, TEXT text
// that compares by bytes, "INTEGER PRIMARY KEY AUTOINCREMENT" an identity
// column, and WITHOUT ROWID goes away. BOOLEAN is the same on both.
type Migration struct {
	Room    string   // the service or package that owns the tables
	Version int      // 1, 2, 3, … within the room
	SQL     []string // one statement each; never edited once released
}

var ownTables = []string{
	`CREATE TABLE IF NOT EXISTS versions (key TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID`,
	`CREATE TABLE IF NOT EXISTS schema_migrations (
		room TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, applied INTEGER NOT NULL,
		PRIMARY KEY (room, version)) WITHOUT ROWID`,
}

// Migrate applies the migrations that the database lacks, all or none. It may be
// called again, and by every room for its own list. It refuses a database that
// has a later version of one of the rooms, and a step whose text is not the one
// that was applied.
func (s *Store) Migrate(ctx context.Context, list []Migration) error {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Migration) int {
		if c := strings.Compare(a.Room, b.Room); c != 0 {
			return c
		}
		return a.Version - b.Version
	})
	last := make(map[string]int)
	for _, m := range list {
		if m.Room == "" || m.Version != last[m.Room]+1 {
			return fmt.Errorf("store: migrations of room %q: version %d follows %d", m.Room, m.Version, last[m.Room])
		}
		last[m.Room] = m.Version
	}
	return s.alone(ctx, func(tx *Tx) error {
		applied := make(map[string]string)
		for room, version := range last {
			if err := appliedSteps(tx, room, version, applied); err != nil {
				return err
			}
		}
		for _, m := range list {
			if err := m.apply(tx, applied); err != nil {
				return fmt.Errorf("store: migration %s/%d: %w", m.Room, m.Version, err)
			}
		}
		return nil
	})
}

func (m Migration) id() string { return fmt.Sprintf("%s/%d", m.Room, m.Version) }

func (m Migration) apply(tx *Tx, applied map[string]string) error {
	sum := sha256.Sum256([]byte(strings.Join(m.SQL, ";\n")))
	digest := hex.EncodeToString(sum[:])
	if was, ok := applied[m.id()]; ok {
		if was != digest {
			return fmt.Errorf("its text differs from what was applied")
		}
		return nil
	}
	for _, statement := range m.SQL {
		if tx.store.dialect == postgres {
			statement = schema(statement)
		}
		if _, err := tx.Exec(statement); err != nil {
			return err
		}
	}
	_, err := tx.Exec("INSERT INTO schema_migrations (room, version, digest, applied) VALUES (?, ?, ?, ?)",
		m.Room, m.Version, digest, time.Now().Unix())
	return err
}

func appliedSteps(tx *Tx, room string, known int, into map[string]string) error {
	rows, err := tx.Query("SELECT version, digest FROM schema_migrations WHERE room = ?", room)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		m := Migration{Room: room}
		var digest string
		if err := rows.Scan(&m.Version, &digest); err != nil {
			return err
		}
		if m.Version > known {
			return fmt.Errorf("%w: room %q is at version %d, this release knows %d", ErrNewerSchema, room, m.Version, known)
		}
		into[m.id()] = digest
	}
	return rows.Err()
}

// alone runs a change of the schema while no other copy makes one: PostgreSQL
// would fail one of two that make the same table.
func (s *Store) alone(ctx context.Context, fn func(*Tx) error) error {
	return s.Lead(ctx, "schema", func(ctx context.Context) error { return s.Update(ctx, fn) })
}
