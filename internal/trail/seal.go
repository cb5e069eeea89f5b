package trail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
)

// batch bounds what one sealing transaction writes, because the hot path waits
// behind it.
const batch = 128

// head is how far the log is sealed.
type head struct {
	size int64 // leaves
	seq  int64 // of the last leaf's record
}

// errOvertaken says that another copy sealed first.
var errOvertaken = errors.New("trail: another copy sealed first")

// Seal seals every record that was committed before the call. Finding does it
// by itself.
func (t *Trail) Seal(ctx context.Context) error {
	select {
	case t.sealing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.sealing }()

	var last int64
	if err := t.store.Settle(ctx, gate, func(q store.Querier) error {
		return q.QueryRow("SELECT coalesce(max(seq), 0) FROM trail_records").Scan(&last)
	}); err != nil {
		return err
	}
	for overtaken := 0; t.head.size == 0 || t.head.seq < last; {
		done, err := t.sealBatch(ctx, last)
		if errors.Is(err, errOvertaken) && overtaken < 100 {
			overtaken++
			continue
		}
		if err != nil {
			return err
		}
		t.announce()
		if done {
			return nil
		}
	}
	return nil
}

// sealBatch seals the next records up to last and reports whether it met the end.
func (t *Trail) sealBatch(ctx context.Context, last int64) (done bool, err error) {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return false, err
	}
	defer n.Close()
	h, err := t.readHead(n)
	if err != nil {
		return false, err
	}
	rows, err := readRows(n, h.seq, last, batch)
	if err != nil {
		return false, err
	}
	t.head = h
	if len(rows) == 0 {
		return true, nil
	}

	tree := ledger.NewBuilder(h.size, stored{n})
	var leaves, nodes, terms []any
	next := h
	for _, r := range rows {
		hash := ledger.LeafHash(r.event)
		if err := tree.Add(hash); err != nil {
			return false, err
		}
		leaves = append(leaves, next.size, r.seq, hash[:])
		next = head{next.size + 1, r.seq}
		for _, term := range r.terms() {
			terms = append(terms, r.account, term, r.time, r.seq)
		}
	}
	for i, hash := range tree.New {
		nodes = append(nodes, tree.First+int64(i), hash[:])
	}
	root, err := tree.Root()
	if err != nil {
		return false, err
	}
	signed, err := t.signer.Sign(ledger.Checkpoint{Origin: t.signer.Origin(), Size: next.size, Root: root})
	if err != nil {
		return false, err
	}
	if err := n.Close(); err != nil {
		return false, err
	}

	err = t.store.Update(ctx, func(tx *store.Tx) error {
		var size int64
		if err := tx.QueryRow("SELECT coalesce(max(size), 0) FROM trail_checkpoints").Scan(&size); err != nil {
			return err
		}
		if size != h.size {
			return errOvertaken
		}
		for _, rows := range []struct {
			into    string
			columns int
			args    []any
		}{
			{"trail_leaves (leaf, seq, hash)", 3, leaves},
			{"trail_hashes (idx, hash)", 2, nodes},
			{"trail_terms (account, term, time, seq)", 4, terms},
			{"trail_checkpoints (size, signed)", 2, []any{next.size, signed}},
		} {
			if err := insertAll(tx, rows.into, rows.columns, rows.args); err != nil {
				return err
			}
		}
		return nil
	})
	if store.IsDuplicate(err) {
		// PostgreSQL finds the other copy's leaf before it finds the conflict.
		err = fmt.Errorf("%w: %w", errOvertaken, err)
	}
	if err != nil {
		return false, err
	}
	t.head = next
	return len(rows) < batch, nil
}

// readHead reads how far the log is sealed. It refuses to continue a log whose
// stored tree is not the one that was signed: the next checkpoint would make an
// alteration look right.
func (t *Trail) readHead(q store.Querier) (head, error) {
	var h head
	var leaf int64
	err := q.QueryRow("SELECT leaf, seq FROM trail_leaves ORDER BY leaf DESC LIMIT 1").Scan(&leaf, &h.seq)
	if err == nil {
		h.size = leaf + 1
	} else if !errors.Is(err, sql.ErrNoRows) {
		return h, err
	}
	if h == t.head && h.size > 0 {
		return h, nil
	}
	var signed []byte
	err = q.QueryRow("SELECT signed FROM trail_checkpoints ORDER BY size DESC LIMIT 1").Scan(&signed)
	if errors.Is(err, sql.ErrNoRows) && h.size == 0 {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("trail: the last checkpoint: %w", err)
	}
	c, err := t.verifier.Open(signed)
	if err != nil {
		return h, fmt.Errorf("trail: the last checkpoint: %w", err)
	}
	root, err := ledger.Root(h.size, stored{q})
	if err != nil {
		return h, err
	}
	if c.Size != h.size || c.Root != root {
		return h, fmt.Errorf("trail: the log has %d leaves, and its last checkpoint, over %d, does not sign them; run fsck", h.size, c.Size)
	}
	return h, nil
}

// Checkpoint returns the newest signed tree head, or nil before the first seal.
// A copy kept elsewhere is what proves that the log's end was not cut off.
func (t *Trail) Checkpoint(ctx context.Context) ([]byte, error) {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	var signed []byte
	err = n.QueryRow("SELECT signed FROM trail_checkpoints ORDER BY size DESC LIMIT 1").Scan(&signed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return signed, err
}

// row is a stored record.
type row struct {
	seq, time int64
	account   string
	event     []byte
}

func scanRow(rows *store.Rows) (r row, err error) {
	return r, rows.Scan(&r.seq, &r.time, &r.account, &r.event)
}

// readRows reads up to limit records after one sequence number, up to another.
func readRows(q store.Querier, after, last int64, limit int) ([]row, error) {
	return store.Collect(q, scanRow, `SELECT seq, time, account, event FROM trail_records
		WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`, after, last, limit)
}
