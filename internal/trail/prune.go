package trail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
)

// Records may be pruned: their rows go, with the lookup index's, and their leaves stay.
// So every proof and every head still holds, and a record that somebody kept is still
// proven. Which are gone is stated by an event of the record itself, signed by the log's
// key and sealed before the first row goes: whoever deletes rows of the database, adds
// rows to it or moves a bound that is stored there cannot have it pass for a pruning.

// PruneSource is the source of the events that state prunings.
const PruneSource = "bawn"

// A Retention says what may be pruned.
type Retention struct {
	Before time.Time // what happened from here on stays, and all that was recorded after it
	Last   int64     // so do records whose Seq is greater
	// State makes the event of a pruning, with the statement in it. It is appended to the
	// trail of Options.Account.
	State func(p ledger.Pruning, statement []byte) (*Record, error)
}

// ErrNotSealed says that something of the log is not what was sealed. Nothing of it is
// pruned: it would be gone as evidence.
var ErrNotSealed = errors.New("trail: not what was sealed; run fsck")

// Prune goes on with what a Prune before it was interrupted in, states how much more of
// the oldest records may go, and deletes them. It lets go whole batches, as they were
// sealed, never the last. It returns how many records went. Several copies may call it.
func (t *Trail) Prune(ctx context.Context, r Retention) (gone int64, err error) {
	if t.account == "" {
		return 0, errors.New("trail: nowhere to state a pruning")
	}
	if err := t.Seal(ctx); err != nil {
		return 0, err
	}
	stated, err := t.Pruned(ctx)
	if err != nil {
		return 0, err
	}
	if gone, err = t.drop(ctx, stated.Leaves); err != nil {
		return gone, err
	}
	next, err := t.prunable(ctx, stated, r)
	if err != nil || next == stated {
		return gone, err
	}
	if err := t.state(ctx, next, r); err != nil {
		return gone, err
	}
	if stated, err = t.Pruned(ctx); err != nil {
		return gone, err
	}
	n, err := t.drop(ctx, stated.Leaves)
	return gone + n, err
}

// state writes the event of a pruning and seals it.
func (t *Trail) state(ctx context.Context, p ledger.Pruning, r Retention) error {
	statement, err := t.signer.SignPruning(p)
	if err != nil {
		return err
	}
	record, err := r.State(p, statement)
	if err != nil {
		return err
	}
	if err := t.store.Update(ctx, func(tx *store.Tx) error { return t.Append(tx, record) }); err != nil {
		return err
	}
	return t.Seal(ctx)
}

// Pruned says which records may be gone: what the greatest pruning says that the sealed
// log states. Where none was ever, it is zero.
func (t *Trail) Pruned(ctx context.Context) (p ledger.Pruning, err error) {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return p, err
	}
	defer n.Close()
	return t.stated(n)
}

func (t *Trail) stated(n *store.Snapshot) (p ledger.Pruning, err error) {
	if t.account == "" {
		return p, nil
	}
	q := Query{Account: t.account, EventName: ledger.PruneEvent, EventSource: PruneSource, Limit: MaxLimit}
	for at := &beyond; at != nil && p.Leaves == 0; {
		var entries []Entry
		if entries, at, _, err = q.page(n, *at); err != nil {
			return p, err
		}
		for _, e := range entries { // of two copies the later may have stated less
			s, ok := t.verifier.PruningIn(e.Event)
			if !ok || s.Leaves <= p.Leaves {
				continue
			}
			leaf, hash, err := leafOf(n, e.Seq)
			if err != nil {
				return p, err
			}
			if ledger.LeafHash(e.Event) == hash && leaf >= s.Leaves {
				p = s
			}
		}
	}
	return p, nil
}

// prunable goes on from a pruning as far as may be.
func (t *Trail) prunable(ctx context.Context, stated ledger.Pruning, r Retention) (ledger.Pruning, error) {
	tree, err := t.grown(ctx, stated.Leaves)
	if err != nil {
		return stated, err
	}
	p, err := t.old(ctx, stated, r, tree)
	if err != nil || p == stated {
		return stated, err
	}
	return p, t.signs(ctx, tree)
}

