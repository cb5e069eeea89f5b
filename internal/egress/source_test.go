package egress_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"bawn.dev/internal/egress"
)

// piped is a listener of connections without addresses.
type piped struct {
	net.Listener
	next chan net.Conn
}

func (p piped) Accept() (net.Conn, error) {
	if c, ok := <-p.next; ok {
		return c, nil
	}
	return p.Listener.Accept()
}

// What does not come from an address is nobody's, whatever the decision would be.
func TestNoSource(t *testing.T) {
	r := newRig(t)
	asked := false
	var err error
	r.Proxy, err = egress.New(egress.Config{
		Log: discard, Closed: func(c egress.Connection) { r.closed <- c }, Dial: r.dial, Opened: r.open,
		Refused: func(c egress.Connection, why error) { r.refused <- refusal{c, why} },
		Allow: func(context.Context, netip.Addr, string, uint16) (egress.Grant, error) {
			asked = true
			return egress.Grant{}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l := piped{listen(t), make(chan net.Conn, 1)}
	near, far := net.Pipe()
	defer near.Close()
	l.next <- far
	close(l.next)
	r.ends(func() error { return r.Relay(l, "a.service", 1) })
	if got := <-r.refused; !strings.Contains(got.why.Error(), "where this comes from") || asked {
		t.Errorf("recorded %v", got.why)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("it was served")
	}
	r.untouched("no source")
}
