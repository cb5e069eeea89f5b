package metadata

import (
	"net"
	"net/netip"
	"sync"
)

// Connections that may be open at once: of one workload, and of all of a VPC's.
const (
	maxPerSource = 32
	maxTotal     = 1024
)

// Bounded wraps the listener that a Handler is served on: a workload that opens
// connections and says nothing takes no more than its share of the server's
// descriptors. What exceeds it is closed at once.
func Bounded(l net.Listener) net.Listener {
	return &bounded{Listener: l, open: map[netip.Addr]int{}}
}

type bounded struct {
	net.Listener
	mu    sync.Mutex
	total int
	open  map[netip.Addr]int
}

// Accept implements [net.Listener].
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		var from netip.Addr
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			from = a.AddrPort().Addr().Unmap()
		}
		if b.enter(from) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { b.leave(from) })}, nil
		}
		c.Close()
	}
}

func (b *bounded) enter(from netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total >= maxTotal || b.open[from] >= maxPerSource {
		return false
	}
	b.total++
	b.open[from]++
	return true
}

func (b *bounded) leave(from netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total--
	if b.open[from]--; b.open[from] == 0 {
		delete(b.open, from)
	}
}

type counted struct {
	net.Conn
	leave func()
}

// Close implements [net.Conn].
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