// old goes on as far as the records are old enough by what is stored, and adds their
// leaves to the tree.
func (t *Trail) old(ctx context.Context, p ledger.Pruning, r Retention, tree *ledger.Range) (ledger.Pruning, error) {
	for {
		began := time.Now()
		b, err := t.sealedBatch(ctx, p.Leaves)
		if err != nil || b == nil || b.last {
			return p, err
		}
		if b.begin != p.Leaves {
			return p, fmt.Errorf("the checkpoint over %d leaves is gone: %w", p.Leaves, ErrNotSealed)
		}
		newest := p.Newest
		for _, row := range b.rows {
			if row.seq > r.Last {
				return p, nil
			}
			record, err := b.authentic(row)
			if err != nil {
				return p, err
			}
			if !record.EventTime.Before(r.Before) {
				return p, nil
			}
			if record.EventTime.After(newest) {
				newest = record.EventTime
			}
		}
		for _, row := range b.rows {
			tree.Add(row.hash)
		}
		p = ledger.Pruning{Leaves: b.end, Newest: newest}
		if err := rest(ctx, began); err != nil {
			return p, err
		}
	}
}

// grown is the tree of the first leaves as it is stored.
func (t *Trail) grown(ctx context.Context, leaves int64) (*ledger.Range, error) {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	return ledger.Continue(leaves, nodes{n})
}

// signs says whether the newest checkpoint signs a tree among its leaves. Rows that look
// old, leaves and records alike, are otherwise whatever was written there.
func (t *Trail) signs(ctx context.Context, tree *ledger.Range) error {
	e, err := t.Extend(ctx, tree.Size(), nil)
	if err != nil {
		return err
	}
	c, err := t.verifier.Open(e.Signed)
	if err != nil {
		return err
	}
	if err := ledger.VerifyConsistency(c, ledger.Checkpoint{Origin: c.Origin, Size: tree.Size(), Root: tree.Root()}, e.Hashes); err != nil {
		return fmt.Errorf("the first %d leaves: %w: %w", tree.Size(), ErrNotSealed, err)
	}
	return nil
}

// A sealedBatch is what one sealing made: the leaves from one checkpoint to the next.
type sealedBatch struct {
	begin, end int64
	last       bool // the log's newest
	rows       []sealedRow
}

// maxBatch bounds the leaves between two checkpoints: in rows that others wrote, all
// those between may be gone.
const maxBatch = 1 << 14

// sealedBatch reads the batch in which a leaf is; nil stands for none.
func (t *Trail) sealedBatch(ctx context.Context, leaf int64) (*sealedBatch, error) {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	var b sealedBatch
	var newest int64
	if err := n.QueryRow(`SELECT coalesce((SELECT max(size) FROM trail_checkpoints WHERE size <= ?), 0),
		coalesce((SELECT min(size) FROM trail_checkpoints WHERE size > ?), 0), coalesce((SELECT max(size) FROM trail_checkpoints), 0)`,
		leaf, leaf).Scan(&b.begin, &b.end, &newest); err != nil {
		return nil, err
	}
	if b.end == 0 {
		return nil, nil
	}
	if b.end-b.begin > maxBatch {
		return nil, fmt.Errorf("leaf %d: %d leaves without a checkpoint: %w", b.begin, b.end-b.begin, ErrNotSealed)
	}
	b.last = b.end == newest
	for at := b.begin; at < b.end; {
		r, err := runOf(n, at)
		if err != nil {
			return nil, err
		}
		hashes := unpacked(r.hashes)
		from, to := at-r.leaf, min(int64(len(hashes)), b.end-r.leaf)
		if from >= to {
			return nil, fmt.Errorf("leaf %d is missing: %w", at, ErrNotSealed)
		}
		records, err := readRows(n, r.seq+from-1, r.seq+to-1, int(to-from))
		if err != nil {
			return nil, err
		}
		for i := from; i < to; i++ {
			row := sealedRow{leaf: r.leaf + i, seq: r.seq + i, hash: hashes[i]}
			if len(records) > 0 && records[0].seq == row.seq {
				row.record, records = &records[0], records[1:]
			}
			b.rows = append(b.rows, row)
		}
		at = r.leaf + to
	}
	return &b, nil
}

// authentic gives a record that is the one that was sealed, and filed as it says.
func (b *sealedBatch) authentic(r sealedRow) (*Record, error) {
	if r.record == nil || ledger.LeafHash(r.record.event) != r.hash {
		return nil, fmt.Errorf("leaf %d: %w", r.leaf, ErrNotSealed)
	}
	record, err := UnmarshalEvent(r.record.event)
	if err != nil || !filed(record, r.record) {
		return nil, fmt.Errorf("leaf %d: %w", r.leaf, errors.Join(ErrNotSealed, err))
	}
	return record, nil
}

// rest leaves the processor, and the database's writer, to others for longer than they
// were used: nobody waits for a pruning.
func rest(ctx context.Context, began time.Time) error {
	timer := time.NewTimer(3 * time.Since(began))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
