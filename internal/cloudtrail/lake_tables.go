package cloudtrail

import (
	"strings"

	"bawn.dev/internal/store"
)

// lakeTables are those of event data stores. A store has no events: it says which of
// its account's belong to it, from when to when.
var lakeTables = store.Migration{Room: "cloudtrail", Version: 2, SQL: []string{
	`CREATE TABLE cloudtrail_stores (
		id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, choice TEXT NOT NULL, retention INTEGER NOT NULL,
		protected BOOLEAN NOT NULL, multi_region BOOLEAN NOT NULL, ingesting BOOLEAN NOT NULL,
		created INTEGER NOT NULL, updated INTEGER NOT NULL, deleted INTEGER NOT NULL, UNIQUE (account, name)) WITHOUT ROWID`,
	// Both ends belong to a span; the last one is open while the store takes events in.
	// One without a choice has that of the span before.
	`CREATE TABLE cloudtrail_spans (seq INTEGER PRIMARY KEY AUTOINCREMENT, store TEXT NOT NULL, choice TEXT NOT NULL,
		since INTEGER NOT NULL, until INTEGER NOT NULL)`,
	`CREATE INDEX cloudtrail_spans_store ON cloudtrail_spans (store, since)`,
	// run names the worker that answers a query; what it asks and what comes of it is
	// sealed.
	`CREATE TABLE cloudtrail_queries (
		id TEXT PRIMARY KEY, account TEXT NOT NULL, store TEXT NOT NULL, created INTEGER NOT NULL, ended INTEGER NOT NULL,
		status TEXT NOT NULL, run TEXT NOT NULL, statement BLOB NOT NULL, looked INTEGER NOT NULL, matched INTEGER NOT NULL,
		bytes INTEGER NOT NULL, millis INTEGER NOT NULL, results INTEGER NOT NULL, error TEXT NOT NULL) WITHOUT ROWID`,
	`CREATE INDEX cloudtrail_queries_account ON cloudtrail_queries (account, created)`,
	`CREATE INDEX cloudtrail_queries_status ON cloudtrail_queries (status, created)`,
	`CREATE TABLE cloudtrail_results (query TEXT NOT NULL, first INTEGER NOT NULL, results INTEGER NOT NULL, content BLOB NOT NULL,
		PRIMARY KEY (query, first)) WITHOUT ROWID`,
}}

// A lakeRow is an event data store.
type lakeRow struct {
	id, account, name string
	choice            string
	retention         int32 // days
	protected         bool
	multiRegion       bool
	ingesting         bool // or will be again, once it is restored
	created, updated  int64
	deleted           int64
	tags              map[string]string
}

const lakeColumns = "id, account, name, choice, retention, protected, multi_region, ingesting, created, updated, deleted"

func lakeRows(q store.Querier, where string, args ...any) ([]*lakeRow, error) {
	return lakesWith(q, lakeColumns, where, args...)
}

// allLakes are the stores of all accounts, without what they choose, which may be long.
func allLakes(q store.Querier) ([]*lakeRow, error) {
	return lakesWith(q, strings.Replace(lakeColumns, "choice", "''", 1), "id <> ''")
}

func lakesWith(q store.Querier, columns, where string, args ...any) ([]*lakeRow, error) {
	return store.Collect(q, func(r *store.Rows) (*lakeRow, error) {
		l := &lakeRow{}
		return l, r.Scan(&l.id, &l.account, &l.name, &l.choice, &l.retention, &l.protected, &l.multiRegion, &l.ingesting, &l.created, &l.updated, &l.deleted)
	}, "SELECT "+columns+" FROM cloudtrail_stores WHERE "+where, args...)
}

func insertLake(tx *store.Tx, l *lakeRow) error {
	_, err := tx.Exec("INSERT INTO cloudtrail_stores ("+lakeColumns+") VALUES (?"+strings.Repeat(", ?", 10)+")",
		l.id, l.account, l.name, l.choice, l.retention, l.protected, l.multiRegion, l.ingesting, l.created, l.updated, l.deleted)
	return err
}

func updateLake(tx *store.Tx, l *lakeRow) error {
	_, err := tx.Exec(`UPDATE cloudtrail_stores SET name = ?, choice = ?, retention = ?, protected = ?, multi_region = ?, ingesting = ?,
		updated = ?, deleted = ? WHERE id = ?`,
		l.name, l.choice, l.retention, l.protected, l.multiRegion, l.ingesting, l.updated, l.deleted, l.id)
	return err
}

