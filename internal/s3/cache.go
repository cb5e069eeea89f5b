package s3

import "sync"

// A cache keeps the newest known state of buckets with the version that it was
// read at. A caller asks for the version that her snapshot told her. It is
// bounded; when full, an arbitrary entry makes room.
type cache struct {
	mu    sync.Mutex
	max   int
	items map[string]versioned
}

type versioned struct {
	version int64
	bucket  *bucket
}

func newCache(limit int) *cache { return &cache{max: limit, items: make(map[string]versioned)} }

func (c *cache) get(name string, version int64) *bucket {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.items[name]; i.version == version {
		return i.bucket
	}
	return nil
}

func (c *cache) put(name string, version int64, b *bucket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[name]; !ok && len(c.items) >= c.max {
		for other := range c.items {
			delete(c.items, other)
			break
		}
	}
	c.items[name] = versioned{version, b}
}
