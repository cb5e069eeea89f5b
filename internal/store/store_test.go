package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

var things = []store.Migration{{Room: "things", Version: 1, SQL: []string{
	`CREATE TABLE things (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, body BLOB, n INTEGER NOT NULL)`,
}}}

func TestStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		for name, test := range map[string]func(*testing.T, *store.Store){
			"SnapshotIsOneView":         snapshotIsOneView,
			"SnapshotCannotWrite":       snapshotCannotWrite,
			"FailureLeavesNothing":      failureLeavesNothing,
			"PanicFailsOneOnly":         panicFailsOneOnly,
			"FailedStatementDooms":      failedStatementDooms,
			"Duplicate":                 duplicate,
			"VersionsNeverRepeat":       versionsNeverRepeat,
			"UnchangedSeesEveryTouch":   unchangedSeesEveryTouch,
			"UnchangedUnderConcurrency": unchangedUnderConcurrency,
			"GlanceIsOneView":           glanceIsOneView,
			"GlancesUnderConcurrency":   glancesUnderConcurrency,
			"FailedTouches":             failedTouches,
			"RowsTogether":              rowsTogether,
			"AfterCommit":               afterCommit,
			"Cancelled":                 cancelled,
			"LeakedTx":                  leakedTx,
			"OpenRows":                  openRows,
			"TextByBytes":               textByBytes,
			"Counter":                   counter,
			"MigrateTwice":              migrateTwice,
			"MigrateRefuses":            migrateRefuses,
			"Closed":                    closed,
		} {
			t.Run(name, func(t *testing.T) {
				s := open(t)
				must(t, s.Migrate(t.Context(), things))
				test(t, s)
			})
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func insert(tx *store.Tx, name string) error {
	_, err := tx.Exec("INSERT INTO things (name, body, n) VALUES (?, ?, ?)", name, []byte(name), 1)
	return err
}

func add(t testing.TB, s *store.Store, name string) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { return insert(tx, name) }))
}

func snapshot(t testing.TB, s *store.Store) *store.Snapshot {
	t.Helper()
	n, err := s.Snapshot(t.Context())
	must(t, err)
	t.Cleanup(func() { n.Close() })
	return n
}

func names(t testing.TB, q store.Querier) []string {
	t.Helper()
	all, err := store.Collect(q, func(r *store.Rows) (name string, err error) {
		return name, r.Scan(&name)
	}, "SELECT name FROM things ORDER BY name")
	must(t, err)
	return all
}

func expect(t testing.TB, s *store.Store, want ...string) {
	t.Helper()
	n := snapshot(t, s)
	defer n.Close()
	if got := names(t, n); !slices.Equal(got, want) {
		t.Errorf("the store holds %q, want %q", got, want)
	}
}

func snapshotIsOneView(t *testing.T, s *store.Store) {
	add(t, s, "a")
	n := snapshot(t, s)
	before := names(t, n)
	add(t, s, "b")
	if after := names(t, n); !slices.Equal(before, after) {
		t.Errorf("the view changed from %q to %q", before, after)
	}
	expect(t, s, "a", "b")
}

func snapshotCannotWrite(t *testing.T, s *store.Store) {
	n := snapshot(t, s)
	if _, err := n.Query("INSERT INTO things (name, n) VALUES ('x', 1) RETURNING id"); err == nil {
		t.Error("a snapshot wrote")
	}
	n.Close()
	expect(t, s)
	if _, err := n.Query("SELECT 1"); !errors.Is(err, store.ErrDone) {
		t.Errorf("a closed snapshot answered %v", err)
	}
}

func failureLeavesNothing(t *testing.T, s *store.Store) {
	refused := errors.New("refused")
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		must(t, insert(tx, "a"))
		must(t, tx.Touch("k"))
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	expect(t, s)
	if v, err := snapshot(t, s).Version("k"); v != 0 || err != nil {
		t.Errorf("the key's version is %d, %v", v, err)
	}
}

