// Package cache keeps values that were made from rows, each with the version of the
// rows that it was made from.
//
// It is memory and nothing else. It trusts the version that the caller's snapshot
// told her: what it answers was made from exactly that, so a cache can never serve
// yesterday's policy. Who controls keys can push others' values out, never change
// them.
package cache

import (
	"maps"
	"slices"
	"sync"
)

// A Cache keeps the newest known value of each key with the version that it was
// read at. A caller asks for a version that her snapshot told her: an older or
// newer value is never answered. It is bounded; when full, an arbitrary entry
// makes room.
type Cache[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	items map[K]versioned[V]
	evict func(V) // may be nil; called with what leaves the cache

	heavy   func(K, V) bool // may be nil; of what it says this of, at most few are kept
	few     int
	heavies map[K]struct{}
}

type versioned[V any] struct {
	version int64
	value   V
}

// New makes a cache of at most limit values. evict, which may be nil, is called with
// each value that leaves it.
func New[K comparable, V any](limit int, evict func(V)) *Cache[K, V] {
	return &Cache[K, V]{max: limit, items: make(map[K]versioned[V]), evict: evict}
}

// NewWeighed is New for values of which some take so much memory that at most few of
// them may be kept. heavy says which; it must always say the same of a value.
func NewWeighed[K comparable, V any](limit, few int, heavy func(K, V) bool) *Cache[K, V] {
	c := New[K, V](limit, nil)
	c.heavy, c.few, c.heavies = heavy, few, make(map[K]struct{})
	return c
}

// Get answers the value of a key at a version.
func (c *Cache[K, V]) Get(key K, version int64) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.items[key]; ok && i.version == version {
		return i.value, true
	}
	var none V
	return none, false
}

// Put adds a value and answers the one that is kept: where others fetched the same
// version at the same time, that is the first.
func (c *Cache[K, V]) Put(key K, version int64, value V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, ok := c.items[key]
	switch {
	case ok && old.version == version:
		if c.evict != nil {
			c.evict(value)
		}
		return old.value
	case ok:
		c.drop(key, old.value)
	case len(c.items) >= c.max:
		for k, i := range c.items {
			c.drop(k, i.value)
			break
		}
	}
	c.weigh(key, value)
	c.items[key] = versioned[V]{version, value}
	return value
}

// weigh makes room among the heavy for one more, if the value is that.
func (c *Cache[K, V]) weigh(key K, value V) {
	if c.heavy == nil || !c.heavy(key, value) {
		return
	}
	if len(c.heavies) >= c.few {
		for k := range c.heavies {
			c.drop(k, c.items[k].value)
			break
		}
	}
	c.heavies[key] = struct{}{}
}

// Keys lists the keys of the values that are kept.
func (c *Cache[K, V]) Keys() []K {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.items))
}

// Drop removes the value of a key, of whatever version.
func (c *Cache[K, V]) Drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.items[key]; ok {
		c.drop(key, i.value)
	}
}

func (c *Cache[K, V]) drop(key K, value V) {
	delete(c.items, key)
	delete(c.heavies, key)
	if c.evict != nil {
		c.evict(value)
	}
}
