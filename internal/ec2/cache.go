package ec2

import "sync"

// A cache keeps the newest known value of each id with the version that it was read
// at; another version is never answered. When full, an arbitrary entry makes room.
type cache[V any] struct {
	mu    sync.Mutex
	max   int
	items map[string]versioned[V]
}

type versioned[V any] struct {
	version int64
	value   V
}

func newCache[V any](limit int) *cache[V] {
	return &cache[V]{max: limit, items: map[string]versioned[V]{}}
}

func (c *cache[V]) get(id string, version int64) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.items[id]; ok && i.version == version {
		return i.value, true
	}
	var none V
	return none, false
}

func (c *cache[V]) put(id string, version int64, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[id]; !ok && len(c.items) >= c.max {
		for k := range c.items {
			delete(c.items, k)
			break
		}
	}
	c.items[id] = versioned[V]{version, value}
}
