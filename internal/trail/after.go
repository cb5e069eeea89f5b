package trail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"bawn.dev/internal/store"
)

// A Line is a sealed record as it is stored.
type Line struct {
	Seq     int64
	Account string
	Event   []byte // CloudTrail's JSON, the exact bytes under the leaf's hash
}

// After answers up to limit records of every account whose Seq is greater than from,
// in order. It sees every record that was committed before the call.
func (t *Trail) After(ctx context.Context, from int64, limit int) ([]Line, error) {
	if err := t.Seal(ctx); err != nil {
		return nil, err
	}
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	sealed, err := lastLeaf(n)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rows, err := readRows(n, from, sealed.seq, limit)
	if err != nil {
		return nil, fmt.Errorf("trail: %w", err)
	}
	lines := make([]Line, len(rows))
	for i, r := range rows {
		lines[i] = Line{r.seq, r.account, r.event}
	}
	return lines, nil
}

// Next is when the first record after a Seq happened, sealed or not; zero stands for none.
func (t *Trail) Next(q store.Querier, after int64) (time.Time, error) {
	var micro int64
	err := q.QueryRow("SELECT time FROM trail_records WHERE seq > ? ORDER BY seq LIMIT 1", after).Scan(&micro)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return time.UnixMicro(micro), err
}

// First is the least Seq of a record that q sees.
func (t *Trail) First(q store.Querier) (seq int64, err error) {
	err = q.QueryRow("SELECT COALESCE(MIN(seq), 0) FROM trail_records").Scan(&seq)
	return seq, err
}

// Last is the greatest Seq of a record that q sees, sealed or not.
func (t *Trail) Last(q store.Querier) (seq int64, err error) {
	err = q.QueryRow("SELECT COALESCE(MAX(seq), 0) FROM trail_records").Scan(&seq)
	return seq, err
}
