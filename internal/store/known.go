package store

import (
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

// open gives an embedded snapshot its view of the rows with its first query: SQLite
// fixes it when the first row of a table is read, which the driver does at once. What
// the snapshot told of versions before must still be so then: else ErrChanged.
func (n *Snapshot) open(query string, args []any) (*Rows, error) {
	c, err := n.store.begin(n.ctx, "BEGIN")
	if err != nil {
		return nil, err
	}
	k := &n.store.known
	k.commits.RLock()
	at := k.now()
	rows, err := c.query(n.ctx, query, args)
	k.commits.RUnlock()
	view := &Snapshot{store: n.store, conn: c, ctx: n.ctx, at: at}
	if err == nil && at != n.at && len(n.deps) > 0 {
		if rows, err = nil, rows.Close(); err == nil {
			err = view.holds(n.deps)
		}
		if err == nil {
			rows, err = c.query(n.ctx, query, args)
		}
	}
	if err != nil {
		return nil, errors.Join(err, view.Close())
	}
	n.conn, n.at = c, at
	return rows, nil
}

// holds says ErrChanged unless the view has these versions.
func (n *Snapshot) holds(deps Dependencies) error {
	now := make(Dependencies, len(deps))
	if err := readVersions(n, now, slices.Collect(maps.Keys(deps)), ""); err != nil {
		return err
	}
	if !maps.Equal(now, deps) {
		return ErrChanged
	}
	return nil
}

// look fills deps with the versions of the keys that it lacks, from memory where it
// can. Who needs the rows in any case asks for all of them at once there.
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
			unknown = append(unknown, key)
			continue
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
	found := make(Dependencies, len(unknown))
	if err := readVersions(n, found, unknown, ""); err != nil {
		return err
	}
	for key, version := range found {
		n.deps[key] = version
		n.store.known.learn(key, version, n.at)
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
