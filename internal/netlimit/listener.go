// Package netlimit bounds the connections that a listener holds open, of one peer and
// in all: whoever opens connections and says nothing takes no more than her share of
// the server's descriptors and memory.
//
// It trusts the addresses that the kernel gives. Who controls many addresses is
// bounded by the total alone. IPv6 peers are counted by their /64, which is what one
// machine is given.
package netlimit

import (
	"errors"
	"net"
	"net/netip"
	"sync"
)

// Limits say how many connections may be open at once. Both are needed.
type Limits struct {
	PerSource, Total int
}

// Listen wraps a listener. What exceeds the limits is closed at once.
func Listen(l net.Listener, limits Limits) net.Listener {
	return &bounded{Listener: l, limits: limits, open: map[netip.Prefix]int{}}
}

type bounded struct {
	net.Listener
	limits Limits

	mu    sync.Mutex
	total int
	open  map[netip.Prefix]int
}

// Accept implements [net.Listener].
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := source(c.RemoteAddr())
		if b.enter(from) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { b.leave(from) })}, nil
		}
		c.Close()
	}
}

func (b *bounded) enter(from netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total >= b.limits.Total || b.open[from] >= b.limits.PerSource {
		return false
	}
	b.total++
	b.open[from]++
	return true
}

func (b *bounded) leave(from netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total--
	if b.open[from]--; b.open[from] == 0 {
		delete(b.open, from)
	}
}

// source is what a peer is counted under.
func source(addr net.Addr) netip.Prefix {
	a, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	from := a.AddrPort().Addr().Unmap()
	bits := 32
	if from.Is6() {
		bits = 64
	}
	p, err := from.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
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

// CloseWrite says to the peer that no more comes, where the connection can say so.
func (c *counted) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}
