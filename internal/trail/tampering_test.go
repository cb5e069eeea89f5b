package trail_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// attack is what somebody with the database, but not the key, does to a log of
// 20 records in two checkpoints, over 12 and 20.
type attack struct {
	name string
	sql  []string
	want string // of Verify's error
	kept bool   // Verify is given the checkpoint that was kept elsewhere
}

var attacks = []attack{
	{name: "edited", sql: []string{"UPDATE trail_records SET event = (SELECT event FROM trail_records WHERE seq = 9) WHERE seq = 8"},
		want: "leaf 7 record 8 was altered"},
	{name: "edited, with the leaf", sql: []string{
		"UPDATE trail_records SET event = (SELECT event FROM trail_records WHERE seq = 9) WHERE seq = 8",
		"UPDATE trail_leaves SET hash = (SELECT hash FROM trail_leaves WHERE seq = 9) WHERE seq = 8"},
		want: "leaf 7 has another hash than the tree's node"},
	{name: "edited, with the leaf and its node", sql: []string{
		"UPDATE trail_records SET event = (SELECT event FROM trail_records WHERE seq = 9) WHERE seq = 8",
		"UPDATE trail_leaves SET hash = (SELECT hash FROM trail_leaves WHERE seq = 9) WHERE seq = 8",
		"UPDATE trail_hashes SET hash = (SELECT hash FROM trail_leaves WHERE seq = 9) WHERE idx = 11"},
		want: "leaf 0 or a later one before leaf 12 is not what was signed"},
	{name: "deleted", sql: []string{"DELETE FROM trail_records WHERE seq = 5"}, want: "leaf 4 record 5 was deleted"},
	{name: "deleted with its leaf", sql: []string{"DELETE FROM trail_records WHERE seq = 5", "DELETE FROM trail_leaves WHERE seq = 5"},
		want: "leaf 4 is missing"},
	{name: "leaf deleted", sql: []string{"DELETE FROM trail_leaves WHERE leaf = 4"}, want: "record 5 was inserted"},
	{name: "inserted", sql: []string{"INSERT INTO trail_records (seq, time, account, event) SELECT -1, time, account, event FROM trail_records WHERE seq = 3"},
		want: "record -1 was inserted"},
	{name: "reordered", sql: []string{
		"UPDATE trail_leaves SET seq = 1003 WHERE seq = 3", "UPDATE trail_leaves SET seq = 3 WHERE seq = 4", "UPDATE trail_leaves SET seq = 4 WHERE seq = 1003"},
		want: "leaf 3 record 3 is out of order"},
	{name: "exchanged", sql: []string{
		"UPDATE trail_records SET seq = 1003 WHERE seq = 3", "UPDATE trail_records SET seq = 3 WHERE seq = 4", "UPDATE trail_records SET seq = 4 WHERE seq = 1003"},
		want: "leaf 2 record 3 was altered"},
	{name: "back-dated", sql: []string{"UPDATE trail_records SET time = time - 3600000000 WHERE seq = 6"}, want: "leaf 5 record 6 is filed under"},
	{name: "moved to another account", sql: []string{"UPDATE trail_records SET account = '210987654321' WHERE seq = 6"}, want: "leaf 5 record 6 is filed under"},
	{name: "hidden from lookup", sql: []string{"DELETE FROM trail_terms WHERE seq = 6 AND term = 'u:cy'"}, want: `leaf 5 record 6 is not in the lookup index under "u:cy"`},
	{name: "false lookup", sql: []string{"INSERT INTO trail_terms (account, term, time, seq) VALUES ('123456789012', 'u:eve', 1, 6)"}, want: "the lookup index has"},
	{name: "tail cut", sql: []string{"DELETE FROM trail_records WHERE seq > 15", "DELETE FROM trail_leaves WHERE seq > 15"},
		want: "leaf 15 and what follows was cut off: a checkpoint signs 20"},
	{name: "all cut", sql: []string{"DELETE FROM trail_records", "DELETE FROM trail_leaves", "DELETE FROM trail_hashes", "DELETE FROM trail_terms"},
		want: "leaf 0 and what follows was cut off"},
	{name: "tail cut to a checkpoint", kept: true, sql: []string{"DELETE FROM trail_records WHERE seq > 12", "DELETE FROM trail_leaves WHERE seq > 12",
		"DELETE FROM trail_hashes WHERE idx >= 22", "DELETE FROM trail_terms WHERE seq > 12", "DELETE FROM trail_checkpoints WHERE size > 12"},
		want: "leaf 12 and what follows was cut off: a checkpoint kept elsewhere signs 20"},
	{name: "checkpoint deleted", sql: []string{"DELETE FROM trail_checkpoints WHERE size = 20"}, want: "leaf 12 and what follows is signed by no checkpoint"},
	{name: "checkpoint of another size", sql: []string{"UPDATE trail_checkpoints SET signed = (SELECT signed FROM trail_checkpoints WHERE size = 12) WHERE size = 20"},
		want: "the checkpoint over 20 records is not one that this log's key signed"},
	{name: "node altered", sql: []string{"UPDATE trail_hashes SET hash = (SELECT hash FROM trail_hashes WHERE idx = 0) WHERE idx = 2"},
		want: "the tree's node 2"},
	{name: "node added", sql: []string{"INSERT INTO trail_hashes (idx, hash) SELECT 9999, hash FROM trail_hashes WHERE idx = 0"}, want: "nodes are stored"},
}

