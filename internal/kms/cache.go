package kms

import "sync"

// A cache keeps the newest known value of each key with the version that it was
// read at. A caller asks for a version that her snapshot told her: an older or
// newer value is never answered. It is bounded; when full, an arbitrary entry
// makes room.
type cache[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	items map[K]versioned[V]
	evict func(V) // may be nil; called with what leaves the cache
}

type versioned[V any] struct {
	version int64
	value   V
}

func newCache[K comparable, V any](limit int, evict func(V)) *cache[K, V] {
	return &cache[K, V]{max: limit, items: make(map[K]versioned[V]), evict: evict}
}

func (c *cache[K, V]) get(key K, version int64) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.items[key]; ok && i.version == version {
		return i.value, true
	}
	var none V
	return none, false
}

// put adds a value and answers the one that is kept: where others fetched the same
// version at the same time, that is the first.
func (c *cache[K, V]) put(key K, version int64, value V) V {
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
	c.items[key] = versioned[V]{version, value}
	return value
}

func (c *cache[K, V]) drop(key K, value V) {
	delete(c.items, key)
	if c.evict != nil {
		c.evict(value)
	}
}
