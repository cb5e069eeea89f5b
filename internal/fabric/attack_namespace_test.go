package fabric

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// Names of sockets without a file belong to a network namespace: those of the host and of other workloads are not there.
func TestAbstractSocketsAreApart(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	var paths []string
	for _, id := range []string{"eni-train", "eni-open"} {
		path, err := l.Attach(t.Context(), v.ID, *find(t, v, id))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	alone, err := l.AttachIsolated(t.Context(), "job-alone")
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"host": "/proc/self/ns/net", "router": l.path(kindVPC, v.ID), "neighbour": paths[1], "attacker": paths[0], "isolated": alone}
	name := func(at string) string { return fmt.Sprintf("@%s%s", testPrefix, at) }
	for at, path := range places {
		if err := inside(path, func() error {
			s, err := net.Listen("unix", name(at))
			if err == nil {
				t.Cleanup(func() { s.Close() })
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	for from, path := range places {
		for at := range places {
			if err := inside(path, func() error {
				c, err := net.Dial("unix", name(at))
				if err == nil {
					c.Close()
				}
				if reached := err == nil; reached != (from == at) {
					t.Errorf("from %s to %s: %v", from, at, err)
				}
				list, err := os.ReadFile("/proc/thread-self/net/unix")
				if listed := strings.Contains(string(list), name(at)); listed != (from == at) {
					t.Errorf("%s is listed at %s: %v", at, from, listed)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What the kernel tells a workload's root about sockets, flows and rules is about its own.
func TestKernelTellsOfOwnOnly(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	l.listen(v, "169.254.170.2:80")
	train := l.attach(v, "eni-train")
	l.attach(v, "eni-db")
	train.passes("hold", "10.50.0.11:5432")
	path, err := l.Attach(t.Context(), v.ID, *find(t, v, "eni-open"))
	if err != nil {
		t.Fatal(err)
	}
	if s := sockets(t, path); len(s) > 0 {
		t.Errorf("it sees %q", s)
	}
	look := func(path string) (n int) {
		if err := inside(path, func() error {
			tcp, err := netlink.SocketDiagTCP(unix.AF_INET)
			n += len(tcp)
			udp, failed := netlink.SocketDiagUDP(unix.AF_INET)
			n += len(udp)
			err = errors.Join(err, failed)
			known, failed := flows(ctGet)
			n += len(known)
			return errors.Join(err, failed)
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := look(l.path(kindVPC, v.ID)); n == 0 {
		t.Error("the router sees nothing either")
	}
	if n := look(path); n > 0 {
		t.Errorf("it sees %d sockets and flows", n)
	}
}

// tamper does something as root of the attacker's namespace.
func (a *arena) tamper(name string, do func(eth0 netlink.Link) error) {
	a.t.Helper()
	path, _ := a.NetNS("eni-train")
	if err := inside(path, func() error {
		link, err := netlink.LinkByName(inner)
		if err != nil {
			return err
		}
		return do(link)
	}); err != nil {
		a.t.Fatalf("%s: %v", name, err)
	}
}

// stands tries what may not be, once more.
func (a *arena) stands(name string) {
	a.t.Helper()
	for _, from := range []string{closedIP, friendIP, "10.50.0.99", "169.254.1.1", "10.50.0.2", farIP} {
		for _, to := range []string{friendIP, closedIP, farIP, "10.50.0.2", "169.254.170.2"} {
			a.silent(name, toRouter(v4{src: from, dst: to, protocol: 17, payload: datagram(53, 9998, "forged")}))
		}
	}
	for _, to := range []string{closedIP, "169.254.1.1", "10.50.0.200", otherS3, natIP, lostIP, "203.0.113.9"} {
		a.silent(name, toRouter(v4{src: attackerIP, dst: to, protocol: 17, payload: datagram(53, 9998, "straight")}))
	}
}

// Root in a workload's namespace turns its end of the link inside out. None of it reaches the other end, or is taken for
// something that somebody did there.
func TestOwnEndIsNotTheOther(t *testing.T) {
	a := newArena(t)
	l := a.lab
	a.stands("before")
	ip := func(s string) *netlink.Addr { return &netlink.Addr{IPNet: netOf(netip.MustParsePrefix(s))} }
	for name, do := range map[string]func(netlink.Link) error{
		"others' addresses": func(eth0 netlink.Link) error {
			return errors.Join(netlink.AddrAdd(eth0, ip(closedIP+"/32")), netlink.AddrAdd(eth0, ip("10.50.0.1/16")), netlink.AddrAdd(eth0, ip("169.254.1.1/32")),
				netlink.AddrAdd(eth0, ip("169.254.170.2/32")))
		},
		"routes": func(eth0 netlink.Link) error {
			all := netip.MustParsePrefix("128.0.0.0/1")
			return netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: netOf(all), Scope: netlink.SCOPE_LINK})
		},
		"promiscuous":     netlink.SetPromiscOn,
		"another address": func(eth0 netlink.Link) error { return netlink.LinkSetHardwareAddr(eth0, routerMAC[:]) },
		"another queue":   func(eth0 netlink.Link) error { return netlink.LinkSetTxQLen(eth0, 1) },
		"down and up":     func(eth0 netlink.Link) error { return errors.Join(netlink.LinkSetDown(eth0), netlink.LinkSetUp(eth0)) },
		"its own router":  func(netlink.Link) error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) },
		"its own rules": func(netlink.Link) error {
			return runNFT(context.Background(), l.nft, "flush ruleset\nadd table inet bawn\n")
		},
		"no flow is known": func(netlink.Link) error { return cut(func(tuple) bool { return true }) },
	} {
		a.tamper(name, do)
		a.settled()
		a.stands(name)
	}
	// Promiscuous, with others' addresses: it still hears nothing of what others say to each other.
	path, _ := a.NetNS("eni-open")
	friend := openWire(t, path, inner)
	const words = "between the friend and the far one"
	friend.send(ether(routerMAC, mac{2, 0, 0, 0, 0, 5}, 0x0800, v4{src: friendIP, dst: farIP, protocol: 17, payload: datagram(1, 9998, words)}.bytes()))
	a.hears("far", words)
	for _, h := range a.settled() {
		if strings.HasPrefix(h, "attacker") {
			t.Error(h)
		}
	}
	for round := range uint32(fullRound) {
		a.look(round)
	}
	if n := len(a.events.values); n > 0 {
		t.Errorf("told %+v", <-a.events.values)
	}
}

// The link is moved on, to where nobody expects it: what may not pass does not pass from there, and it goes with the rest.
func TestLinkThatMovedAway(t *testing.T) {
	a := newArena(t)
	elsewhere, err := a.AttachIsolated(t.Context(), "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	target, err := os.Open(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	a.tamper("moving", func(eth0 netlink.Link) error { return netlink.LinkSetNsFd(eth0, int(target.Fd())) })
	if err := inside(elsewhere, func() error { return up(inner) }); err != nil {
		t.Fatal(err)
	}
	a.wire = openWire(t, elsewhere, inner)
	a.arrives("friend", "from elsewhere", toRouter(v4{src: attackerIP, dst: friendIP, protocol: 17, payload: datagram(1, 9998, "from elsewhere")}))
	a.stands("elsewhere")
	if err := a.Detach(t.Context(), "eni-train"); err != nil {
		t.Fatal(err)
	}
	if err := inside(elsewhere, func() error {
		_, err := netlink.LinkByName(inner)
		return err
	}); !errors.As(err, new(netlink.LinkNotFoundError)) {
		t.Errorf("the link outlived the workload: %v", err)
	}
}

// A router's end whose MTU somebody changed would cut packets: it is put right.
func TestMTUIsKept(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), ward("vpc-1")
	events := l.follow()
	l.apply(v)
	if _, err := l.Attach(t.Context(), v.ID, v.Interfaces[0]); err != nil {
		t.Fatal(err)
	}
	if err := inside(l.path(kindVPC, v.ID), func() error {
		link, err := netlink.LinkByName(netmodel.Device(v.Interfaces[0].ID))
		return errors.Join(err, netlink.LinkSetMTU(link, 600))
	}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events("vpc-1")); !e.Repaired || !strings.Contains(e.What, "MTU") {
		t.Errorf("told %+v", e)
	}
}