// packedAttacks are on rows that hold several leaves, nodes or places: those of the
// first checkpoint are rows of 12 leaves, of 22 nodes and of all places of a term.
var packedAttacks = []attack{
	{name: "compressed record cut", sql: []string{"UPDATE trail_records SET event = substr(event, 1, length(event) - 1) WHERE seq = 8"}, want: "leaf 7 record 8 was altered"},
	{name: "packed leaf altered", sql: []string{"UPDATE trail_leaves SET hash = substr(hash, 1, 32) || substr(hash, 1, 32) || substr(hash, 65) WHERE leaf = 0"},
		want: "leaf 1 record 2 was altered"},
	{name: "packed leaf cut out", sql: []string{"UPDATE trail_leaves SET hash = substr(hash, 1, 32) || substr(hash, 65) WHERE leaf = 0"},
		want: "leaf 1 record 2 was altered"},
	{name: "packed leaves cut off", sql: []string{"UPDATE trail_leaves SET hash = substr(hash, 1, 64) WHERE leaf = 0"}, want: "leaf 2 is missing"},
	{name: "packed leaves that are none", sql: []string{"UPDATE trail_leaves SET hash = substr(hash, 1, 63) WHERE leaf = 0"}, want: "leaf 0 record 1 was altered"},
	{name: "packed node altered", sql: []string{"UPDATE trail_hashes SET hash = substr(hash, 1, 32) || substr(hash, 1, 32) || substr(hash, 65) WHERE idx = 0"},
		want: "the tree's node 1"},
	{name: "packed nodes cut off", sql: []string{"UPDATE trail_hashes SET hash = substr(hash, 1, 672) WHERE idx = 0"}, want: "the tree's node 21"},
	{name: "packed node added", sql: []string{"UPDATE trail_hashes SET hash = hash || substr(hash, 1, 32) WHERE idx = 22"}, want: "nodes are stored"},
	{name: "hidden from packed lookup", sql: []string{"UPDATE trail_terms SET more = NULL WHERE more IS NOT NULL"}, want: "is not in the lookup index under"},
	{name: "false packed lookup", sql: []string{"UPDATE trail_terms SET more = more || substr(more, 1, 16) WHERE term = '' AND more IS NOT NULL"}, want: "the lookup index has"},
}

// single takes the packed rows apart.
func single(t *testing.T, s *store.Store) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		type row struct {
			account, term string
			a, b          int64
			blob          []byte
		}
		read := func(query string, scan func(*store.Rows, *row) error) ([]row, error) {
			return store.Collect(tx, func(r *store.Rows) (x row, err error) { return x, scan(r, &x) }, query)
		}
		leaves, err := read("SELECT leaf, seq, hash FROM trail_leaves", func(r *store.Rows, x *row) error { return r.Scan(&x.a, &x.b, &x.blob) })
		if err != nil {
			return err
		}
		hashes, err := read("SELECT idx, hash FROM trail_hashes", func(r *store.Rows, x *row) error { return r.Scan(&x.a, &x.blob) })
		if err != nil {
			return err
		}
		terms, err := read("SELECT account, term, more FROM trail_terms", func(r *store.Rows, x *row) error { return r.Scan(&x.account, &x.term, &x.blob) })
		if err != nil {
			return err
		}
		for _, table := range []string{"leaves", "hashes"} {
			if _, err := tx.Exec("DELETE FROM trail_" + table); err != nil {
				return err
			}
		}
		var values [3][]any
		for _, x := range leaves {
			for i := range int64(len(x.blob) / 32) {
				values[0] = append(values[0], x.a+i, x.b+i, x.blob[i*32:(i+1)*32])
			}
		}
		for _, x := range hashes {
			for i := range int64(len(x.blob) / 32) {
				values[1] = append(values[1], x.a+i, x.blob[i*32:(i+1)*32])
			}
		}
		for _, x := range terms {
			for b := x.blob; len(b) > 0; b = b[16:] {
				values[2] = append(values[2], x.account, x.term, int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:])))
			}
		}
		if _, err := tx.Exec("UPDATE trail_terms SET more = NULL"); err != nil {
			return err
		}
		return errors.Join(tx.Insert("trail_leaves (leaf, seq, hash)", 3, values[0]), tx.Insert("trail_hashes (idx, hash)", 2, values[1]),
			tx.Insert("trail_terms (account, term, time, seq)", 4, values[2]))
	}))
}

