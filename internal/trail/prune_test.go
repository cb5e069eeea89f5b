package trail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

func TestPrune(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		for name, test := range map[string]func(*testing.T, *store.Store){
			"LetsTheOldestGo":           letsTheOldestGo,
			"KeepsWhatIsHeld":           keepsWhatIsHeld,
			"NeverTheLast":              neverTheLast,
			"Again":                     prunesAgain,
			"OlderIndex":                prunesOlderIndex,
			"Attacks":                   prunedAttacks,
			"NothingThatWasTampered":    prunesNothingTampered,
			"NothingMadeToLookOld":      prunesNothingMadeOld,
			"InterruptedAtEveryPoint":   interruptedAtEveryPoint,
			"TwoCopiesAtOnce":           prunedByTwo,
			"WhileOthersAppendAndFind":  prunedWhileUsed,
			"FutureEventsHoldTheirPast": futureHolds,
		} {
			t.Run(name, func(t *testing.T) { test(t, open(t)) })
		}
	})
}

const operator = "999999999999"

func newPruning(t testing.TB, s *store.Store, signer ledger.Signer) *trail.Trail {
	t.Helper()
	tr, err := trail.New(s, signer, trail.Options{Account: operator})
	must(t, err)
	return tr
}

// stating is the event of a pruning, as the server makes it.
func stating(p ledger.Pruning, statement []byte) (*trail.Record, error) {
	raw, err := json.Marshal(map[string]any{"leaves": p.Leaves, "statement": string(statement)})
	return &trail.Record{EventTime: p.Newest.Add(12 * time.Hour), EventSource: "bawn", EventName: "PruneRecord", Account: operator, RequestParameters: raw}, err
}

// before prunes what happened so many minutes after noon, or earlier.
func before(minutes int) trail.Retention {
	return trail.Retention{Before: noon.Add(time.Duration(minutes) * time.Minute), Last: 1 << 60, State: stating}
}

// sixty is a log of that many records, a minute each, in batches of ten.
func sixty(t *testing.T, s *store.Store) (*trail.Trail, ledger.Signer) {
	t.Helper()
	signer := newSigner(t)
	tr := newPruning(t, s, signer)
	for i := range 60 {
		add(t, s, tr, minute(i))
		if i%10 == 9 {
			must(t, tr.Seal(t.Context()))
		}
	}
	return tr, signer
}

func prune(t *testing.T, tr *trail.Trail, r trail.Retention, want int64) {
	t.Helper()
	if gone, err := tr.Prune(t.Context(), r); err != nil || gone != want {
		t.Errorf("%d records were pruned, %v; want %d", gone, err, want)
	}
}

// all are the names of the events of an account, newest first.
func all(t *testing.T, tr *trail.Trail, q trail.Query) (names []string) {
	t.Helper()
	for {
		p, err := tr.Find(t.Context(), q)
		must(t, err)
		names = append(names, eventNames(p)...)
		if q.Token = p.NextToken; q.Token == "" {
			return names
		}
	}
}

func counted(t *testing.T, s *store.Store, query string) (n int64) {
	t.Helper()
	sn, err := s.Snapshot(t.Context())
	must(t, err)
	defer sn.Close()
	must(t, sn.QueryRow(query).Scan(&n))
	return n
}

