package s3

import (
	"context"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// prefixes are those that some rule in force is about, without those that lie below
// another.
func (l lifecycle) prefixes() []string {
	var all []string
	for i := range l {
		if l[i].Status == s3.ExpirationStatusEnabled {
			all = append(all, scopeOf(&l[i]).prefix)
		}
	}
	slices.Sort(all)
	var widest []string
	for _, prefix := range all {
		if n := len(widest); n == 0 || !strings.HasPrefix(prefix, widest[n-1]) {
			widest = append(widest, prefix)
		}
	}
	return widest
}

// walk reads rows in the order of their keys, page by page, each on a snapshot of its
// own so that no long one is held open, and visits each page. at says where a row is;
// the next page begins behind it.
func walk[T any](ctx context.Context, k *keeper, prefix string, read func(sn *store.Snapshot, from, end []byte) ([]T, error), at func(T) string, visit func([]T) error) error {
	from, end := []byte(prefix), behind([]byte(prefix))
	for ctx.Err() == nil {
		sn, err := k.door.Store.Snapshot(ctx)
		if err != nil {
			return err
		}
		rows, err := read(sn, from, end)
		sn.Close()
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := visit(rows); err != nil {
			return err
		}
		from = after(at(rows[len(rows)-1]))
	}
	return ctx.Err()
}

func scanKey(r *store.Rows) (string, error) {
	var key []byte
	err := r.Scan(&key)
	return string(key), err
}

// A keyed object is a row with its key.
type keyed struct {
	key string
	object
}

// objects ends the newest versions that have expired. Where versions are kept a delete
// marker hides them, else they go.
func (k *keeper) objects(ctx context.Context, prefix string) error {
	if !k.rules.has(func(r *s3.LifecycleRule) bool { return r.Expiration != nil }) {
		return nil
	}
	read := func(sn *store.Snapshot, from, end []byte) ([]keyed, error) {
		return store.Collect(sn, func(r *store.Rows) (keyed, error) {
			var o keyed
			var key []byte
			err := o.scan(r, &key)
			o.key = string(key)
			return o, err
		}, "SELECT key, "+objectColumns+" FROM s3_objects WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?", k.bucket.name, from, end, page)
	}
	visit := func(rows []keyed) error {
		now := k.door.Now()
		var due []ending
		for i := range rows {
			if v := k.rules.current(rows[i].key, &rows[i].object); v.due(now) {
				due = append(due, ending{Key: rows[i].key, Version: rows[i].shownVersion(), Rule: v.rule})
			}
		}
		return k.end(ctx, "ExpireObject", due, func(tx *store.Tx, e *ending) (bool, error) { return k.expire(ctx, tx, e, now) })
	}
	return walk(ctx, k, prefix, read, func(o keyed) string { return o.key }, visit)
}

// expire ends the newest version of a key if it is due.
func (k *keeper) expire(ctx context.Context, tx *store.Tx, e *ending, now time.Time) (bool, error) {
	l, err := k.slot(ctx, tx, e.Key)
	if err != nil {
		return false, err
	}
	o, err := l.now()
	if err != nil || o == nil || !k.rules.current(e.Key, o).due(now) {
		return false, err
	}
	m, err := l.mark(now)
	if spared(err) {
		return false, nil
	}
	if m != nil {
		e.Marked = m.version
	}
	return err == nil, err
}
