package host_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/spec"
)

// ward is a VPC with a workload's interface, which anybody may reach, and a dialer.
func ward() *netmodel.VPC {
	all := []netmodel.Rule{{Protocol: netmodel.AllProtocols, CIDR: netip.MustParsePrefix("0.0.0.0/0")}}
	return &netmodel.VPC{
		ID: "vpc-door", Account: "123456789012", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.70.0.0/16")},
		RouteTables:    []netmodel.RouteTable{{ID: "rtb-a"}},
		Subnets:        []netmodel.Subnet{{ID: "subnet-a", CIDR: netip.MustParsePrefix("10.70.0.0/24"), RouteTable: "rtb-a"}},
		SecurityGroups: []netmodel.SecurityGroup{{ID: "sg-open", Ingress: all, Egress: all}},
		Attachments:    []netmodel.Attachment{{ID: "tgw-attach-a", Gateway: "tgw-door"}},
		Dialers:        []netmodel.Dialer{{ID: "eni-dialer", Subnet: "subnet-a", Address: netip.MustParseAddr("10.70.0.9")}},
		Interfaces: []netmodel.Interface{{ID: "eni-door", Subnet: "subnet-a", Address: netip.MustParseAddr("10.70.0.10"),
			Groups: []string{"sg-open"}, Workload: "job", MAC: "02:00:00:00:00:01"}},
	}
}

// inside runs fn in one of the host's namespaces, on a thread that ends with it.
func (d *door) inside(kind string, fn func() error) {
	d.t.Helper()
	paths, err := filepath.Glob(filepath.Join(d.dir, "net", "*."+kind+".*"))
	if err != nil || len(paths) != 1 {
		d.t.Fatalf("%s: %v %v", kind, paths, err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open(paths[0])
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		d.t.Fatal(err)
	}
}

// A connection into a VPC, what its name server is asked and what somebody changed come across the socket, as they are.
func TestNetworksCross(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	v, g := ward(), &netmodel.TransitGateway{ID: "tgw-door", Account: "123456789012"}
	if err := errors.Join(d.ApplyTransit(ctx, g), d.ApplyVPC(ctx, v)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.worker.RemoveVPC(context.Background(), v.ID), d.worker.RemoveTransit(context.Background(), g.ID)); err != nil {
			t.Error(err)
		}
	})
	if ids, err := d.Transits(ctx); err != nil || !slices.Equal(ids, []string{"tgw-door"}) {
		t.Errorf("got %q, %v", ids, err)
	}
	o := d.order("exit", "0")
	o.Spec.Network = spec.Network{Mode: spec.VPC, VPCID: v.ID, Nameserver: v.ResolverAddress(),
		Interface: spec.Interface{ID: "eni-door", SubnetID: "subnet-a", SecurityGroups: []string{"sg-open"}, Address: v.Interfaces[0].Address}}
	if err := d.Prepare(ctx, o); err != nil {
		t.Fatal(err)
	}
	d.dials(t, v)
	d.asks(t, v)
	d.tampers(t, v)
	if err := errors.Join(d.RemoveTransit(ctx, g.ID), d.RemoveTransit(ctx, g.ID)); err != nil {
		t.Error(err)
	}
	if ids, err := d.Transits(ctx); err != nil || len(ids) != 0 {
		t.Errorf("got %q, %v", ids, err)
	}
}

func (d *door) dials(t *testing.T, v *netmodel.VPC) {
	var l net.Listener
	d.inside("ifc", func() (err error) {
		l, err = net.Listen("tcp4", "10.70.0.10:8080")
		return err
	})
	defer l.Close()
	from, to := v.Dialers[0].Address, netip.MustParseAddrPort("10.70.0.10:8080")
	c, err := d.Dial(t.Context(), v.ID, from, to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if at := far.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(); at != from {
		t.Errorf("it comes from %s", at)
	}
	if _, err := io.WriteString(far, "hello"); err != nil {
		t.Fatal(err)
	}
	far.Close()
	if text, err := io.ReadAll(c); err != nil || string(text) != "hello" {
		t.Errorf("heard %q, %v", text, err)
	}
	for what, ask := range map[string]struct {
		vpc, from, to string
		want          error
	}{
		"from elsewhere":  {v.ID, "10.70.0.10", "10.70.0.10:8080", host.ErrInvalid},
		"to the host":     {v.ID, from.String(), "127.0.0.1:22", host.ErrInvalid},
		"to the router":   {v.ID, from.String(), "169.254.169.253:53", host.ErrInvalid},
		"in another VPC":  {"vpc-none", from.String(), "10.70.0.10:8080", host.ErrNotFound},
		"in a bad VPC":    {"../vpc", from.String(), "10.70.0.10:8080", host.ErrNotFound},
		"a closed socket": {v.ID, from.String(), "10.70.0.10:8081", nil},
	} {
		_, err := d.Dial(t.Context(), ask.vpc, netip.MustParseAddr(ask.from), netip.MustParseAddrPort(ask.to))
		if err == nil || ask.want != nil && !errors.Is(err, ask.want) {
			t.Errorf("%s: %v, want %v", what, err, ask.want)
		}
	}
}

func (d *door) asks(t *testing.T, v *netmodel.VPC) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	heard := make(chan fabric.Query, 1)
	ended := make(chan error)
	go func() {
		ended <- d.Queries(ctx, v.ID, func(q fabric.Query) error {
			select {
			case heard <- q:
			default:
			}
			return nil
		})
	}()
	for len(heard) == 0 && ctx.Err() == nil { // until somebody reads
		d.inside("ifc", func() error {
			c, err := net.Dial("udp4", "169.254.169.253:53")
			if err != nil {
				return err
			}
			defer c.Close()
			q := new(dns.Msg).SetQuestion("c2VjcmV0.example.com.", dns.TypeTXT)
			_, _, err = new(dns.Client).ExchangeWithConn(q, &dns.Conn{Conn: c})
			return err
		})
	}
	if q := <-heard; q.Interface != "eni-door" || q.Source.Addr() != v.Interfaces[0].Address || q.Name != "c2VjcmV0.example.com." || q.Type != "TXT" || q.Rcode != "NXDOMAIN" {
		t.Errorf("told %+v", q)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("queries: %v", err)
	}
	if err := d.Queries(t.Context(), "vpc-none", nil); !errors.Is(err, host.ErrNotFound) {
		t.Errorf("queries of nobody: %v", err)
	}
}

func (d *door) tampers(t *testing.T, v *netmodel.VPC) {
	d.inside("vpc", func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	enough := errors.New("enough")
	var told fabric.Event
	err := d.Events(ctx, func(e fabric.Event) error {
		told = e
		return enough
	})
	if !errors.Is(err, enough) || told.Network != v.ID || !strings.Contains(told.What, "ip_forward") || !told.Repaired {
		t.Errorf("told %+v, %v", told, err)
	}
}