func letsTheOldestGo(t *testing.T, s *store.Store) {
	tr, _ := sixty(t, s)
	proof, err := tr.Prove(t.Context(), "123456789012", eventID(t, tr, "Event3"))
	must(t, err)
	head, err := tr.Checkpoint(t.Context())
	must(t, err)
	_, leaves := exported(t, tr, 0)

	prune(t, tr, before(35), 30) // the batch of 30 to 39 is not all older
	if p, err := tr.Pruned(t.Context()); err != nil || p.Leaves != 30 || !p.Newest.Equal(noon.Add(29*time.Minute)) {
		t.Errorf("it says %+v, %v", p, err)
	}
	must(t, tr.Verify(t.Context(), head))
	if names := all(t, tr, trail.Query{Account: "123456789012"}); len(names) != 30 || names[29] != "Event30" {
		t.Errorf("found %v", names)
	}
	for _, q := range []trail.Query{{EventName: "Event3"}, {EventID: eventIDOf(t, proof.Record)}, {Username: "ada", End: noon.Add(29 * time.Minute)}} {
		q.Account = "123456789012"
		if names := all(t, tr, q); len(names) != 0 {
			t.Errorf("%+v finds %v", q, names)
		}
	}
	for _, table := range []string{"trail_records", "trail_terms"} {
		if n := counted(t, s, "SELECT count(*) FROM "+table+" WHERE seq <= 30"); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	// Proofs: the old one holds, as do those of what is there; what is gone is exported as
	// the hash that it was.
	if _, err := tr.Public().Check(proof); err != nil {
		t.Error(err)
	}
	if _, err := tr.Prove(t.Context(), "123456789012", eventIDOf(t, proof.Record)); !errors.Is(err, trail.ErrNoRecord) {
		t.Errorf("proves what is gone: %v", err)
	}
	p, err := tr.Prove(t.Context(), "123456789012", eventID(t, tr, "Event31"))
	must(t, err)
	if _, err := tr.Public().Check(p); err != nil {
		t.Error(err)
	}
	c, now := exported(t, tr, 0)
	if c.Size != 61 || len(now) != 61 {
		t.Errorf("exported %d of %d", len(now), c.Size)
	}
	for i, l := range leaves {
		if now[i].Hash != l.Hash || (now[i].Event == nil) != (i < 30) {
			t.Errorf("leaf %d is %x %s", i, now[i].Hash, now[i].Event)
		}
	}
	// A kept copy of a record that is gone is proven still.
	kept, err := tr.ProveKept(t.Context(), ledger.LeafHash(proof.Record))
	must(t, err)
	kept.Record = proof.Record
	if _, err := tr.Public().Check(kept); err != nil || kept.Leaf != 3 {
		t.Errorf("leaf %d, %v", kept.Leaf, err)
	}
	if _, err := tr.ProveKept(t.Context(), ledger.LeafHash([]byte(`{"eventName":"Forged"}`))); !errors.Is(err, trail.ErrNoRecord) {
		t.Errorf("proves a forgery: %v", err)
	}
	var followed int
	stop := errors.New("enough")
	if err := tr.Follow(t.Context(), 0, func(trail.Entry) error {
		if followed++; followed == 31 {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func eventID(t *testing.T, tr *trail.Trail, name string) string {
	t.Helper()
	p, err := tr.Find(t.Context(), trail.Query{Account: "123456789012", EventName: name})
	must(t, err)
	if len(p.Entries) != 1 {
		t.Fatalf("%d events of name %s", len(p.Entries), name)
	}
	return p.Entries[0].Record.EventID
}

func eventIDOf(t *testing.T, event []byte) string {
	t.Helper()
	r, err := trail.UnmarshalEvent(event)
	must(t, err)
	return r.EventID
}

func keepsWhatIsHeld(t *testing.T, s *store.Store) {
	tr, _ := sixty(t, s)
	held := before(60)
	for _, c := range []struct{ last, want int64 }{{0, 0}, {9, 0}, {10, 10}, {25, 10}, {39, 10}} {
		held.Last = c.last
		prune(t, tr, held, c.want)
		must(t, tr.Verify(t.Context()))
	}
	if n := counted(t, s, "SELECT min(seq) FROM trail_records"); n != 31 {
		t.Errorf("the oldest is %d", n)
	}
}

func neverTheLast(t *testing.T, s *store.Store) {
	signer := newSigner(t)
	tr := newPruning(t, s, signer)
	prune(t, tr, before(1000), 0) // of nothing
	add(t, s, tr, minute(1))
	prune(t, tr, before(1000), 0)
	add(t, s, tr, minute(2))
	prune(t, tr, before(1000), 1)
	top := counted(t, s, "SELECT max(seq) FROM trail_records")
	tr = newPruning(t, s, signer)
	add(t, s, tr, minute(3))
	if n := counted(t, s, "SELECT max(seq) FROM trail_records"); n <= top {
		t.Errorf("Seq went from %d to %d", top, n)
	}
	must(t, tr.Verify(t.Context()))
}

// The event of a pruning is pruned in its turn, by one that says more.
func prunesAgain(t *testing.T, s *store.Store) {
	tr, signer := sixty(t, s)
	prune(t, tr, before(20), 20)
	prune(t, tr, before(20), 0)
	if n := counted(t, s, "SELECT count(*) FROM trail_records WHERE account = '"+operator+"'"); n != 1 {
		t.Errorf("stated %d times", n)
	}
	for i := range 10 {
		add(t, s, tr, minute(100+i))
	}
	prune(t, tr, before(60), 40)
	later := before(24 * 60)
	prune(t, tr, later, 11) // the first event of a pruning, and ten
	must(t, newPruning(t, s, signer).Verify(t.Context()))
	if p, err := tr.Pruned(t.Context()); err != nil || p.Leaves != 71 {
		t.Errorf("it says %+v, %v", p, err)
	}
}

// An earlier release wrote a row of the index for each record.
func prunesOlderIndex(t *testing.T, s *store.Store) {
	tr, _ := sixty(t, s)
	single(t, s)
	prune(t, tr, before(30), 30)
	must(t, tr.Verify(t.Context()))
}

func prunesNothingTampered(t *testing.T, s *store.Store) {
	tr, signer := sixty(t, s)
	for _, statement := range []string{
		"UPDATE trail_records SET event = (SELECT event FROM trail_records WHERE seq = 16) WHERE seq = 15",
		"UPDATE trail_records SET time = time - 3600000000 WHERE seq = 15",
		"UPDATE trail_records SET account = '210987654321' WHERE seq = 15",
		"DELETE FROM trail_records WHERE seq = 15",
		"DELETE FROM trail_checkpoints WHERE size < 50",
	} {
		t.Run(statement, func(t *testing.T) {
			defer saved(t, s)()
			apply(t, s, statement)
			tr := newPruning(t, s, signer)
			_, err := tr.Prune(t.Context(), before(45))
			if statement == "DELETE FROM trail_checkpoints WHERE size < 50" {
				must(t, err) // a larger batch, whose newest is too new
			} else if !errors.Is(err, trail.ErrNotSealed) {
				t.Errorf("pruned, with %v", err)
			}
			if n := counted(t, s, "SELECT count(*) FROM trail_records WHERE account = '"+operator+"'"); n != 0 {
				t.Errorf("stated %d times", n)
			}
		})
	}
	prune(t, tr, before(30), 30)
	must(t, tr.Verify(t.Context()))
}

// Who writes older events over what shall be gone, with their leaves, does not have the
// server sign that it may be.
func prunesNothingMadeOld(t *testing.T, s *store.Store) {
	tr, signer := sixty(t, s)
	_, leaves := exported(t, tr, 0)
	prune(t, tr, before(10), 10)
	restore := saved(t, s)
	hashes := bytes.Repeat(leaves[12].Hash[:], 10)
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE trail_records SET event = (SELECT event FROM trail_records WHERE seq = 13),
			time = (SELECT time FROM trail_records WHERE seq = 13) WHERE seq BETWEEN 31 AND 40`)
		if err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE trail_leaves SET hash = ? WHERE leaf = 30", hashes)
		return err
	}))
	for range 2 {
		if gone, err := newPruning(t, s, signer).Prune(t.Context(), before(30)); gone != 0 || !errors.Is(err, trail.ErrNotSealed) {
			t.Errorf("%d were pruned, %v", gone, err)
		}
	}
	restore()
	if p, err := tr.Pruned(t.Context()); err != nil || p.Leaves != 10 {
		t.Errorf("it says %+v, %v", p, err)
	}
	prune(t, newPruning(t, s, signer), before(30), 20)
	must(t, tr.Verify(t.Context()))
}

// prunedAttacks are on a log of which 30 records were pruned: deleting more, or saying
// that more may be gone, shows.
func prunedAttacks(t *testing.T, s *store.Store) {
	tr, signer := sixty(t, s)
	prune(t, tr, before(30), 30)
	must(t, tr.Verify(t.Context()))
	other, err := newSigner(t).SignPruning(ledger.Pruning{Leaves: 50, Newest: noon})
	must(t, err)
	head, err := tr.Checkpoint(t.Context())
	must(t, err)
	forged := func(name, statement string) *trail.Record {
		raw, err := json.Marshal(map[string]any{"leaves": 50, "statement": statement})
		must(t, err)
		return &trail.Record{EventTime: noon, EventSource: "bawn", EventName: name, Account: operator, RequestParameters: raw}
	}
	for name, a := range map[string]struct {
		sql   []string
		write *trail.Record // sealed by the server as it finds it
		want  string
	}{
		"one more row":                     {sql: []string{"DELETE FROM trail_records WHERE seq = 31"}, want: "leaf 30 record 31 was deleted"},
		"one more row, later":              {sql: []string{"DELETE FROM trail_records WHERE seq = 45"}, want: "leaf 44 record 45 was deleted"},
		"rows, with the index":             {sql: []string{"DELETE FROM trail_records WHERE seq BETWEEN 31 AND 40", "DELETE FROM trail_terms WHERE seq BETWEEN 31 AND 40"}, want: "leaf 30 record 31 was deleted"},
		"rows and leaves":                  {sql: []string{"DELETE FROM trail_records WHERE seq < 41", "DELETE FROM trail_leaves WHERE seq < 41"}, want: "leaf 0 is missing"},
		"leaves of what is gone":           {sql: []string{"DELETE FROM trail_leaves WHERE leaf < 30"}, want: "leaf 0 is missing"},
		"the event of the pruning":         {sql: []string{"DELETE FROM trail_records WHERE seq = 61"}, want: "leaf 60 record 61 was deleted"},
		"its place in the index":           {sql: []string{"DELETE FROM trail_terms WHERE account = '" + operator + "'"}, want: "leaf 0 record 1 was deleted"},
		"the event, changed":               {sql: []string{"UPDATE trail_records SET event = (SELECT event FROM trail_records WHERE seq = 60) WHERE seq = 61"}, want: "leaf 60 record 61 was altered"},
		"something else in place of a row": {sql: []string{"INSERT INTO trail_records (seq, time, account, event) SELECT 7, time, account, event FROM trail_records WHERE seq = 33"}, want: "leaf 6 record 7 was altered"},
		"an event with another's statement": {sql: []string{"DELETE FROM trail_records WHERE seq BETWEEN 31 AND 40"},
			write: forged("PruneRecord", string(other)), want: "leaf 30 record 31 was deleted"},
		"an event with a head for a statement": {sql: []string{"DELETE FROM trail_records WHERE seq BETWEEN 31 AND 40"},
			write: forged("PruneRecord", string(head)), want: "leaf 30 record 31 was deleted"},
		"an event without": {sql: []string{"DELETE FROM trail_records WHERE seq BETWEEN 31 AND 40"},
			write: forged("PruneRecord", ""), want: "leaf 30 record 31 was deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			defer saved(t, s)()
			tr := newPruning(t, s, signer)
			if a.write != nil {
				add(t, s, tr, a.write)
				must(t, tr.Seal(t.Context()))
			}
			apply(t, s, a.sql...)
			tamperedWith(t, newPruning(t, s, signer), a.want)
			// Nothing more goes because of it.
			rows := counted(t, s, "SELECT count(*) FROM trail_records")
			_, _ = newPruning(t, s, signer).Prune(t.Context(), before(30))
			if n := counted(t, s, "SELECT count(*) FROM trail_records"); n < rows {
				t.Errorf("%d records were pruned", rows-n)
			}
		})
	}
}

func tamperedWith(t *testing.T, tr *trail.Trail, want string) {
	t.Helper()
	err := tr.Verify(t.Context())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Verify says %v\nwant %s", err, want)
	}
}

// fuse is a context that ends after it was asked so often.
type fuse struct {
	context.Context
	left  atomic.Int64
	ended chan struct{}
}

func (f *fuse) Err() error {
	if n := f.left.Add(-1); n == 0 {
		close(f.ended)
	} else if n > 0 {
		return nil
	}
	return context.Canceled
}

func (f *fuse) Done() <-chan struct{} { return f.ended }

// interruptedAtEveryPoint stops a pruning before each of its transactions, as a killed
// server does: what is left is whole at any of them, and the next one goes on.
func interruptedAtEveryPoint(t *testing.T, s *store.Store) {
	tr, signer := sixty(t, s)
	head, err := tr.Checkpoint(t.Context())
	must(t, err)
	seen := map[string]bool{}
	restore := saved(t, s)
	for n, done := int64(1), false; !done; n++ {
		f := &fuse{Context: t.Context(), ended: make(chan struct{})}
		f.left.Store(n)
		_, err := newPruning(t, s, signer).Prune(f, before(45))
		done = err == nil
		state := fmt.Sprintf("%d records, stated %d times, %d leaves", counted(t, s, "SELECT count(*) FROM trail_records"),
			counted(t, s, "SELECT count(*) FROM trail_records WHERE account = '"+operator+"'"),
			counted(t, s, "SELECT max(size) FROM trail_checkpoints"))
		if seen[state] && len(seen) == 1 {
			continue // nothing was done
		}
		if !seen[state] {
			seen[state] = true
			goesOn(t, newPruning(t, s, signer), head, state)
		}
		restore()
		restore = saved(t, s)
	}
	restore()
	// Nothing; stated; sealed; each of four batches.
	if len(seen) < 7 {
		t.Errorf("it was stopped at %d points only: %v", len(seen), seen)
	}
}

// goesOn says that a log of sixty that was being pruned is whole, and the next pruning goes
// on.
func goesOn(t *testing.T, tr *trail.Trail, head []byte, state string) {
	t.Helper()
	if err := tr.Verify(t.Context(), head); err != nil {
		t.Errorf("%s: %v", state, err)
	}
	if _, err := tr.Prune(t.Context(), before(45)); err != nil {
		t.Errorf("%s: it does not go on: %v", state, err)
	}
	must(t, tr.Verify(t.Context(), head))
	if got := all(t, tr, trail.Query{Account: "123456789012"}); len(got) != 20 {
		t.Errorf("%s: %d records in the end", state, len(got))
	}
	if got := all(t, tr, trail.Query{Account: operator}); len(got) != 1 {
		t.Errorf("%s: stated %d times in the end", state, len(got))
	}
}

func prunedByTwo(t *testing.T, s *store.Store) {
	_, signer := sixty(t, s)
	var both sync.WaitGroup
	for _, minutes := range []int{30, 45} {
		tr := newPruning(t, s, signer)
		both.Go(func() {
			for range 3 {
				_, err := tr.Prune(t.Context(), before(minutes))
				if err != nil {
					t.Errorf("to %d: %v", minutes, err)
				}
			}
		})
	}
	both.Wait()
	tr := newPruning(t, s, signer)
	must(t, tr.Verify(t.Context()))
	if p, err := tr.Pruned(t.Context()); err != nil || p.Leaves != 40 {
		t.Errorf("it says %+v, %v", p, err)
	}
	if names := all(t, tr, trail.Query{Account: "123456789012"}); len(names) != 20 {
		t.Errorf("found %v", names)
	}
}

func prunedWhileUsed(t *testing.T, s *store.Store) {
	tr, _ := sixty(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var users sync.WaitGroup
	for i := range 3 {
		users.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r := minute(1000 + n)
				r.EventName = fmt.Sprintf("By%d.%d", i, n)
				must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tr.Append(tx, r) }))
				p, err := tr.Find(t.Context(), trail.Query{Account: "123456789012", EventName: r.EventName})
				if err != nil || len(p.Entries) != 1 {
					t.Errorf("found %d of %s: %v", len(p.Entries), r.EventName, err)
				}
			}
		})
	}
	for minutes := 10; minutes <= 60; minutes += 10 {
		prune(t, tr, before(minutes), 10)
	}
	stop()
	users.Wait()
	must(t, tr.Verify(t.Context()))
}

// A record of the future, a clock that was wrong, keeps what was recorded after it.
func futureHolds(t *testing.T, s *store.Store) {
	tr := newPruning(t, s, newSigner(t))
	for i := range 6 {
		r := minute(i)
		if i == 2 {
			r.EventTime = noon.AddDate(10, 0, 0)
		}
		add(t, s, tr, r)
		must(t, tr.Seal(t.Context()))
	}
	prune(t, tr, before(60), 2)
	must(t, tr.Verify(t.Context()))
}