func panicFailsOneOnly(t *testing.T, s *store.Store) {
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				if err := insert(tx, fmt.Sprintf("%02d", i)); err != nil {
					return err
				}
				if i == 7 {
					panic("seven")
				}
				return nil
			})
			p, panicked := errors.AsType[*store.PanicError](err)
			if panicked != (i == 7) || (panicked && p.Value != "seven") || (!panicked && err != nil) {
				t.Errorf("change %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	n := snapshot(t, s)
	if got := names(t, n); len(got) != 19 || slices.Contains(got, "07") {
		t.Errorf("the store holds %q", got)
	}
}

func failedStatementDooms(t *testing.T, s *store.Store) {
	add(t, s, "a")
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		must(t, insert(tx, "b"))
		if err := insert(tx, "a"); err == nil {
			t.Error("a second row with a unique name")
		}
		return nil // forgets the error
	})
	if !store.IsDuplicate(err) {
		t.Errorf("Update returned %v", err)
	}
	expect(t, s, "a")
}

func duplicate(t *testing.T, s *store.Store) {
	add(t, s, "a")
	err := s.Update(t.Context(), func(tx *store.Tx) error { return insert(tx, "a") })
	if !store.IsDuplicate(err) {
		t.Errorf("got %v", err)
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO things (name, n) VALUES (?, ?)", "b", nil)
		return err
	})
	if err == nil || store.IsDuplicate(err) {
		t.Errorf("a null: %v", err)
	}
}

func versionsNeverRepeat(t *testing.T, s *store.Store) {
	seen := map[int64]bool{0: true}
	for range 3 {
		for _, keys := range [][]string{{"a"}, {"b", "a"}, {"a", "c"}} {
			must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch(keys...) }))
			n := snapshot(t, s)
			got, err := n.Versions(keys...)
			must(t, err)
			for i, v := range got {
				if seen[v] {
					t.Errorf("key %s got version %d, which was given before", keys[i], v)
				}
				seen[v] = true
			}
			one, err := n.Version(keys[0])
			must(t, err)
			if deps := n.Dependencies(); one != got[0] || len(deps) != len(keys) || deps[keys[0]] != one {
				t.Errorf("Version says %d, Versions %d, Dependencies %v", one, got, deps)
			}
			n.Close()
		}
	}
}

func unchangedSeesEveryTouch(t *testing.T, s *store.Store) {
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch("there") }))
	n := snapshot(t, s)
	_, err := n.Versions("there", "absent")
	must(t, err)
	deps := n.Dependencies()
	n.Close()

	check := func() error {
		return s.Update(t.Context(), func(tx *store.Tx) error { return tx.Unchanged(deps) })
	}
	must(t, check())
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch("other") }))
	must(t, check())
	for _, key := range []string{"there", "absent"} {
		must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch(key) }))
		if err := check(); !errors.Is(err, store.ErrChanged) {
			t.Errorf("after a touch of %q: %v", key, err)
		}
		delete(deps, key)
		must(t, check())
	}
}

// unchangedUnderConcurrency has many changes that each decided on the same
// version and each make it stale: exactly one may win, for a key that exists and
// for one that does not.
func unchangedUnderConcurrency(t *testing.T, s *store.Store) {
	for round := range 5 {
		deps := store.Dependencies{"gate": 0}
		if round > 0 {
			n := snapshot(t, s)
			v, err := n.Version("gate")
			must(t, err)
			n.Close()
			deps["gate"] = v
		}
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				err := s.Update(t.Context(), func(tx *store.Tx) error {
					if err := tx.Unchanged(deps); err != nil {
						return err
					}
					return tx.Touch("gate")
				})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, store.ErrChanged) {
					t.Errorf("unexpected: %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("round %d: %d changes were made on one decision", round, won.Load())
		}
	}
}

func afterCommit(t *testing.T, s *store.Store) {
	ran := 0
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		tx.AfterCommit(func() { expect(t, s, "a"); ran++ })
		return insert(tx, "a")
	}))
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		tx.AfterCommit(func() { ran += 100 })
		return insert(tx, "a")
	})
	if err == nil || ran != 1 {
		t.Errorf("ran %d times, %v", ran, err)
	}
}

func cancelled(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Update(ctx, func(tx *store.Tx) error { return insert(tx, "a") }); !errors.Is(err, context.Canceled) {
		t.Errorf("a change after its end: %v", err)
	}
	// Cancelled in the middle: either it failed and left nothing, or it succeeded.
	ctx, cancel = context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx *store.Tx) error {
		if err := insert(tx, "b"); err != nil {
			return err
		}
		cancel()
		return nil
	})
	if err != nil {
		expect(t, s)
	} else {
		expect(t, s, "b")
	}
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { return insert(tx, "c") }))
}

