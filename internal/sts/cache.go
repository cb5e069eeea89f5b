package sts

import "sync"

// A cache keeps opened tokens by the digest of key id and token. What a token says
// never changes, so nothing here can be out of date; expiry is judged on each use.
// It is bounded; when it is full, an arbitrary entry makes room.
type cache struct {
	mu    sync.RWMutex
	items map[[32]byte]*session
}

const cachedSessions = 4096

func newCache() *cache { return &cache{items: map[[32]byte]*session{}} }

func (c *cache) get(digest [32]byte) *session {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.items[digest]
}

func (c *cache) put(digest [32]byte, s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.items) >= cachedSessions {
		for other := range c.items {
			delete(c.items, other)
			break
		}
	}
	c.items[digest] = s
}
