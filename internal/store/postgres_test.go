package store_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/pgtest"
	"bawn.dev/internal/store/storetest"
	"github.com/jackc/pgx/v5"
)

func TestPostgres(t *testing.T) {
	server := pgtest.Start(t)
	for name, test := range map[string]func(*testing.T, string){
		"LeadersTakeTurns":         leadersTakeTurns,
		"LostConnections":          lostConnections,
		"RefusesUnsafeServer":      refusesUnsafeServer,
		"TouchWaitsForUnchanged":   touchWaitsForUnchanged,
		"SettleWaits":              settleWaits,
		"FailedCommitIsNoSuccess":  failedCommit,
		"WriteSkewIsFound":         writeSkew,
		"TwoCopiesMigrateTogether": twoCopiesMigrate,
	} {
		t.Run(name, func(t *testing.T) { test(t, server.Database(t)) })
	}
}

func openPostgres(t *testing.T, url string) *store.Store {
	t.Helper()
	s := storetest.Open(t, store.Config{DatabaseURL: url})
	must(t, s.Migrate(t.Context(), things))
	return s
}

func leadersTakeTurns(t *testing.T, url string) {
	a, b := openPostgres(t, url), openPostgres(t, url)
	leads, leave, second := make(chan bool), make(chan bool), make(chan bool, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Lead(t.Context(), "x", func(context.Context) error { leads <- true; <-leave; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-leads
	wg.Go(func() {
		if err := b.Lead(t.Context(), "x", func(context.Context) error { second <- true; return nil }); err != nil {
			t.Error(err)
		}
	})
	must(t, b.Lead(t.Context(), "y", func(context.Context) error { return nil })) // another office
	if len(second) != 0 {
		t.Error("two lead at once")
	}
	leave <- true
	wg.Wait()
	if len(second) != 1 {
		t.Error("the second never led")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Lead(cancelled, "x", func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// kill ends all sessions of the store, as a server that restarts does.
func kill(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	must(t, err)
}

// lostConnections: dead idle connections are replaced unseen; a change whose
// connection dies fails and leaves nothing; a leader learns that he is none.
func lostConnections(t *testing.T, url string) {
	s := openPostgres(t, url)
	add(t, s, "a")
	expect(t, s, "a")
	kill(t, url)
	add(t, s, "b")
	expect(t, s, "a", "b")
	if err := s.Update(t.Context(), func(tx *store.Tx) error {
		must(t, insert(tx, "c"))
		kill(t, url)
		return nil
	}); err == nil {
		t.Error("acknowledged without a server")
	}
	expect(t, s, "a", "b")
	err := s.Lead(t.Context(), "x", func(ctx context.Context) error {
		kill(t, url)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a leader without a server: %v", err)
	}
	must(t, s.Lead(t.Context(), "x", func(context.Context) error { return nil }))
}

func refusesUnsafeServer(t *testing.T, url string) {
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
	must(t, err)
	if _, err := store.Open(t.Context(), store.Config{DatabaseURL: url}); err == nil || !strings.Contains(err.Error(), "synchronous_commit") {
		t.Errorf("opened on a server that acknowledges early: %v", err)
	}
}

// touchWaitsForUnchanged: once a change has confirmed what it was decided on,
// nobody is told that this was altered before the change has committed.
func touchWaitsForUnchanged(t *testing.T, url string) {
	s := openPostgres(t, url)
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch("policy") }))
	n := snapshot(t, s)
	_, err := n.Version("policy")
	must(t, err)
	deps := n.Dependencies()
	must(t, n.Close())

	revoked := make(chan error, 1)
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		must(t, tx.Unchanged(deps))
		go func() {
			revoked <- s.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch("policy") })
		}()
		waitForLock(t, url)
		if len(revoked) != 0 {
			t.Error("the revocation was acknowledged before the change")
		}
		return insert(tx, "a")
	}))
	must(t, <-revoked)
	expect(t, s, "a")
}

// waitForLock returns when some session waits for a lock.
func waitForLock(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer conn.Close(t.Context())
	for waiting := 0; waiting == 0; {
		must(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting))
	}
}

// settleWaits: numbers given out by changes in progress appear before Settle
// reads.
func settleWaits(t *testing.T, url string) {
	s := openPostgres(t, url)
	settled := make(chan int, 1)
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		must(t, tx.Enter("g"))
		must(t, insert(tx, "a"))
		go func() {
			n := -1
			if err := s.Settle(t.Context(), "g", func(q store.Querier) error {
				return q.QueryRow("SELECT count(*) FROM things").Scan(&n)
			}); err != nil {
				t.Error(err)
			}
			settled <- n
		}()
		waitForLock(t, url)
		return nil
	}))
	if n := <-settled; n != 1 {
		t.Errorf("Settle saw %d rows", n)
	}
}

// failedCommit: what fails only at the commit (a deferred constraint) is an error.
func failedCommit(t *testing.T, url string) {
	s := openPostgres(t, url)
	must(t, s.Migrate(t.Context(), []store.Migration{{Room: "late", Version: 1, SQL: []string{
		"CREATE TABLE late (id INTEGER UNIQUE DEFERRABLE INITIALLY DEFERRED)"}}}))
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO late (id) VALUES (1), (1)")
		return err
	})
	if !store.IsDuplicate(err) {
		t.Errorf("got %v", err)
	}
}

// writeSkew: two changes that each read what the other writes cannot both stand
// on what they read.
func writeSkew(t *testing.T, url string) {
	s := openPostgres(t, url)
	add(t, s, "a")
	add(t, s, "b")
	both := make(chan bool)
	var wg sync.WaitGroup
	for i, name := range []string{"a", "b"} {
		wg.Go(func() {
			first := true
			if err := s.Update(t.Context(), func(tx *store.Tx) error {
				var n int
				if err := tx.QueryRow("SELECT count(*) FROM things").Scan(&n); err != nil {
					return err
				}
				if first { // both have read before either writes
					first = false
					if i == 0 {
						both <- true
					} else {
						<-both
					}
				}
				if n < 2 {
					return nil // the last one stays
				}
				_, err := tx.Exec("DELETE FROM things WHERE name = ?", name)
				return err
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := snapshot(t, s)
	if left := names(t, n); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}

func twoCopiesMigrate(t *testing.T, url string) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := store.Open(t.Context(), store.Config{DatabaseURL: url})
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.Migrate(t.Context(), things), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
