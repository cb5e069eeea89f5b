package trail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Follow calls fn with every sealed record of every account whose Seq is greater
// than from, in order, and then with each new one, until the context ends or fn
// returns an error. A follower that stores the last Seq it handled misses none.
func (t *Trail) Follow(ctx context.Context, from int64, fn func(Entry) error) error {
	return t.followRows(ctx, from, func(rows []row) error {
		for _, r := range rows {
			record, err := UnmarshalEvent(r.event)
			if err != nil {
				return fmt.Errorf("record %d: %w", r.seq, err)
			}
			if err := fn(Entry{r.seq, record, r.event, place{r.time, r.seq}}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Lines is Follow for who wants records as they are stored, some at once.
func (t *Trail) Lines(ctx context.Context, from int64, fn func([]Line) error) error {
	return t.followRows(ctx, from, func(rows []row) error {
		lines := make([]Line, len(rows))
		for i, r := range rows {
			lines[i] = Line{r.seq, r.account, r.event}
		}
		return fn(lines)
	})
}

func (t *Trail) followRows(ctx context.Context, from int64, fn func([]row) error) error {
	for {
		news := t.news()
		next, err := t.follow(ctx, from, fn)
		if err != nil {
			return err
		}
		if next != from {
			from = next
			continue
		}
		// Other copies seal too, and do not announce it here.
		poll := time.NewTimer(time.Second)
		select {
		case <-news:
		case <-poll.C:
		case <-ctx.Done():
			poll.Stop()
			return ctx.Err()
		}
		poll.Stop()
	}
}

// follow handles one batch and returns the last sequence number of it.
func (t *Trail) follow(ctx context.Context, from int64, fn func([]row) error) (int64, error) {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return from, err
	}
	defer n.Close()
	sealed, err := lastLeaf(n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return from, err
	}
	rows, err := readRows(n, from, sealed.seq, batch)
	if err != nil {
		return from, err
	}
	if err := n.Close(); err != nil { // before fn, which may be slow
		return from, err
	}
	if len(rows) == 0 {
		return from, nil
	}
	return rows[len(rows)-1].seq, fn(rows)
}

// news returns a channel that is closed at the next seal.
func (t *Trail) news() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sealed
}

func (t *Trail) announce() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.sealed)
	t.sealed = make(chan struct{})
}
