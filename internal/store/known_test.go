package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/store"
)

func glance(t testing.TB, s *store.Store) *store.Snapshot {
	t.Helper()
	n, err := s.Glance(t.Context())
	must(t, err)
	t.Cleanup(func() { n.Close() })
	return n
}

func touch(t testing.TB, s *store.Store, keys ...string) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch(keys...) }))
}

// What a glance told of versions and what rows it reads are of one moment, or it says
// that they are not.
func glanceIsOneView(t *testing.T, s *store.Store) {
	add(t, s, "one")
	touch(t, s, "a", "b")

	n := glance(t, s)
	before, err := n.Version("a")
	must(t, err)
	add(t, s, "two") // touches nothing
	if _, err := n.Version("b"); err != nil {
		t.Error("a change of nothing that was told is in the way:", err)
	}
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { return errors.Join(insert(tx, "three"), tx.Touch("a")) }))
	if got, err := store.Collect(n, scanName, "SELECT name FROM things ORDER BY name"); err == nil && slices.Contains(got, "three") || err != nil && !errors.Is(err, store.ErrChanged) {
		t.Errorf("with the old version of a it reads %q, %v", got, err)
	}
	if v, err := n.Version("a"); err != nil || v != before {
		t.Errorf("the version that it told is now %d, %v; it was %d", v, err, before)
	}
	late := glance(t, s)
	after, err := late.Version("a")
	must(t, err)
	if after == before {
		t.Error("a later glance does not see the change")
	}
	if got := names(t, late); !slices.Contains(got, "three") {
		t.Errorf("a later glance reads %q", got)
	}
}

func scanName(r *store.Rows) (name string, err error) { return name, r.Scan(&name) }

// A failed change's touches never were, whoever shared its commit.
func failedTouches(t *testing.T, s *store.Store) {
	touch(t, s, "k")
	was, err := glance(t, s).Version("k")
	must(t, err)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				if i%2 == 0 {
					return tx.Touch(fmt.Sprint("other", i))
				}
				return errors.Join(tx.Touch("k"), errors.New("no"))
			})
			if (err == nil) != (i%2 == 0) {
				t.Error(i, err)
			}
		})
	}
	all.Wait()
	for _, n := range []*store.Snapshot{glance(t, s), snapshot(t, s)} {
		if v, err := n.Version("k"); err != nil || v != was {
			t.Errorf("version %d, %v after changes that failed; it was %d", v, err, was)
		}
		if v, err := n.Version("other0"); err != nil || v == 0 {
			t.Errorf("a neighbour's touch is lost: %d, %v", v, err)
		}
	}
}

// Many change two keys and a row that says the first one's version, while many look.
func glancesUnderConcurrency(t *testing.T, s *store.Store) {
	add(t, s, "x")
	change := func(ctx context.Context) error {
		return s.Update(ctx, func(tx *store.Tx) error {
			if err := tx.Touch("a", "b"); err != nil {
				return err
			}
			v, err := tx.Version("a")
			if err != nil {
				return err
			}
			_, err = tx.Exec("UPDATE things SET n = ? WHERE name = 'x'", v)
			return err
		})
	}
	must(t, change(t.Context()))
	var group sync.WaitGroup
	var seen, overtaken atomic.Int64
	for range 4 {
		group.Go(func() {
			for range 60 {
				if err := change(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 8 {
		group.Go(func() {
			for range 100 {
				n, err := s.Glance(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				versions := make([]int64, 3) // of a, of b, of the row
				steps := []func() error{
					func() (err error) { versions[0], err = n.Version("a"); return err },
					func() (err error) { versions[1], err = n.Version("b"); return err },
					func() error { return n.QueryRow("SELECT n FROM things WHERE name = 'x'").Scan(&versions[2]) },
				}
				for j := range steps {
					if err = steps[(i+j)%len(steps)](); err != nil {
						break
					}
				}
				switch {
				case errors.Is(err, store.ErrChanged):
					overtaken.Add(1)
				case err != nil:
					t.Error(err)
				case versions[0] != versions[2] || versions[0] == versions[1]:
					t.Errorf("a %d, b %d, the row %d", versions[0], versions[1], versions[2])
				default:
					seen.Add(1)
				}
				n.Close()
			}
		})
	}
	group.Wait()
	if seen.Load() == 0 {
		t.Error("no glance saw anything")
	}
	t.Log(seen.Load(), "saw one moment,", overtaken.Load(), "were overtaken")
}

// Rows that are added together do not share their fate.
func rowsTogether(t *testing.T, s *store.Store) {
	var group sync.WaitGroup
	var failed atomic.Int64
	for i := range 100 {
		group.Go(func() {
			name := fmt.Sprint("n", i%90) // ten of them twice
			err := s.Insert(t.Context(), "things", "things (name, body, n)", 3, []any{name, []byte{1}, 1, name + "+", nil, 2})
			if store.IsDuplicate(err) {
				failed.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := len(names(t, snapshot(t, s))); got != 180 || failed.Load() != 10 {
		t.Errorf("%d rows, %d refused", got, failed.Load())
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Insert(gone, "things", "things (name, body, n)", 3, []any{"late", nil, 1}); !errors.Is(err, context.Canceled) {
		t.Error("for a caller who is gone:", err)
	}
	must(t, s.Close())
	if err := s.Insert(t.Context(), "things", "things (name, body, n)", 3, []any{"late", nil, 1}); !errors.Is(err, store.ErrClosed) {
		t.Error("after the end:", err)
	}
}
