package logs

import (
	"database/sql"
	"errors"

	"bawn.dev/internal/store"
)

// Migrations are the tables of the service. A batch is what one PutLogEvents
// brought; seq orders batches, first and last bound the times of its events in
// milliseconds.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "logs", Version: 1, SQL: []string{
		`CREATE TABLE logs_groups (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, kms_key TEXT NOT NULL, class TEXT NOT NULL,
			created INTEGER NOT NULL, UNIQUE (account, name)) WITHOUT ROWID`,
		`CREATE TABLE logs_tags (grp TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (grp, name)) WITHOUT ROWID`,
		`CREATE TABLE logs_streams (
			id TEXT PRIMARY KEY, grp TEXT NOT NULL, name TEXT NOT NULL, data_key BLOB NOT NULL, created INTEGER NOT NULL,
			first INTEGER NOT NULL, last INTEGER NOT NULL, ingested INTEGER NOT NULL, bytes INTEGER NOT NULL,
			UNIQUE (grp, name)) WITHOUT ROWID`,
		`CREATE INDEX logs_streams_last ON logs_streams (grp, last, name)`,
		`CREATE TABLE logs_batches (
			seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, grp TEXT NOT NULL, stream TEXT NOT NULL,
			first INTEGER NOT NULL, last INTEGER NOT NULL, ingested INTEGER NOT NULL, sealed BLOB NOT NULL)`,
		`CREATE INDEX logs_batches_stream_first ON logs_batches (stream, first, seq)`,
		`CREATE INDEX logs_batches_stream_last ON logs_batches (stream, last, seq)`,
		`CREATE INDEX logs_batches_group_first ON logs_batches (grp, first, seq)`,
	}}}
}

// A group is a log group as its row says.
type group struct {
	id, account, name string
	kmsKey            string // ARN; empty for the AWS-managed key
	class             string
	created           int64 // milliseconds
	tags              map[string]string
	arn               string
}

// A stream is a log stream as its row says. first and ingested are 0 until there
// are events; times are in milliseconds.
type stream struct {
	id, name                               string
	dataKey                                []byte // as KMS sealed it
	created, first, last, ingested, stored int64
}

const groupColumns = "id, account, name, kms_key, class, created"

func (s *Service) scanGroup(scan func(...any) error) (*group, error) {
	g := &group{}
	if err := scan(&g.id, &g.account, &g.name, &g.kmsKey, &g.class, &g.created); err != nil {
		return nil, err
	}
	g.arn = s.groupARN(g.account, g.name)
	return g, nil
}

// groupRow reads a group, or answers nil.
func (s *Service) groupRow(q store.Querier, account, name string) (*group, error) {
	g, err := s.scanGroup(q.QueryRow("SELECT "+groupColumns+" FROM logs_groups WHERE account = ? AND name = ?", account, name).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return g, err
}

func tagsOf(q store.Querier, grp string) (map[string]string, error) {
	tags := map[string]string{}
	_, err := store.Collect(q, func(r *store.Rows) (struct{}, error) {
		var name, value string
		err := r.Scan(&name, &value)
		tags[name] = value
		return struct{}{}, err
	}, "SELECT name, value FROM logs_tags WHERE grp = ?", grp)
	return tags, err
}

func insertGroup(tx *store.Tx, g *group) error {
	if _, err := tx.Exec("INSERT INTO logs_groups ("+groupColumns+") VALUES (?, ?, ?, ?, ?, ?)",
		g.id, g.account, g.name, g.kmsKey, g.class, g.created); err != nil {
		return err
	}
	for name, value := range g.tags {
		if _, err := tx.Exec("INSERT INTO logs_tags (grp, name, value) VALUES (?, ?, ?)", g.id, name, value); err != nil {
			return err
		}
	}
	return tx.Touch(versionKey(g.account, g.name))
}

func deleteGroup(tx *store.Tx, g *group) error {
	for _, statement := range []string{
		"DELETE FROM logs_batches WHERE grp = ?", "DELETE FROM logs_streams WHERE grp = ?",
		"DELETE FROM logs_tags WHERE grp = ?", "DELETE FROM logs_groups WHERE id = ?",
	} {
		if _, err := tx.Exec(statement, g.id); err != nil {
			return err
		}
	}
	return tx.Touch(versionKey(g.account, g.name))
}

const streamColumns = "id, name, data_key, created, first, last, ingested, bytes"

func scanStream(scan func(...any) error) (*stream, error) {
	st := &stream{}
	return st, scan(&st.id, &st.name, &st.dataKey, &st.created, &st.first, &st.last, &st.ingested, &st.stored)
}

func streamRows(q store.Querier, where string, args ...any) ([]*stream, error) {
	return store.Collect(q, func(r *store.Rows) (*stream, error) { return scanStream(r.Scan) },
		"SELECT "+streamColumns+" FROM logs_streams WHERE "+where, args...)
}

// streamRow reads a stream of a group, or answers nil.
func streamRow(q store.Querier, g *group, name string) (*stream, error) {
	found, err := streamRows(q, "grp = ? AND name = ?", g.id, name)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// insertBatch adds sealed events to a stream, unless it is gone.
func insertBatch(tx *store.Tx, g *group, st *stream, b *batch) error {
	done, err := tx.Exec(`UPDATE logs_streams SET ingested = ?, bytes = bytes + ?,
		first = CASE WHEN ingested = 0 OR first > ? THEN ? ELSE first END,
		last = CASE WHEN last < ? THEN ? ELSE last END WHERE id = ?`,
		b.ingested, b.stored, b.first, b.first, b.last, b.last, st.id)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, noStream())
	}
	_, err = tx.Exec("INSERT INTO logs_batches (id, grp, stream, first, last, ingested, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)",
		b.id, g.id, st.id, b.first, b.last, b.ingested, b.sealed)
	return err
}