// A period is a time in which a store takes in what is chosen. Who changes a store again
// and again makes many, and what each chooses may be long: that is read one at a time,
// and kept where it differs.
type period struct {
	seq          int64
	since, until int64 // 0: it is open
}

func spans(q store.Querier, lake string) ([]period, error) {
	return store.Collect(q, func(r *store.Rows) (s period, err error) { return s, r.Scan(&s.seq, &s.since, &s.until) },
		"SELECT seq, since, until FROM cloudtrail_spans WHERE store = ? ORDER BY since DESC, seq DESC", lake)
}

// chosenIn is what is chosen in a period.
func chosenIn(q store.Querier, p period) (choice, error) {
	var text string
	if err := q.QueryRow(`SELECT choice FROM cloudtrail_spans WHERE store = (SELECT store FROM cloudtrail_spans WHERE seq = ?) AND seq <= ? AND choice <> ''
		ORDER BY seq DESC LIMIT 1`, p.seq, p.seq).Scan(&text); err != nil {
		return choice{}, err
	}
	return parseChoice(text)
}

// maxChosen bounds, in characters, what a store has chosen in its time.
const maxChosen = 16 << 20

// take begins to take events in, from a moment on.
func (l *lakeRow) take(tx *store.Tx, since int64) error {
	before, err := store.Collect(tx, func(r *store.Rows) (c string, err error) { return c, r.Scan(&c) },
		"SELECT choice FROM cloudtrail_spans WHERE store = ? AND choice <> '' ORDER BY seq DESC LIMIT 1", l.id)
	if err != nil {
		return err
	}
	chosen := l.choice
	if len(before) > 0 && before[0] == chosen {
		chosen = ""
	}
	all, err := count(tx, "SELECT coalesce(sum(length(choice)), 0) FROM cloudtrail_spans WHERE store = ?", l.id)
	if err != nil {
		return err
	}
	if chosen != "" && all+len(chosen) > maxChosen {
		return fail("ThrottlingException", "The event data store has chosen too much in its time: %d characters of selectors at most. Make another.", maxChosen)
	}
	_, err = tx.Exec("INSERT INTO cloudtrail_spans (store, choice, since, until) VALUES (?, ?, ?, 0)", l.id, chosen, since)
	return err
}

// leave ends that with a moment, to which the record of the call that does it belongs.
func (l *lakeRow) leave(tx *store.Tx, until int64) error {
	_, err := tx.Exec("UPDATE cloudtrail_spans SET until = ? WHERE store = ? AND until = 0", until, l.id)
	return err
}

// A queryRow is a query.
type queryRow struct {
	id, account, store     string
	created, ended         int64
	status, run            string
	statement              []byte // sealed
	looked, matched, bytes int64
	millis                 int64
	results                int64
	failure                string
}

const queryColumns = "id, account, store, created, ended, status, run, statement, looked, matched, bytes, millis, results, error"

func queryRows(q store.Querier, where string, args ...any) ([]*queryRow, error) {
	return store.Collect(q, func(r *store.Rows) (*queryRow, error) {
		k := &queryRow{}
		return k, r.Scan(&k.id, &k.account, &k.store, &k.created, &k.ended, &k.status, &k.run, &k.statement, &k.looked, &k.matched, &k.bytes,
			&k.millis, &k.results, &k.failure)
	}, "SELECT "+queryColumns+" FROM cloudtrail_queries WHERE "+where, args...)
}

func insertQuery(tx *store.Tx, k *queryRow) error {
	_, err := tx.Exec("INSERT INTO cloudtrail_queries ("+queryColumns+") VALUES (?"+strings.Repeat(", ?", 13)+")",
		k.id, k.account, k.store, k.created, k.ended, k.status, k.run, k.statement, k.looked, k.matched, k.bytes, k.millis, k.results, k.failure)
	return err
}

func deleteQuery(tx *store.Tx, id string) error {
	for _, statement := range []string{"DELETE FROM cloudtrail_results WHERE query = ?", "DELETE FROM cloudtrail_queries WHERE id = ?"} {
		if _, err := tx.Exec(statement, id); err != nil {
			return err
		}
	}
	return nil
}
