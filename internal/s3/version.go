package s3

import (
	"context"
	"time"

	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// A slot is a key of a bucket in a transaction that changes what is there. What it
// throws away has its bytes deleted after the commit.
type slot struct {
	s      *Service
	ctx    context.Context
	tx     *store.Tx
	bucket *bucket // as the transaction sees it
	key    string
}

// slot opens a key for change. The bucket must be the one that the decision saw:
// id is that one's.
func (s *Service) slot(ctx context.Context, tx *store.Tx, bucket, id, key string) (*slot, error) {
	b, err := bucketNow(tx, bucket, id)
	if err != nil {
		return nil, err
	}
	return &slot{s: s, ctx: ctx, tx: tx, bucket: b, key: key}, nil
}

// bucketNow reads a bucket in a transaction, if it still is the one with this id.
func bucketNow(tx *store.Tx, name, id string) (*bucket, error) {
	b, err := bucketRow(tx, name)
	if err == nil && (b == nil || b.id != id) {
		return nil, fail(409, "OperationAborted", "A conflicting conditional operation is currently in progress against this resource. Please try again.")
	}
	return b, err
}

// now is the newest version, or nil if there is none or the key is deleted.
func (l *slot) now() (*object, error) { return objectRow(l.tx, l.bucket.name, l.key) }

// put makes o the newest version and gives it its version's id.
func (l *slot) put(o *object, now time.Time) error {
	o.seq = max(o.seq, now.UnixMicro())
	old, err := l.makeRoom(o, now)
	if err != nil {
		return err
	}
	l.name(o, old)
	return insertObject(l.tx, l.bucket.name, l.key, o)
}

// mark makes a delete marker the newest version. In a bucket that never kept
// versions it deletes, and answers nil.
func (l *slot) mark(now time.Time) (*object, error) {
	m := &object{marker: true, modified: now.UTC().Truncate(time.Second), seq: now.UnixMicro(), dataKey: []byte{}, proof: []byte{}}
	old, err := l.makeRoom(m, now)
	if err != nil || l.bucket.versioning == "" {
		return nil, err
	}
	l.name(m, old)
	return m, insertVersion(l.tx, l.bucket.name, l.key, m)
}

// name gives a version that comes after old, the newest there was, its place in the
// order and its id.
func (l *slot) name(o, old *object) {
	if old != nil {
		o.seq = max(o.seq, old.seq+1)
	}
	o.version, o.versioned = nullVersion, l.bucket.versioning != ""
	if l.bucket.versioning == s3.BucketVersioningStatusEnabled {
		o.version = versionID(o.seq)
	}
}

// makeRoom takes the newest version out of the way of the next one: where versions
// are kept it is hidden, else it goes; so does an older one that has the id of the
// next. It answers the newest there was, with a place in the order for the next.
func (l *slot) makeRoom(next *object, at time.Time) (newest *object, err error) {
	next.seq = max(next.seq, next.modified.UnixMicro())
	now, err := l.now()
	if err != nil {
		return nil, err
	}
	if newest = now; newest == nil && l.bucket.versioning != "" {
		if newest, err = hiddenRow(l.tx, l.bucket.name, l.key); err != nil {
			return nil, err
		}
	}
	if l.bucket.versioning != s3.BucketVersioningStatusEnabled {
		null, err := versionRow(l.tx, l.bucket.name, l.key, nullVersion)
		if err != nil {
			return nil, err
		}
		if null != nil {
			if err := null.held(at, false); err != nil {
				return nil, err
			}
			if err := l.discard(null, now); err != nil {
				return nil, err
			}
			if now != nil && now.version == nullVersion {
				return newest, nil
			}
		}
	}
	if now != nil {
		return newest, hide(l.tx, l.bucket.name, l.key, now)
	}
	return newest, nil
}

// discard deletes a version's row and, after the commit, its bytes. now is the
// newest version.
func (l *slot) discard(o, now *object) error {
	var err error
	if now != nil && now.seq == o.seq {
		err = deleteObjectRow(l.tx, l.bucket.name, l.key)
	} else {
		err = deleteVersionRow(l.tx, l.bucket.name, l.key, o.seq)
	}
	if err != nil {
		return err
	}
	return l.s.dropContent(l.ctx, l.tx, o)
}

// remove deletes one version for good. What is then the newest is shown again,
// unless it is a marker. A version that is not there is nil.
func (l *slot) remove(version string, at time.Time, bypass bool) (*object, error) {
	o, err := versionRow(l.tx, l.bucket.name, l.key, version)
	if err != nil || o == nil {
		return nil, err
	}
	if err := o.held(at, bypass); err != nil {
		return nil, err
	}
	now, err := l.now()
	if err != nil {
		return nil, err
	}
	if err := l.discard(o, now); err != nil {
		return nil, err
	}
	if now != nil && now.seq != o.seq {
		return o, nil
	}
	next, err := hiddenRow(l.tx, l.bucket.name, l.key)
	if err != nil || next == nil || next.marker {
		return o, err
	}
	return o, show(l.tx, l.bucket.name, l.key, next)
}

// dropContent deletes an object's bytes once the transaction has committed.
func (s *Service) dropContent(ctx context.Context, tx *store.Tx, o *object) error {
	if o.upload != "" {
		return s.dropParts(ctx, tx, o.upload)
	}
	if o.ref != "" {
		tx.AfterCommit(func() { s.drop(ctx, o.ref) })
	}
	return nil
}
