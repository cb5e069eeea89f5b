package iam

import (
	"slices"
	"sync"
)

// A cache keeps the newest known value of each id together with the version keys
// that it was made from and their versions then. It never answers by itself: the
// caller's snapshot says whether the versions still stand. It is bounded; when it
// is full, an arbitrary entry makes room.
type cache[V any] struct {
	mu    sync.RWMutex
	limit int
	items map[string]*cached[V]
}

type cached[V any] struct {
	value    V
	keys     []string
	versions []int64
}

func newCache[V any](limit int) *cache[V] {
	return &cache[V]{limit: limit, items: map[string]*cached[V]{}}
}

// versioned is the part of a snapshot that says what is current.
type versioned interface {
	Versions(keys ...string) ([]int64, error)
}

// get answers the value of id if it was made from what the snapshot sees. It
// costs one look-up of versions, or none where there is nothing under id.
func (c *cache[V]) get(sn versioned, id string) (value V, ok bool, err error) {
	item := c.peek(id)
	if item == nil {
		return value, false, nil
	}
	now, err := sn.Versions(item.keys...)
	if err != nil || !slices.Equal(now, item.versions) {
		return value, false, err
	}
	return item.value, true, nil
}

// put keeps a value that was made on a snapshot from the given keys.
func (c *cache[V]) put(sn versioned, id string, value V, keys ...string) error {
	versions, err := sn.Versions(keys...)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[id]; !ok && len(c.items) >= c.limit {
		for other := range c.items {
			delete(c.items, other)
			break
		}
	}
	c.items[id] = &cached[V]{value, keys, versions}
	return nil
}

func (c *cache[V]) peek(id string) *cached[V] {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.items[id]
}
