package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bawn.dev/internal/egress"
	"bawn.dev/internal/netmodel"
)

// A deafHost is a machine that obeys nothing but removals.
type deafHost struct{ networkHost }

var errDeaf = errors.New("the machine does not answer")

func (deafHost) ApplyVPC(context.Context, *netmodel.VPC) error { return errDeaf }
func (deafHost) VPCs(context.Context) ([]string, error)        { return nil, errDeaf }
func (deafHost) RemoveVPC(context.Context, string) error       { return nil }

// heldOpen is a VPC with one connection through a proxy, as long as it is admitted.
type heldOpen struct {
	*places
	client  net.Conn
	refuse  atomic.Bool
	record  chan struct{} // the record of an end waits for this, if it is not nil
	written atomic.Bool
}

func holdOpen(t *testing.T, record chan struct{}) *heldOpen {
	t.Helper()
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	go func() {
		for {
			c, err := far.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	h := &heldOpen{record: record}
	proxy, err := egress.New(egress.Config{
		Allow: func(context.Context, netip.Addr, string, uint16) (egress.Grant, error) {
			if h.refuse.Load() {
				return egress.Grant{}, &egress.Denied{}
			}
			return egress.Grant{}, nil
		},
		Dial: func(context.Context, string, uint16) (net.Conn, netip.Addr, error) {
			c, err := net.Dial("tcp", far.Addr().String())
			return c, netip.MustParseAddr("192.0.2.1"), err
		},
		Opened: func(context.Context, egress.Connection) error { return nil },
		Closed: func(egress.Connection) {
			if h.record != nil {
				<-h.record
			}
			h.written.Store(true)
		},
		Refused: func(egress.Connection, error) {},
		Log:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go proxy.Relay(near, "far", 1)
	h.places = &places{
		host: deafHost{}, log: slog.New(slog.DiscardHandler),
		vpcs: map[string]*place{"vpc-1": {proxies: map[string]*egress.Proxy{"nat-1": proxy}}},
	}
	if h.client, err = net.Dial("tcp", near.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.client.Close() })
	h.client.SetDeadline(time.Now().Add(time.Minute)) // for a test that fails
	if _, err := h.client.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(h.client, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return h
}

// What a change forbids ends, though the machine obeys no change: its description of
// a VPC may be one that it refuses, or it is down.
func TestOpenConnectionsObeyWhatTheMachineDoesNot(t *testing.T) {
	for name, change := range map[string]func(*places) error{
		"the machine refuses the VPC": func(p *places) error { return p.ApplyVPC(t.Context(), &netmodel.VPC{ID: "vpc-1"}) },
		"the machine is down":         func(p *places) error { _, err := p.VPCs(t.Context()); return err },
	} {
		t.Run(name, func(t *testing.T) {
			h := holdOpen(t, nil)
			defer h.close()
			h.refuse.Store(true)
			if err := change(h.places); !errors.Is(err, errDeaf) {
				t.Fatal(err)
			}
			if n, err := h.client.Read(make([]byte, 1)); err == nil || isTimeout(err) {
				t.Errorf("after a change that forbids it a connection reads %d bytes, %v", n, err)
			}
		})
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// That the record is slow holds no other network up, and is waited for at the end.
func TestRemovalWaitsForNoRecord(t *testing.T) {
	h := holdOpen(t, make(chan struct{}))
	if err := h.RemoveVPC(t.Context(), "vpc-1"); err != nil {
		t.Fatal(err)
	}
	if h.written.Load() {
		t.Fatal("the end was recorded already")
	}
	close(h.record)
	h.close()
	if !h.written.Load() {
		t.Error("close returns before the end of a connection is recorded")
	}
}

// The consumer of an endpoint service reads in her record that it did not answer, and
// not where the provider has it.
func TestRefusalsNameNothingOfTheProvider(t *testing.T) {
	w := &ways{server: &Server{log: slog.New(slog.DiscardHandler)}}
	why := fmt.Errorf("%w: %w", egress.ErrDial, errors.New("dial tcp 10.77.0.5:5432: connect: connection refused"))
	if said := w.reason(egress.Connection{Kind: egress.Relay}, why); said == "" || strings.Contains(said, "10.77") {
		t.Errorf("the consumer hears %q", said)
	}
	if said := w.reason(egress.Connection{Kind: egress.TLS}, why); !strings.Contains(said, "10.77") {
		t.Errorf("who asked for a name hears only %q", said)
	}
}
