package fabric

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
)

func loopbackListener(t *testing.T) *fairListener {
	t.Helper()
	inner, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newFairListener(inner)
	t.Cleanup(func() { l.Close() })
	return l
}

// One workload cannot take every connection of the name server.
func TestNameServerSharesConnections(t *testing.T) {
	l := loopbackListener(t)
	a, b := netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("10.0.0.6")
	var conns []net.Conn
	conn := func() net.Conn {
		near, far := net.Pipe()
		conns = append(conns, near, far)
		return near
	}
	for range connsPerSource {
		if !l.enter(conn(), a) {
			t.Fatal("refused too early")
		}
	}
	if l.enter(conn(), a) {
		t.Error("over its share")
	}
	if !l.enter(conn(), b) {
		t.Error("another one's share is gone")
	}
	if l.leave(conns[0]); !l.enter(conn(), a) {
		t.Error("a share does not come back")
	}
	for _, c := range conns {
		l.leave(c)
		c.Close()
	}
	if len(l.open) != 0 {
		t.Errorf("left: %v", l.open)
	}
}

// A client that keeps its connection open cannot hold up the end of the name server.
func TestNameServerEndsWithClients(t *testing.T) {
	l := loopbackListener(t)
	client, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	served, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := served.Read(make([]byte, 1))
		ended <- err
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the server's side: %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client's side: %v", err)
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if l.enter(near, netip.MustParseAddr("10.0.0.5")) {
		t.Error("a connection begins after the end")
	}
}
