package export

import (
	"context"
	"errors"

	"bawn.dev/internal/store"
)

// Migrations are the tables of exports.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "export", Version: 1, SQL: []string{
		// seq is the last record that the destination has; file and size are the file that
		// it was written to, and where its line ends there.
		`CREATE TABLE export_cursors (destination TEXT PRIMARY KEY, seq INTEGER NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID`,
	}}}
}

// A cursor is how far an export is.
type cursor struct {
	seq int64
	place
}

// A place is where a destination has the last line. Of a socket there is none.
type place struct {
	file string
	size int64
}

// errElsewhere says that another copy of the server exports meanwhile.
var errElsewhere = errors.New("export: another copy moved the cursor")

func begin(ctx context.Context, st *store.Store, to string) error {
	return st.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO export_cursors (destination, seq, file, size) VALUES (?, 0, '', 0) ON CONFLICT (destination) DO NOTHING", to)
		return err
	})
}

func (e *Export) cursor(ctx context.Context) (at cursor, err error) {
	n, err := e.Store.Snapshot(ctx)
	if err != nil {
		return at, err
	}
	defer n.Close()
	return at, n.QueryRow("SELECT seq, file, size FROM export_cursors WHERE destination = ?", e.To).Scan(&at.seq, &at.file, &at.size)
}

// Handed is the Seq of the newest record that the destination has.
func (e *Export) Handed(q store.Querier) (seq int64, err error) {
	return seq, q.QueryRow("SELECT seq FROM export_cursors WHERE destination = ?", e.To).Scan(&seq)
}

// move writes down how far it is, if nobody else did.
func (e *Export) move(ctx context.Context, at *cursor, next cursor) error {
	err := e.Store.Update(ctx, func(tx *store.Tx) error {
		done, err := tx.Exec("UPDATE export_cursors SET seq = ?, file = ?, size = ? WHERE destination = ? AND seq = ?",
			next.seq, next.file, next.size, e.To, at.seq)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, errElsewhere)
		}
		return nil
	})
	if err == nil {
		*at = next
	}
	return err
}
