package trail_test

import (
	"errors"
	"testing"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

func TestExport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		for name, test := range map[string]func(*testing.T, *store.Store){
			"Leaves":  exportsLeaves,
			"Proofs":  provesRecords,
			"Extends": extends,
		} {
			t.Run(name, func(t *testing.T) { test(t, open(t)) })
		}
	})
}

// exported is what Export gives from a leaf on.
func exported(t *testing.T, tr *trail.Trail, from int64) (c ledger.Checkpoint, leaves []trail.Leaf) {
	t.Helper()
	must(t, tr.Export(t.Context(), from, func(signed []byte) (err error) {
		if signed != nil {
			c, err = tr.Public().Open(signed)
		}
		return err
	}, func(l trail.Leaf) error {
		leaves = append(leaves, l)
		return nil
	}))
	return c, leaves
}

func exportsLeaves(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	if c, leaves := exported(t, tr, 0); c.Size != 0 || len(leaves) != 0 {
		t.Errorf("an empty log exports %+v and %d leaves", c, len(leaves))
	}
	for i := range 700 {
		add(t, s, tr, minute(i))
		if i%100 == 0 {
			must(t, tr.Seal(t.Context()))
		}
	}
	c, leaves := exported(t, tr, 0)
	var tree ledger.Range
	for i, l := range leaves {
		if ledger.LeafHash(l.Event) != l.Hash {
			t.Fatalf("leaf %d has another record", i)
		}
		tree.Add(l.Hash)
	}
	if c.Size != 700 || tree.Size() != 700 || tree.Root() != c.Root {
		t.Errorf("exported %d leaves for %+v", tree.Size(), c)
	}
	for _, from := range []int64{1, 255, 333, 699, 700} {
		if _, some := exported(t, tr, from); len(some) != 700-int(from) || len(some) > 0 && some[0].Hash != leaves[from].Hash {
			t.Errorf("from %d: %d leaves", from, len(some))
		}
	}
	if err := tr.Export(t.Context(), 701, nil, nil); err == nil {
		t.Error("exported what is not there")
	}
	apply(t, s, "DELETE FROM trail_records WHERE seq = 10", "UPDATE trail_records SET event = '{}' WHERE seq = 12")
	_, leaves = exported(t, tr, 0)
	for i, l := range leaves {
		if (l.Event == nil) != (i == 9 || i == 11) {
			t.Errorf("leaf %d: %s", i, l.Event)
		}
	}
}

func provesRecords(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	for i := range 300 {
		add(t, s, tr, minute(i))
	}
	add(t, s, tr, full())
	add(t, s, tr, minute(1))
	p, err := tr.Prove(t.Context(), "123456789012", full().EventID)
	must(t, err)
	if c, err := tr.Public().Check(p); err != nil || p.Leaf != 300 || c.Size != 302 {
		t.Errorf("leaf %d of %d, %v", p.Leaf, c.Size, err)
	}
	if got, err := trail.UnmarshalEvent(p.Record); err != nil || got.EventID != full().EventID {
		t.Errorf("%s, %v", p.Record, err)
	}
	if _, err := tr.Prove(t.Context(), "210987654321", full().EventID); !errors.Is(err, trail.ErrNoRecord) {
		t.Errorf("in another account: %v", err)
	}
	apply(t, s, "UPDATE trail_records SET event = '{}' WHERE seq = 301")
	if _, err := tr.Prove(t.Context(), "123456789012", full().EventID); err == nil {
		t.Error("a changed record was proven")
	}
}

func extends(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	for i := range 5 {
		add(t, s, tr, minute(i))
	}
	older, _ := exported(t, tr, 0)
	for i := range 40 {
		add(t, s, tr, minute(i))
	}
	must(t, tr.Seal(t.Context()))
	e, err := tr.Extend(t.Context(), older.Size, nil)
	must(t, err)
	newer, err := tr.Public().Open(e.Signed)
	must(t, err)
	if newer.Size != 45 {
		t.Errorf("extended to %d", newer.Size)
	}
	must(t, ledger.VerifyConsistency(newer, older, e.Hashes))
	older.Root[0] ^= 1
	if err := ledger.VerifyConsistency(newer, older, e.Hashes); !errors.Is(err, ledger.ErrProof) {
		t.Errorf("another history: %v", err)
	}
	if _, err := tr.Extend(t.Context(), 46, nil); err == nil {
		t.Error("extended what is longer")
	}
}
