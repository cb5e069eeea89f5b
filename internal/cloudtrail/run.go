package cloudtrail

import (
	"math"
	"strings"

	"bawn.dev/internal/store"
)

// A run is what a trail delivers from one start to the next stop.
type run struct {
	id, trail, account, name string
	bucket, prefix, kmsKey   string
	validation               bool
	organization             string // its id, if the trail is the organization's
	choice                   string
	opening                  string // the request whose record is the last before this run; empty: it has begun
	position                 int64
	planned                  int64
	turn                     int64
	begun, due               int64
	ended                    int64 // when its last file was delivered
	orphaned                 int64 // when its trail was deleted
}

const runColumns = `id, trail, account, name, bucket, prefix, kms_key, validation, organization, choice, opening,
	position, planned, turn, begun, due, ended, orphaned`

func runRows(q store.Querier, where string, args ...any) ([]*run, error) {
	return store.Collect(q, func(rows *store.Rows) (*run, error) {
		r := &run{}
		return r, rows.Scan(&r.id, &r.trail, &r.account, &r.name, &r.bucket, &r.prefix, &r.kmsKey, &r.validation, &r.organization, &r.choice,
			&r.opening, &r.position, &r.planned, &r.turn, &r.begun, &r.due, &r.ended, &r.orphaned)
	}, "SELECT "+runColumns+" FROM cloudtrail_runs WHERE "+where, args...)
}

// Unread gives the Seq of the newest record that every run is done with; without a run
// that reads on, it is math.MaxInt64.
func (s *Service) Unread(q store.Querier) (seq int64, err error) {
	return seq, q.QueryRow("SELECT coalesce(min(position), ?) FROM cloudtrail_runs WHERE ended = 0", int64(math.MaxInt64)).Scan(&seq)
}

func insertRun(tx *store.Tx, r *run) error {
	_, err := tx.Exec("INSERT INTO cloudtrail_runs ("+runColumns+") VALUES (?"+strings.Repeat(", ?", 17)+")",
		r.id, r.trail, r.account, r.name, r.bucket, r.prefix, r.kmsKey, r.validation, r.organization, r.choice,
		r.opening, r.position, r.planned, r.turn, r.begun, r.due, r.ended, r.orphaned)
	return err
}

func deleteRun(tx *store.Tx, id string) error {
	for _, statement := range []string{
		"DELETE FROM cloudtrail_files WHERE run = ?", "DELETE FROM cloudtrail_chains WHERE run = ?",
		"DELETE FROM cloudtrail_turns WHERE run = ?", "DELETE FROM cloudtrail_runs WHERE id = ?",
	} {
		if _, err := tx.Exec(statement, id); err != nil {
			return err
		}
	}
	return nil
}

// A change is one of cloudtrail_turns.
type change struct {
	seq             int64
	request, choice string
}

func changes(q store.Querier, run string) ([]*change, error) {
	return store.Collect(q, func(r *store.Rows) (*change, error) {
		c := &change{}
		return c, r.Scan(&c.seq, &c.request, &c.choice)
	}, "SELECT seq, request, choice FROM cloudtrail_turns WHERE run = ? ORDER BY seq", run)
}

// A file is one of logs, on its way or delivered.
type file struct {
	seq                     int64
	account, bucket, object string
	hash, oldest, newest    string
	delivered               int64
}

func files(q store.Querier, where string, args ...any) ([]*file, error) {
	return store.Collect(q, func(r *store.Rows) (*file, error) {
		f := &file{}
		return f, r.Scan(&f.seq, &f.account, &f.bucket, &f.object, &f.hash, &f.oldest, &f.newest, &f.delivered)
	}, "SELECT seq, account, bucket, object, hash, oldest, newest, delivered FROM cloudtrail_files WHERE "+where+" ORDER BY seq", args...)
}
