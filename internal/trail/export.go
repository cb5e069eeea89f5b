package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
)

// A Leaf is one of the log as it leaves the database.
type Leaf struct {
	Hash  ledger.Hash
	Event []byte // nil when the record is gone, or is not the one that was sealed
}

// Public is the key that checkpoints are verified with.
func (t *Trail) Public() ledger.Verifier { return t.verifier }

// Export gives the newest checkpoint, over everything committed before the call, and
// then each leaf under it from one on, in order. It checks no more than each record
// against its leaf: who receives it computes the tree.
func (t *Trail) Export(ctx context.Context, from int64, head func(signed []byte) error, leaf func(Leaf) error) error {
	if err := t.Seal(ctx); err != nil {
		return err
	}
	signed, err := t.Checkpoint(ctx)
	if err != nil {
		return err
	}
	var c ledger.Checkpoint
	if signed != nil {
		if c, err = t.verifier.Open(signed); err != nil {
			return err
		}
	}
	if from < 0 || from > c.Size {
		return fmt.Errorf("trail: the log has %d leaves, not %d", c.Size, from)
	}
	if err := head(signed); err != nil {
		return err
	}
	for from < c.Size {
		leaves, err := t.leaves(ctx, from, c.Size)
		if err != nil {
			return err
		}
		for _, l := range leaves {
			if err := leaf(l); err != nil {
				return err
			}
		}
		from += int64(len(leaves))
	}
	return nil
}

// leaves reads some that follow each other, from one to before another.
func (t *Trail) leaves(ctx context.Context, from, end int64) ([]Leaf, error) {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	r, err := runOf(n, from)
	if err != nil {
		return nil, err
	}
	hashes := unpacked(r.hashes)
	if from-r.leaf >= int64(len(hashes)) || r.leaf < 0 {
		return nil, fmt.Errorf("trail: leaf %d is missing; run fsck", from)
	}
	seq := r.seq + from - r.leaf
	hashes = hashes[from-r.leaf:]
	hashes = hashes[:min(int64(len(hashes)), end-from)]
	records, err := readRows(n, seq-1, seq+int64(len(hashes))-1, len(hashes))
	if err != nil {
		return nil, err
	}
	all := make([]Leaf, len(hashes))
	for i, h := range hashes {
		all[i].Hash = h
		if len(records) > 0 && records[0].seq == seq+int64(i) {
			if event := records[0].event; ledger.LeafHash(event) == h {
				all[i].Event = event
			}
			records = records[1:]
		}
	}
	return all, nil
}

// runOf is the stored run that should hold a leaf.
func runOf(q store.Querier, leaf int64) (r run, err error) {
	err = q.QueryRow("SELECT leaf, seq, hash FROM trail_leaves WHERE leaf <= ? ORDER BY leaf DESC LIMIT 1", leaf).Scan(&r.leaf, &r.seq, &r.hashes)
	if err != nil {
		return r, fmt.Errorf("trail: leaf %d: %w", leaf, err)
	}
	return r, nil
}

// leafOf finds the leaf of a record, and its hash.
func leafOf(q store.Querier, seq int64) (leaf int64, hash ledger.Hash, err error) {
	var r run
	err = q.QueryRow("SELECT leaf, seq, hash FROM trail_leaves WHERE seq <= ? ORDER BY seq DESC LIMIT 1", seq).Scan(&r.leaf, &r.seq, &r.hashes)
	if err != nil {
		return 0, hash, fmt.Errorf("trail: record %d: %w", seq, err)
	}
	hashes := unpacked(r.hashes)
	if seq-r.seq >= int64(len(hashes)) {
		return 0, hash, fmt.Errorf("record %d: %w", seq, ErrNotSealed)
	}
	return r.leaf + seq - r.seq, hashes[seq-r.seq], nil
}

// ErrNoRecord says that there is no such record.
var ErrNoRecord = errors.New("trail: no such record")

// Prove gives the proof that a record of an account is in the log.
func (t *Trail) Prove(ctx context.Context, account, eventID string) (ledger.Proof, error) {
	page, err := t.Find(ctx, Query{Account: account, EventID: eventID, Limit: 1})
	if err != nil {
		return ledger.Proof{}, err
	}
	if len(page.Entries) == 0 {
		return ledger.Proof{}, ErrNoRecord
	}
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return ledger.Proof{}, err
	}
	defer n.Close()
	entry := page.Entries[0]
	leaf, _, err := leafOf(n, entry.Seq)
	if err != nil {
		return ledger.Proof{}, err
	}
	p, err := t.proof(n, leaf)
	if err != nil {
		return p, err
	}
	p.Record = entry.Event
	if _, err := t.verifier.Check(p); err != nil {
		return p, fmt.Errorf("trail: record %d: %w; run fsck", entry.Seq, err)
	}
	return p, nil
}

// ProveKept is Prove for who has a record's exact bytes, be it pruned or not: of their hash
// it gives the proof, without the record. It reads all leaves until it finds that.
func (t *Trail) ProveKept(ctx context.Context, hash ledger.Hash) (p ledger.Proof, err error) {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return p, err
	}
	defer n.Close()
	for from := int64(0); ; {
		runs, err := runsFrom(n, from)
		if err != nil {
			return p, err
		}
		if len(runs) == 0 {
			return p, ErrNoRecord
		}
		for _, r := range runs {
			if i := bytes.Index(r.hashes, hash[:]); i >= 0 && i%hashSize == 0 {
				return t.proof(n, r.leaf+int64(i/hashSize))
			}
			from = r.leaf + 1
		}
	}
}

// proof is that of a leaf, without its record.
func (t *Trail) proof(n *store.Snapshot, leaf int64) (ledger.Proof, error) {
	p := ledger.Proof{Leaf: leaf}
	if err := n.QueryRow("SELECT signed FROM trail_checkpoints ORDER BY size DESC LIMIT 1").Scan(&p.Signed); err != nil {
		return p, fmt.Errorf("trail: the last checkpoint: %w", err)
	}
	c, err := t.verifier.Open(p.Signed)
	if err != nil {
		return p, err
	}
	p.Hashes, err = ledger.ProveInclusion(c.Size, p.Leaf, nodes{n})
	return p, err
}

// Extend gives the proof that a checkpoint of this log, the newest if it is nil, extends
// the tree of so many leaves.
func (t *Trail) Extend(ctx context.Context, old int64, newer []byte) (ledger.Extension, error) {
	e := ledger.Extension{Old: old, Signed: newer}
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return e, err
	}
	defer n.Close()
	if newer == nil {
		if err := n.QueryRow("SELECT signed FROM trail_checkpoints ORDER BY size DESC LIMIT 1").Scan(&e.Signed); err != nil {
			return e, fmt.Errorf("trail: the last checkpoint: %w", err)
		}
	}
	c, err := t.verifier.Open(e.Signed)
	if err != nil {
		return e, err
	}
	if old > c.Size {
		return e, fmt.Errorf("trail: the log has %d leaves, not %d", c.Size, old)
	}
	if old > 0 {
		e.Hashes, err = ledger.ProveConsistency(c.Size, old, nodes{n})
	}
	return e, err
}