func leakedTx(t *testing.T, s *store.Store) {
	var leaked *store.Tx
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { leaked = tx; return nil }))
	if err := insert(leaked, "a"); !errors.Is(err, store.ErrDone) {
		t.Errorf("got %v", err)
	}
	expect(t, s)
}

func openRows(t *testing.T, s *store.Store) {
	add(t, s, "a")
	add(t, s, "b")
	n := snapshot(t, s)
	rows, err := n.Query("SELECT name FROM things")
	must(t, err)
	if _, err := n.Query("SELECT name FROM things"); !errors.Is(err, store.ErrRowsOpen) {
		t.Errorf("a second query: %v", err)
	}
	must(t, rows.Close())
	var name string
	must(t, n.QueryRow("SELECT name FROM things ORDER BY name").Scan(&name))
	if err := n.QueryRow("SELECT name FROM things WHERE n = ?", 9).Scan(&name); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("no row: %v", err)
	}
	// Rows left open do not keep a change from its commit.
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		if err := insert(tx, "c"); err != nil {
			return err
		}
		_, err := tx.Query("SELECT name FROM things")
		return err
	}))
	n.Close()
	expect(t, s, "a", "b", "c")
}

func textByBytes(t *testing.T, s *store.Store) {
	for _, name := range []string{"b", "A", "a", "B", "é", "?'", "a-b", "ab"} {
		add(t, s, name)
	}
	expect(t, s, "?'", "A", "B", "a", "a-b", "ab", "b", "é")
	var n int
	q := snapshot(t, s)
	must(t, q.QueryRow(`SELECT count(*) FROM things WHERE name LIKE 'a%' AND name <> '?' AND name <> ? /* ? */`, "zz").Scan(&n))
	if n != 3 {
		t.Errorf("LIKE 'a%%' found %d names", n)
	}
}

// counter reads, adds and writes from many goroutines: no addition is lost.
func counter(t *testing.T, s *store.Store) {
	add(t, s, "a")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 5 {
				if err := s.Update(t.Context(), func(tx *store.Tx) error {
					var n int
					if err := tx.QueryRow("SELECT n FROM things WHERE name = ?", "a").Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec("UPDATE things SET n = ? WHERE name = ?", n+1, "a")
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var n int
	must(t, snapshot(t, s).QueryRow("SELECT n FROM things").Scan(&n))
	if n != 51 {
		t.Errorf("counted to %d, want 51", n)
	}
}

func migrateTwice(t *testing.T, s *store.Store) {
	add(t, s, "a")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := s.Migrate(t.Context(), append(slices.Clone(things), store.Migration{
				Room: "others", Version: 1, SQL: []string{"CREATE TABLE others (id TEXT PRIMARY KEY) WITHOUT ROWID"},
			})); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	expect(t, s, "a")
}

func migrateRefuses(t *testing.T, s *store.Store) {
	two := store.Migration{Room: "things", Version: 2, SQL: []string{"CREATE TABLE more (id TEXT)"}}
	bad := store.Migration{Room: "things", Version: 3, SQL: []string{"CREATE TABLE even (id TEXT)", "CREATE nonsense"}}
	if err := s.Migrate(t.Context(), append(slices.Clone(things), two, bad)); err == nil {
		t.Error("nonsense was applied")
	}
	must(t, s.Migrate(t.Context(), append(slices.Clone(things), two))) // nothing of the failed one stayed
	if err := s.Migrate(t.Context(), things); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("an older release: %v", err)
	}
	edited := slices.Clone(things)
	edited[0].SQL = []string{"CREATE TABLE things (id TEXT)"}
	if err := s.Migrate(t.Context(), append(edited, two)); err == nil {
		t.Error("an edited migration passed")
	}
	if err := s.Migrate(t.Context(), append(slices.Clone(things), bad)); err == nil {
		t.Error("a gap passed")
	}
}

func closed(t *testing.T, s *store.Store) {
	must(t, s.Close())
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Update: %v", err)
	}
	if _, err := s.Snapshot(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Snapshot: %v", err)
	}
}
