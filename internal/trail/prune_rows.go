package trail

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/store"
)

// drop deletes the records under the leaves before one, oldest first, a batch in a
// transaction: the hot path waits for one no longer than for a sealing.
func (t *Trail) drop(ctx context.Context, end int64) (gone int64, err error) {
	at, err := t.oldest(ctx)
	if err != nil {
		return 0, err
	}
	for at < end {
		began := time.Now()
		b, err := t.sealedBatch(ctx, at)
		if err != nil {
			return gone, err
		}
		if b == nil || b.last || b.end > end {
			return gone, fmt.Errorf("leaf %d: %w", at, ErrNotSealed) // no pruning says so
		}
		d, err := b.deletion()
		if err != nil {
			return gone, err
		}
		if err := t.store.Update(ctx, d.do); err != nil {
			return gone, err
		}
		gone, at = gone+d.records, b.end
		if err := rest(ctx, began); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// oldest is the first leaf whose record is there.
func (t *Trail) oldest(ctx context.Context) (int64, error) {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer n.Close()
	var seq int64
	if err := n.QueryRow(`SELECT coalesce(min(seq), 0) FROM trail_records
		WHERE seq >= (SELECT seq FROM trail_leaves ORDER BY leaf LIMIT 1)`).Scan(&seq); err != nil || seq == 0 {
		return 0, err
	}
	leaf, _, err := leafOf(n, seq)
	return leaf, err
}

// A deletion is what goes with a batch.
type deletion struct {
	spans   [][2]int64 // Seqs that follow each other, of leaves only
	records int64
	terms   map[string]map[string]bool // of each account
	oldest  int64
	newest  int64
}

// deletion says what goes with a batch. Of one that is gone already nothing does.
func (b *sealedBatch) deletion() (*deletion, error) {
	d := &deletion{terms: map[string]map[string]bool{}}
	for _, r := range b.rows {
		if n := len(d.spans); n > 0 && d.spans[n-1][1]+1 == r.seq {
			d.spans[n-1][1] = r.seq
		} else {
			d.spans = append(d.spans, [2]int64{r.seq, r.seq})
		}
		if r.record == nil {
			continue
		}
		record, err := b.authentic(r)
		if err != nil {
			return nil, err
		}
		if d.records == 0 {
			d.oldest, d.newest = r.record.time, r.record.time
		}
		d.records++
		d.oldest, d.newest = min(d.oldest, r.record.time), max(d.newest, r.record.time)
		if d.terms[record.Account] == nil {
			d.terms[record.Account] = map[string]bool{}
		}
		for _, term := range record.terms() {
			d.terms[record.Account][term] = true
		}
	}
	return d, nil
}

// termsAtOnce is how many terms one statement is about.
const termsAtOnce = 64

// do deletes. A row of the index holds places of one batch: it goes with that.
func (d *deletion) do(tx *store.Tx) error {
	if d.records == 0 {
		return nil
	}
	for _, s := range d.spans {
		if _, err := tx.Exec("DELETE FROM trail_records WHERE seq >= ? AND seq <= ?", s[0], s[1]); err != nil {
			return err
		}
	}
	query := `DELETE FROM trail_terms WHERE account = ? AND time >= ? AND time <= ? AND seq >= ? AND seq <= ?
		AND term IN (?` + strings.Repeat(",?", termsAtOnce-1) + ")"
	first, last := d.spans[0][0], d.spans[len(d.spans)-1][1]
	for account, terms := range d.terms {
		for some := range slices.Chunk(slices.Sorted(maps.Keys(terms)), termsAtOnce) {
			args := []any{account, d.oldest, d.newest, first, last}
			for i := range termsAtOnce { // one statement for any number
				args = append(args, some[min(i, len(some)-1)])
			}
			if _, err := tx.Exec(query, args...); err != nil {
				return err
			}
		}
	}
	return nil
}
