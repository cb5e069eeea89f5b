package trail

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
)

// batch bounds what one sealing transaction writes, because the hot path waits
// behind it.
const batch = 256

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
	rows, err := storedRows(n, h.seq, last, batch)
	if err != nil {
		return false, err
	}
	t.head = h
	if len(rows) == 0 {
		return true, nil
	}

	tree := ledger.NewBuilder(h.size, t.peaks.over(nodes{n}))
	var leaves []any
	next := h
	for i := range rows {
		r := &rows[i]
		if !t.authors.wrote(*r) {
			return false, &Foreign{r.seq}
		}
		was := t.recent.take(r.event)
		hash := was.leaf
		if err := tree.Add(hash); err != nil {
			return false, err
		}
		r.terms = was.terms
		if i > 0 && r.seq == next.seq+1 {
			run := leaves[len(leaves)-1].([]byte)
			leaves[len(leaves)-1] = append(run, hash[:]...)
		} else {
			leaves = append(leaves, next.size, r.seq, append([]byte(nil), hash[:]...))
		}
		next = head{next.size + 1, r.seq}
	}
	hashes := make([]byte, 0, hashSize*len(tree.New))
	for _, hash := range tree.New {
		hashes = append(hashes, hash[:]...)
	}
	terms := indexed(rows)
	above := peaks{}
	root, err := above.of(next.size, tree)
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
		var newest []byte
		err := tx.QueryRow("SELECT size, signed FROM trail_checkpoints ORDER BY size DESC LIMIT 1").Scan(&size, &newest)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if size != h.size {
			return errOvertaken
		}
		if !bytes.Equal(newest, t.signed) {
			return fmt.Errorf("trail: the checkpoint over %d leaves is not the one that was signed; run fsck", size)
		}
		for _, rows := range []struct {
			into    string
			columns int
			args    []any
		}{
			{"trail_leaves (leaf, seq, hash)", 3, leaves},
			{"trail_hashes (idx, hash)", 2, []any{tree.First, hashes}},
			{"trail_terms (account, term, time, seq, more)", 5, terms},
			{"trail_checkpoints (size, signed)", 2, []any{next.size, signed}},
		} {
			if err := tx.Insert(rows.into, rows.columns, rows.args); err != nil {
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
	t.head, t.peaks, t.signed = next, above, signed
	return len(rows) < batch, nil
}

// peaks are the nodes that the tree goes on from: those that its root was made of.
type peaks map[int64]ledger.Hash

// of reads a tree's root and keeps what it was made of.
func (p peaks) of(size int64, tree ledger.Hashes) (ledger.Hash, error) {
	return ledger.Root(size, reading(func(indexes []int64) ([]ledger.Hash, error) {
		hashes, err := tree.ReadHashes(indexes)
		for i := range hashes {
			p[indexes[i]] = hashes[i]
		}
		return hashes, err
	}))
}

// over answers from memory what it can.
func (p peaks) over(tree ledger.Hashes) ledger.Hashes {
	return reading(func(indexes []int64) ([]ledger.Hash, error) {
		hashes := make([]ledger.Hash, len(indexes))
		for i, index := range indexes {
			h, ok := p[index]
			if !ok {
				return tree.ReadHashes(indexes)
			}
			hashes[i] = h
		}
		return hashes, nil
	})
}

type reading func([]int64) ([]ledger.Hash, error)

// ReadHashes reads nodes by their index.
func (f reading) ReadHashes(indexes []int64) ([]ledger.Hash, error) { return f(indexes) }

// readHead reads how far the log is sealed. It refuses to continue a log whose
// stored tree is not the one that was signed: the next checkpoint would make an
// alteration look right.
func (t *Trail) readHead(q store.Querier) (head, error) {
	h, err := lastLeaf(q)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return h, err
	}
	if h == t.head && h.size > 0 {
		return h, nil
	}
	t.peaks, t.signed = nil, nil // another copy's work, or what was there at the start
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
	root, err := ledger.Root(h.size, nodes{q})
	if err != nil {
		return h, err
	}
	if c.Size != h.size || c.Root != root {
		return h, fmt.Errorf("trail: the log has %d leaves, and its last checkpoint, over %d, does not sign them; run fsck", h.size, c.Size)
	}
	t.signed = signed
	return h, nil
}

// lastLeaf is how far the stored leaves go; without any it is sql.ErrNoRows.
func lastLeaf(q store.Querier) (h head, err error) {
	var leaf, first, bytes int64
	if err := q.QueryRow("SELECT leaf, seq, length(hash) FROM trail_leaves ORDER BY leaf DESC LIMIT 1").Scan(&leaf, &first, &bytes); err != nil {
		return h, err
	}
	n := max(1, bytes/int64(hashSize))
	return head{leaf + n, first + n - 1}, nil
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
	mac       []byte   // what it was stored with: see mac.go
	terms     []string // once it is being sealed or verified
	leaf      int64    // likewise, verified
}

const rowColumns = "seq, time, account, event, mac"

// scanRow reads a record with its event.
func scanRow(rows *store.Rows) (row, error) {
	r, err := scanStored(rows)
	r.event = expanded(r.event)
	return r, err
}

// scanStored reads a record with its event as it is stored.
func scanStored(rows *store.Rows) (r row, err error) {
	return r, rows.Scan(&r.seq, &r.time, &r.account, &r.event, &r.mac)
}

// readRows reads up to limit records after one sequence number, up to another.
func readRows(q store.Querier, after, last int64, limit int) ([]row, error) {
	return rowsBy(scanRow, q, after, last, limit)
}

func storedRows(q store.Querier, after, last int64, limit int) ([]row, error) {
	return rowsBy(scanStored, q, after, last, limit)
}

func rowsBy(scan func(*store.Rows) (row, error), q store.Querier, after, last int64, limit int) ([]row, error) {
	return store.Collect(q, scan, `SELECT `+rowColumns+` FROM trail_records
		WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`, after, last, limit)
}
