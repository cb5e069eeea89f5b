package s3

import (
	"context"
	"time"

	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// versions ends hidden versions whose time is over, and delete markers behind which
// nothing is left.
func (k *keeper) versions(ctx context.Context, prefix string) error {
	read := func(sn *store.Snapshot, from, end []byte) ([]string, error) {
		return store.Collect(sn, scanKey, "SELECT DISTINCT key FROM s3_versions WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?", k.bucket.name, from, end, page)
	}
	return walk(ctx, k, prefix, read, func(key string) string { return key }, func(keys []string) error {
		for _, key := range keys {
			if err := k.history(ctx, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// history ends what is due of one key, from the oldest version on: each that goes
// leaves the time since which older ones are hidden as it is.
func (k *keeper) history(ctx context.Context, key string) error {
	for from := int64(0); ctx.Err() == nil; {
		now := k.door.Now()
		sn, err := k.door.Store.Snapshot(ctx)
		if err != nil {
			return err
		}
		due, next, err := k.dueVersions(sn, key, from, now)
		sn.Close()
		if err == nil {
			err = k.end(ctx, "ExpireObjectVersion", due, func(tx *store.Tx, e *ending) (bool, error) { return k.remove(ctx, tx, e, now) })
		}
		if err != nil || next == 0 {
			return err
		}
		from = next
	}
	return ctx.Err()
}

// dueVersions finds what is due in a page of a key's hidden versions, and where the
// next page begins; 0: there is none.
func (k *keeper) dueVersions(sn *store.Snapshot, key string, from int64, now time.Time) (due []ending, next int64, err error) {
	some, err := store.Collect(sn, func(r *store.Rows) (o object, err error) { return o, o.scan(r, &o.marker) },
		"SELECT marker, "+objectColumns+" FROM s3_versions WHERE bucket = ? AND key = ? AND seq >= ? ORDER BY seq LIMIT ?", k.bucket.name, []byte(key), from, page)
	if err != nil {
		return nil, 0, err
	}
	for i := range some {
		o := &some[i]
		if o.held(now, false) != nil || !k.rules.mayEnd(key, o, now) {
			continue
		}
		v, err := k.judge(sn, key, o)
		if err != nil {
			return nil, 0, err
		}
		if v.due(now) {
			due = append(due, ending{Key: key, Version: o.version, Rule: v.rule})
		}
	}
	if len(some) == page {
		next = some[page-1].seq + 1
	}
	return due, next, nil
}

// judge says when a version goes that is not in s3_objects: one that is hidden, or a
// delete marker that is the newest.
func (k *keeper) judge(q store.Querier, key string, o *object) (verdict, error) {
	const most = 102 // rules keep 100 at most, and the newest may be among these
	newer, err := cameAfter(q, k.bucket.name, key, o.seq, most)
	if err != nil {
		return verdict{}, err
	}
	newest, err := objectRow(q, k.bucket.name, key)
	if err != nil {
		return verdict{}, err
	}
	switch {
	case newest != nil && len(newer) == 0:
		return k.rules.hidden(key, o, newest.came(), 0), nil
	case newest != nil:
		return k.rules.hidden(key, o, newer[0], len(newer)), nil
	case len(newer) > 0: // the newest is a marker, and one of these
		return k.rules.hidden(key, o, newer[0], len(newer)-1), nil
	case !o.marker:
		return verdict{}, nil
	}
	var others int
	err = q.QueryRow("SELECT COUNT(*) FROM (SELECT seq FROM s3_versions WHERE bucket = ? AND key = ? LIMIT 2) AS two", k.bucket.name, []byte(key)).Scan(&others)
	if err != nil || others > 1 {
		return verdict{}, err
	}
	return k.rules.orphan(key, o), nil
}

// came is when a version became the newest. One in parts is modified, as with AWS, when
// its upload began, which whoever may write can put weeks into the past.
func (o *object) came() time.Time {
	if at := time.UnixMicro(o.seq).UTC().Truncate(time.Second); at.After(o.modified) {
		return at
	}
	return o.modified
}

// cameAfter tells when the versions came that are hidden and newer than one, the
// oldest first.
func cameAfter(q store.Querier, bucket, key string, seq int64, most int) ([]time.Time, error) {
	return store.Collect(q, func(r *store.Rows) (time.Time, error) {
		var o object
		var modified int64
		err := r.Scan(&modified, &o.seq)
		o.modified = time.UnixMicro(modified).UTC()
		return o.came(), err
	}, "SELECT modified, seq FROM s3_versions WHERE bucket = ? AND key = ? AND seq > ? ORDER BY seq LIMIT ?", bucket, []byte(key), seq, most)
}

// remove ends a version if it is due.
func (k *keeper) remove(ctx context.Context, tx *store.Tx, e *ending, now time.Time) (bool, error) {
	l, err := k.slot(ctx, tx, e.Key)
	if err != nil {
		return false, err
	}
	current, err := l.now()
	if err != nil || current != nil && current.version == e.Version {
		return false, err
	}
	o, err := versionRow(tx, k.bucket.name, e.Key, e.Version)
	if err != nil || o == nil || o.held(now, false) != nil {
		return false, err
	}
	v, err := k.judge(tx, e.Key, o)
	if err != nil || !v.due(now) {
		return false, err
	}
	_, err = l.remove(e.Version, now, false)
	return err == nil, err
}

// A started upload is one that has not been completed.
type startedUpload struct {
	id      string
	started time.Time
}

// uploads aborts uploads that were not completed in time.
func (k *keeper) uploads(ctx context.Context, prefix string) error {
	if !k.rules.has(func(r *s3.LifecycleRule) bool { return r.AbortIncompleteMultipartUpload != nil }) {
		return nil
	}
	read := func(sn *store.Snapshot, from, end []byte) ([]string, error) {
		return store.Collect(sn, scanKey, "SELECT DISTINCT key FROM s3_uploads WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?", k.bucket.name, from, end, page)
	}
	return walk(ctx, k, prefix, read, func(key string) string { return key }, func(keys []string) error {
		for _, key := range keys {
			due, err := k.dueUploads(ctx, key)
			if err != nil {
				return err
			}
			for i := range due { // one by one: each may have thousands of parts
				if err := k.end(ctx, "AbortIncompleteMultipartUpload", due[i:i+1], k.abort(ctx)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (k *keeper) abort(ctx context.Context) func(*store.Tx, *ending) (bool, error) {
	return func(tx *store.Tx, e *ending) (bool, error) {
		did, err := deleteUpload(tx, k.bucket.name, e.Key, e.Upload)
		if err != nil || !did {
			return false, err
		}
		return true, k.s.dropParts(ctx, tx, e.Upload)
	}
}

// dueUploads finds the uploads of a key whose time is over.
func (k *keeper) dueUploads(ctx context.Context, key string) (due []ending, err error) {
	sn, err := k.door.Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	all, err := store.Collect(sn, func(r *store.Rows) (u startedUpload, err error) {
		var started int64
		err = r.Scan(&u.id, &started)
		u.started = time.UnixMicro(started)
		return u, err
	}, "SELECT id, started FROM s3_uploads WHERE bucket = ? AND key = ? AND bucket_id = ?", k.bucket.name, []byte(key), k.bucket.id)
	for _, u := range all {
		if v := k.rules.upload(key, u.started); v.due(k.door.Now()) {
			due = append(due, ending{Key: key, Upload: u.id, Rule: v.rule})
		}
	}
	return due, err
}
