package cloudtrail

import (
	"database/sql"
	"errors"
	"strings"

	"bawn.dev/internal/store"
)

// Migrations are the tables of the service. Times are in microseconds.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "cloudtrail", Version: 1, SQL: []string{
		`CREATE TABLE cloudtrail_trails (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, bucket TEXT NOT NULL, prefix TEXT NOT NULL, kms_key TEXT NOT NULL,
			multi_region BOOLEAN NOT NULL, validation BOOLEAN NOT NULL, organization BOOLEAN NOT NULL, choice TEXT NOT NULL,
			run TEXT NOT NULL, started INTEGER NOT NULL, stopped INTEGER NOT NULL,
			attempted INTEGER NOT NULL, delivered INTEGER NOT NULL, failure TEXT NOT NULL,
			digested INTEGER NOT NULL, digest_failure TEXT NOT NULL, UNIQUE (account, name)) WITHOUT ROWID`,
		`CREATE TABLE cloudtrail_tags (trail TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (trail, name)) WITHOUT ROWID`,
		// A run is what a trail delivers from one start to the next stop. It outlives the
		// trail until all is delivered. position is the last record that is done with,
		// planned the last of those in files that are on their way (0: none), turn the
		// change that comes after them.
		`CREATE TABLE cloudtrail_runs (
			id TEXT PRIMARY KEY, trail TEXT NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL, bucket TEXT NOT NULL, prefix TEXT NOT NULL,
			kms_key TEXT NOT NULL, validation BOOLEAN NOT NULL, organization TEXT NOT NULL, choice TEXT NOT NULL, opening TEXT NOT NULL,
			position INTEGER NOT NULL, planned INTEGER NOT NULL, turn INTEGER NOT NULL,
			begun INTEGER NOT NULL, due INTEGER NOT NULL, ended INTEGER NOT NULL, orphaned INTEGER NOT NULL) WITHOUT ROWID`,
		// What changes in a run after the record of a request: what it selects, or, if
		// that is empty, that it ends.
		`CREATE TABLE cloudtrail_turns (seq INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, request TEXT NOT NULL, choice TEXT NOT NULL)`,
		`CREATE TABLE cloudtrail_files (
			seq INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, account TEXT NOT NULL, bucket TEXT NOT NULL, object TEXT NOT NULL,
			hash TEXT NOT NULL, oldest TEXT NOT NULL, newest TEXT NOT NULL, delivered INTEGER NOT NULL)`,
		`CREATE INDEX cloudtrail_files_run ON cloudtrail_files (run, account, delivered)`,
		// The last digest of an account in a run; since is where the next begins.
		`CREATE TABLE cloudtrail_chains (run TEXT NOT NULL, account TEXT NOT NULL, since INTEGER NOT NULL, bucket TEXT NOT NULL,
			object TEXT NOT NULL, hash TEXT NOT NULL, signature TEXT NOT NULL, PRIMARY KEY (run, account)) WITHOUT ROWID`,
		`CREATE TABLE cloudtrail_keys (fingerprint TEXT PRIMARY KEY, public BLOB NOT NULL, private BLOB NOT NULL,
			since INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID`,
	}}, lakeTables}
}

// settings are what a trail says and its runs do.
type settings struct {
	bucket, prefix, kmsKey   string
	validation, organization bool
	multiRegion              bool
	choice                   string
}

// A row is a trail.
type row struct {
	id, account, name string
	settings
	run              string // the open one; empty: it does not log
	started, stopped int64
	attempted        int64
	delivered        int64
	failure          string
	digested         int64
	digestFailure    string
	tags             map[string]string
}

const trailColumns = `id, account, name, bucket, prefix, kms_key, multi_region, validation, organization, choice, run, started, stopped,
	attempted, delivered, failure, digested, digest_failure`

func scanTrail(r *store.Rows) (*row, error) {
	t := &row{}
	return t, r.Scan(&t.id, &t.account, &t.name, &t.bucket, &t.prefix, &t.kmsKey, &t.multiRegion, &t.validation, &t.organization, &t.choice,
		&t.run, &t.started, &t.stopped, &t.attempted, &t.delivered, &t.failure, &t.digested, &t.digestFailure)
}

func trailRows(q store.Querier, where string, args ...any) ([]*row, error) {
	return store.Collect(q, scanTrail, "SELECT "+trailColumns+" FROM cloudtrail_trails WHERE "+where, args...)
}

func insertTrail(tx *store.Tx, t *row) error {
	_, err := tx.Exec("INSERT INTO cloudtrail_trails ("+trailColumns+") VALUES (?"+strings.Repeat(", ?", 17)+")",
		t.id, t.account, t.name, t.bucket, t.prefix, t.kmsKey, t.multiRegion, t.validation, t.organization, t.choice,
		t.run, t.started, t.stopped, t.attempted, t.delivered, t.failure, t.digested, t.digestFailure)
	return err
}

func tagsOf(q store.Querier, trail string) (map[string]string, error) {
	tags := map[string]string{}
	_, err := store.Collect(q, func(r *store.Rows) (struct{}, error) {
		var name, value string
		err := r.Scan(&name, &value)
		tags[name] = value
		return struct{}{}, err
	}, "SELECT name, value FROM cloudtrail_tags WHERE trail = ?", trail)
	return tags, err
}

func putTags(tx *store.Tx, trail string, tags map[string]string) error {
	for name, value := range tags {
		_, err := tx.Exec(`INSERT INTO cloudtrail_tags (trail, name, value) VALUES (?, ?, ?)
			ON CONFLICT (trail, name) DO UPDATE SET value = excluded.value`, trail, name, value)
		if err != nil {
			return err
		}
	}
	return nil
}

// one is the first of what was found, or nil.
func one[T any](found []*T, err error) (*T, error) {
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// count answers how many rows there are.
func count(q store.Querier, query string, args ...any) (n int, err error) {
	err = q.QueryRow(query, args...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}
