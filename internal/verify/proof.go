package verify

import (
	"fmt"

	"bawn.dev/internal/ledger"
)

// Record checks one record with its proof, and returns the record if it holds.
func Record(key ledger.Verifier, text []byte) (*Report, []byte) {
	r := newReport("record")
	p, err := ledger.ParseProof(text)
	if err != nil {
		r.problem("the proof", "%v", err)
		return r, nil
	}
	c, err := key.Check(p)
	if err != nil {
		r.problem(leafName(p.Leaf), "%v", err)
		return r, nil
	}
	r.Log, r.Size, r.Checked = c.Origin, c.Size, 1
	r.note("the record is leaf %d of %d", p.Leaf, c.Size)
	return r, p.Record
}

// Heads checks that one checkpoint extends another, in either order. prove gives the
// consistency proof: of a [Log], or from a file.
func Heads(key ledger.Verifier, a, b []byte, prove func(older, newer ledger.Checkpoint) ([]ledger.Hash, error)) *Report {
	r := newReport("heads")
	older, err := key.Open(a)
	if err != nil {
		r.problem("the first checkpoint", "%v", err)
	}
	newer, err := key.Open(b)
	if err != nil {
		r.problem("the second checkpoint", "%v", err)
	}
	if len(r.Problems) > 0 {
		return r
	}
	if older.Size > newer.Size {
		older, newer = newer, older
	}
	r.Log, r.Size = newer.Origin, newer.Size
	switch {
	case older.Size == newer.Size && older.Root != newer.Root:
		r.problem("the checkpoints", "both sign %d records, and not the same: the log has two histories", older.Size)
	case older.Size == newer.Size, older.Size == 0:
		r.Checked = 2
	default:
		hashes, err := prove(older, newer)
		if err == nil {
			err = ledger.VerifyConsistency(newer, older, hashes)
		}
		if err != nil {
			r.problem("the checkpoints", "that %d records begin with those %d is not proven: %v", newer.Size, older.Size, err)
			return r
		}
		r.Checked = 2
	}
	r.note("the first %d of %d records are the same", older.Size, newer.Size)
	return r
}

// Prove gives the consistency proof between two checkpoints from the tiles, which it
// does not check: the proof tells.
func (l Log) Prove(older, newer ledger.Checkpoint) ([]ledger.Hash, error) {
	c, err := l.head()
	if err != nil {
		return nil, err
	}
	if newer.Size > c.Size {
		return nil, fmt.Errorf("the files hold %d leaves", c.Size)
	}
	return ledger.ProveConsistency(newer.Size, older.Size, l.nodes(c.Size))
}

// Proof gives the proof of one record from the files.
func (l Log) Proof(leaf int64) (ledger.Proof, error) {
	p := ledger.Proof{Leaf: leaf}
	var err error
	if p.Signed, err = l.Signed(); err != nil {
		return p, err
	}
	c, err := l.Key.Open(p.Signed)
	if err != nil {
		return p, err
	}
	if p.Hashes, err = ledger.ProveInclusion(c.Size, leaf, l.nodes(c.Size)); err != nil {
		return p, err
	}
	t := ledger.TileAt(0, leaf, c.Size)
	records, err := l.records(t)
	if err != nil {
		return p, err
	}
	p.Record = records[leaf%ledger.TileWidth]
	_, err = l.Key.Check(p)
	return p, err
}