func tampering(t *testing.T, s *store.Store) {
	tr, signer := twentyRecords(t, s)
	must(t, tr.Verify(t.Context()))
	kept, err := tr.Checkpoint(t.Context())
	must(t, err)
	must(t, tr.Verify(t.Context(), kept))
	for _, a := range packedAttacks {
		t.Run(a.name, func(t *testing.T) {
			defer saved(t, s)()
			apply(t, s, a.sql...)
			if err := tr.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), a.want) {
				t.Errorf("Verify says %v\nwant %s", err, a.want)
			}
		})
	}
	// What follows speaks of single rows: as an earlier release wrote them, and as an
	// attacker may rewrite them.
	single(t, s)
	must(t, tr.Verify(t.Context(), kept))
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			restore := saved(t, s)
			defer restore()
			apply(t, s, a.sql...)
			var known [][]byte
			if a.kept {
				if err := tr.Verify(t.Context()); err != nil {
					t.Errorf("without the kept checkpoint this cannot be seen, yet: %v", err)
				}
				known = append(known, kept)
			}
			err := tr.Verify(t.Context(), known...)
			if err == nil || !strings.Contains(err.Error(), a.want) {
				t.Errorf("Verify says %v\nwant %s", err, a.want)
			}
		})
	}
	t.Run("forged checkpoint", func(t *testing.T) {
		defer saved(t, s)()
		forged, err := newSigner(t).Sign(ledger.Checkpoint{Origin: signer.Origin(), Size: 20})
		must(t, err)
		must(t, s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE trail_checkpoints SET signed = ? WHERE size = 20", forged)
			return err
		}))
		if err := tr.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "the checkpoint over 20 records is not one that this log's key signed") {
			t.Errorf("Verify says %v", err)
		}
	})
	t.Run("sealing goes on after a cut", func(t *testing.T) {
		defer saved(t, s)()
		apply(t, s, "DELETE FROM trail_leaves WHERE leaf >= 15", "DELETE FROM trail_records WHERE seq > 15")
		if err := newTrail(t, s, signer).Seal(t.Context()); err == nil {
			t.Error("the sealer signed a log that was cut")
		}
	})
	must(t, tr.Verify(t.Context()))
}

func twentyRecords(t *testing.T, s *store.Store) (*trail.Trail, ledger.Signer) {
	signer := newSigner(t)
	tr := newTrail(t, s, signer)
	for i := range 20 {
		r := minute(i)
		r.EventTime = noon.Add(time.Duration(i) * 10 * time.Millisecond) // within a moment, as under load
		add(t, s, tr, r)
		if i == 11 || i == 19 {
			must(t, tr.Seal(t.Context()))
		}
	}
	return tr, signer
}

func apply(t *testing.T, s *store.Store, statements ...string) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		for _, statement := range statements {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	}))
}

// saved copies the trail's tables and returns what puts them back.
func saved(t *testing.T, s *store.Store) func() {
	t.Helper()
	tables := []string{"records", "leaves", "hashes", "checkpoints", "terms"}
	for _, table := range tables {
		apply(t, s, "CREATE TABLE saved_"+table+" AS SELECT * FROM trail_"+table)
	}
	return func() {
		for _, table := range tables {
			apply(t, s, "DELETE FROM trail_"+table, "INSERT INTO trail_"+table+" SELECT * FROM saved_"+table, "DROP TABLE saved_"+table)
		}
	}
}
