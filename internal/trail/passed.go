package trail

import (
	"context"
	"slices"
	"time"

	"bawn.dev/internal/store"
)

// Passed goes back from a time until the record bears out that so long passed: a time in
// which nothing was recorded, in any account, counts as quiet at most. So a clock that
// jumps ahead makes nothing old but that much. Of a record that does not go back so far it
// gives the zero time.
func (t *Trail) Passed(ctx context.Context, now time.Time, long, quiet time.Duration) (since time.Time, err error) {
	accounts, err := t.Accounts(ctx)
	if err != nil {
		return since, err
	}
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return since, err
	}
	defer n.Close()
	at, left, most := now.UnixMicro(), long.Microseconds(), quiet.Microseconds()
	for {
		oldest, err := recorded(n, accounts, "time >= ? AND time < ? ORDER BY time", at-most, at)
		if err != nil {
			return since, err
		}
		var next, counts int64
		if len(oldest) > 0 {
			next = slices.Min(oldest)
			counts = at - next
		} else {
			newest, err := recorded(n, accounts, "time < ? ORDER BY time DESC", at-most)
			if err != nil || len(newest) == 0 {
				return since, err
			}
			next, counts = slices.Max(newest), most
		}
		if counts >= left {
			return time.UnixMicro(at - left).UTC(), nil
		}
		at, left = next, left-counts
	}
}

// recorded has the time of each account's first record in an order, if there is one. That
// is in the index, to a moment.
func recorded(q store.Querier, accounts []string, order string, args ...any) (times []int64, err error) {
	for _, account := range accounts {
		one, err := store.Collect(q, func(r *store.Rows) (at int64, err error) { return at, r.Scan(&at) },
			"SELECT time FROM trail_terms WHERE account = ? AND term = '' AND "+order+" LIMIT 1", append([]any{account}, args...)...)
		if err != nil {
			return nil, err
		}
		times = append(times, one...)
	}
	return times, nil
}
