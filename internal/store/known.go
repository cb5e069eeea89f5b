package store

import (
	"database/sql"
	"errors"
	"maps"
	"slices"
	"sync"
)

// maxKnown bounds the versions that are kept in memory.
const maxKnown = 1 << 16

// known is what this process knows of the embedded database's versions: it is the
// only one that changes them, so a version that stands here is the current one, and
// a look-up needs no query. A key that does not stand here may have any version.
type known struct {
	// commits is held by the writer while it commits what touches keys, and shared by
	// whoever opens a view: between the two, view and memory are of one moment.
	commits sync.RWMutex

	mu       sync.RWMutex
	at       int64 // the last version that is committed
	versions map[string]int64
}

// get answers a key's current version.
func (k *known) get(key string) (int64, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	v, ok := k.versions[key]
	return v, ok
}

// now is the last version of all.
func (k *known) now() int64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.at
}

// tell answers the version of a key as a snapshot sees it, if that is known. What
// changed after a snapshot began of which no row was read yet moves it on, for it may
// as well begin now, if nothing else that it told has changed: else ErrChanged.
func (k *known) tell(n *Snapshot, key string) (version int64, ok bool, err error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	version, ok = k.versions[key]
	if !ok || version <= n.at {
		return version, ok, nil
	}
	if n.conn != nil {
		return 0, false, nil
	}
	for dep, want := range n.deps {
		if v, ok := k.versions[dep]; !ok || v != want {
			return 0, false, ErrChanged
		}
	}
	n.at = k.at
	return version, true, nil
}

// learn keeps what a view of one moment said, unless something was committed since.
func (k *known) learn(key string, version, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at == at {
		k.put(key, version)
	}
}

// committed makes a group's versions the current ones.
func (k *known) committed(touched map[string]int64, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, version := range touched {
		k.put(key, version)
	}
	k.at = at
}

func (k *known) put(key string, version int64) {
	if _, ok := k.versions[key]; !ok && len(k.versions) >= maxKnown {
		for other := range k.versions {
			delete(k.versions, other)
			break
		}
	}
	k.versions[key] = version
}

// open gives an embedded snapshot its view of the rows. What it told of versions
// before must still be so then: else ErrChanged.
func (n *Snapshot) open() error {
	c, err := n.store.begin(n.ctx, "BEGIN")
	if err != nil {
		return err
	}
	view := &Snapshot{store: n.store, conn: c, ctx: n.ctx, deps: make(Dependencies, len(n.deps))}
	k := &n.store.known
	k.commits.RLock()
	view.at = k.now()
	err = pin(view)
	k.commits.RUnlock()
	if err == nil && view.at != n.at {
		err = readVersions(view, view.deps, slices.Collect(maps.Keys(n.deps)), "")
		if err == nil && !maps.Equal(view.deps, n.deps) {
			err = ErrChanged
		}
	}
	if err != nil {
		return errors.Join(err, view.Close())
	}
	n.conn, n.at = c, view.at
	return nil
}

// pin makes a view that of this moment: SQLite waits for the first row that is asked
// for.
func pin(n *Snapshot) error {
	var one int
	err := n.QueryRow("SELECT 1 FROM schema_migrations LIMIT 1").Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// look fills deps with the versions of the keys that it lacks, from memory where it
// can.
func (n *Snapshot) look(keys []string) error {
	var unknown []string
	for _, key := range keys {
		if _, ok := n.deps[key]; ok {
			continue
		}
		if n.closed {
			return ErrDone
		}
		if n.conn == nil && !n.lazy {
			if err := n.open(); err != nil {
				return err
			}
		}
		v, ok, err := n.store.known.tell(n, key)
		if err != nil {
			return err
		}
		if ok {
			n.deps[key] = v
		} else {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	if n.conn == nil {
		if err := n.open(); err != nil {
			return err
		}
	}
	if err := n.forget(readVersions(n, n.deps, unknown, ""), unknown...); err != nil {
		return err
	}
	for _, key := range unknown {
		n.store.known.learn(key, n.deps[key], n.at)
	}
	return nil
}

// current answers the versions that keys have for a change that is being made: its
// own touches, those of its group, and what is committed.
func (t *Tx) current(now Dependencies, keys []string) error {
	var unknown []string
	for _, key := range keys {
		if v, ok := t.touched[key]; ok {
			now[key] = v
		} else if v, ok := t.store.writer.touched[key]; ok {
			now[key] = v
		} else if v, ok := t.store.known.get(key); ok {
			now[key] = v
		} else {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return readVersions(t, now, unknown, "")
}
