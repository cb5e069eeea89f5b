package fabric

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// follow hands a fabric's events to who waits for a network's.
func (l *lab) follow() func(network string) <-chan Event {
	l.t.Helper()
	l.drifted = true
	var mu sync.Mutex
	by := map[string]chan Event{}
	of := func(network string) chan Event {
		mu.Lock()
		defer mu.Unlock()
		if by[network] == nil {
			by[network] = make(chan Event, eventBuffer)
		}
		return by[network]
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- l.Events(ctx, func(e Event) error {
			of(e.Network) <- e
			return nil
		})
	}()
	l.t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			l.t.Errorf("events: %v", err)
		}
	})
	return func(network string) <-chan Event { return of(network) }
}

// pair is a VPC of its own in which eni-train may reach eni-db.
func pair(id string) *netmodel.VPC {
	v := ward(id)
	v.Interfaces = v.Interfaces[:2]
	for i := range v.Interfaces {
		v.Interfaces[i].ID += strings.TrimPrefix(id, "vpc")
	}
	return v
}

func nft(t *testing.T, l *lab, script string) func() error {
	return func() error { return runNFT(t.Context(), l.nft, script) }
}

func write(name, value string) func() error {
	return func() error { return os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0) }
}

// Whatever somebody who is root on the host changes in a VPC by hand is found, put right and told, within seconds.
func TestDriftIsRepaired(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	events := l.follow()
	train := func(v *netmodel.VPC) string { return netmodel.Device(v.Interfaces[0].ID) }
	by := func(v *netmodel.VPC, do func(netlink.Link) error) func() error {
		return func() error {
			link, err := netlink.LinkByName(train(v))
			if err != nil {
				return err
			}
			return do(link)
		}
	}
	cases := []struct {
		name, told string
		tamper     func(v *netmodel.VPC) func() error
	}{
		{"a rule that accepts", "packet filter", func(*netmodel.VPC) func() error { return nft(t, l, "insert rule inet bawn through accept") }},
		{"rules flushed", "packet filter", func(*netmodel.VPC) func() error { return nft(t, l, "flush table inet bawn") }},
		{"table deleted", "packet filter", func(*netmodel.VPC) func() error { return nft(t, l, "delete table inet bawn") }},
		{"everything flushed", "packet filter", func(*netmodel.VPC) func() error { return nft(t, l, "flush ruleset") }},
		{"policy changed", "packet filter", func(*netmodel.VPC) func() error { return nft(t, l, "add chain inet bawn through { policy accept; }") }},
		{"another table", "packet filter", func(*netmodel.VPC) func() error {
			return nft(t, l, "add table ip mine\nadd chain ip mine x { type filter hook prerouting priority -400; }\nadd rule ip mine x notrack")
		}},
		{"a member added", "packet filter", func(*netmodel.VPC) func() error {
			return nft(t, l, "add element inet bawn places { 203.0.113.9 }")
		}},
		{"an address", "10.50.0.77", func(v *netmodel.VPC) func() error {
			return func() error {
				lo, err := netlink.LinkByName(home)
				return errors.Join(err, netlink.AddrAdd(lo, &netlink.Addr{IPNet: netOf(netip.MustParsePrefix("10.50.0.77/32"))}))
			}
		}},
		{"an endpoint's address removed", "10.50.0.200", func(v *netmodel.VPC) func() error {
			return func() error {
				lo, err := netlink.LinkByName(home)
				return errors.Join(err, netlink.AddrDel(lo, &netlink.Addr{IPNet: netOf(netip.MustParsePrefix("10.50.0.200/32"))}))
			}
		}},
		{"a route", "203.0.113.0/24", func(v *netmodel.VPC) func() error {
			return by(v, func(link netlink.Link) error {
				return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: netOf(netip.MustParsePrefix("203.0.113.0/24")), Scope: netlink.SCOPE_LINK})
			})
		}},
		{"a route removed", "10.50.0.10/32", func(v *netmodel.VPC) func() error {
			return by(v, func(link netlink.Link) error {
				return netlink.RouteDel(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: netOf(netip.MustParsePrefix("10.50.0.10/32")), Scope: netlink.SCOPE_LINK})
			})
		}},
		{"a routing rule", "routing rule 5", func(v *netmodel.VPC) func() error {
			return func() error {
				r := netlink.NewRule()
				r.Priority, r.Table = 5, unix.RT_TABLE_DEFAULT
				return netlink.RuleAdd(r)
			}
		}},
		{"a neighbour", "neighbour 10.50.0.10", func(v *netmodel.VPC) func() error {
			return by(v, func(link netlink.Link) error {
				return netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V4, State: netlink.NUD_PERMANENT,
					IP: netip.MustParseAddr("10.50.0.10").AsSlice(), HardwareAddr: []byte{2, 9, 9, 9, 9, 9}})
			})
		}},
		{"a link down", "was down", func(v *netmodel.VPC) func() error { return by(v, netlink.LinkSetDown) }},
		{"a link deleted", "made again, but a sandbox that had it cannot use it", func(v *netmodel.VPC) func() error { return by(v, netlink.LinkDel) }},
		{"a link renamed", "made again", func(v *netmodel.VPC) func() error {
			return by(v, func(link netlink.Link) error {
				return errors.Join(netlink.LinkSetDown(link), netlink.LinkSetName(link, "other"), netlink.LinkSetUp(link))
			})
		}},
		{"a link of somebody's", "\"stray\", which is nobody's", func(*netmodel.VPC) func() error {
			return func() error {
				return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "stray"}, PeerName: "stray2"})
			}
		}},
		{"forwarding off", "ip_forward", func(*netmodel.VPC) func() error { return write("ipv4/ip_forward", "0") }},
		{"source check off", "rp_filter", func(v *netmodel.VPC) func() error { return write("ipv4/conf/"+train(v)+"/rp_filter", "0") }},
		{"neighbours that workloads choose", "arp_accept", func(v *netmodel.VPC) func() error { return write("ipv4/conf/"+train(v)+"/arp_accept", "1") }},
		{"neighbours that all workloads choose", "arp_accept", func(*netmodel.VPC) func() error { return write("ipv4/conf/all/arp_accept", "1") }},
		{"a log that workloads fill", "log_martians", func(*netmodel.VPC) func() error { return write("ipv4/conf/all/log_martians", "1") }},
		{"proxy ARP", "proxy_arp", func(v *netmodel.VPC) func() error { return write("ipv4/conf/"+train(v)+"/proxy_arp", "1") }},
		{"connections picked up", "tcp_loose", func(*netmodel.VPC) func() error { return write("netfilter/nf_conntrack_tcp_loose", "1") }},
		{"IPv6 on", "disable_ipv6", func(*netmodel.VPC) func() error { return write("ipv6/conf/all/disable_ipv6", "0") }},
		{"a queueing discipline", "queueing discipline", func(v *netmodel.VPC) func() error {
			return by(v, func(link netlink.Link) error {
				q := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}}
				return netlink.QdiscAdd(q)
			})
		}},
	}
	var done sync.WaitGroup
	for i, c := range cases {
		v := pair(fmt.Sprintf("vpc-%d", i))
		l.apply(v)
		a, _ := l.attach(v, v.Interfaces[0].ID), l.attach(v, v.Interfaces[1].ID)
		done.Go(func() {
			if err := inside(l.path(kindVPC, v.ID), c.tamper(v)); err != nil {
				t.Errorf("%s: cannot be tried: %v", c.name, err)
				return
			}
			e := next(t, events(v.ID))
			if e.Network != v.ID || !strings.Contains(e.What, c.told) || !e.Repaired || e.Why != "" || e.Time.IsZero() {
				t.Errorf("%s: told %+v", c.name, e)
			}
			a.passes("tcp", "10.50.0.11:5432")
			a.noAnswer("tcp", "10.50.0.11:80")
			a.noAnswer("tcp", "203.0.113.9:80")
			n := l.known(kindVPC, v.ID)
			l.check(n)
			if len(events(v.ID)) > 0 {
				t.Errorf("%s: told again: %+v", c.name, <-events(v.ID))
			}
		})
	}
	done.Wait()
}

func next(t *testing.T, events <-chan Event) Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*hope)
	defer cancel()
	select {
	case e := <-events:
		return e
	case <-ctx.Done():
		t.Error("nothing was found")
		return Event{}
	}
}

// What got through while the rules were gone does not live on.
func TestDriftLeavesNoFlow(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), pair("vpc-1")
	events := l.follow()
	l.apply(v)
	a, _ := l.attach(v, "eni-train-1"), l.attach(v, "eni-db-1")
	l.changing.Lock() // nobody repairs yet
	err := inside(l.path(kindVPC, "vpc-1"), nft(t, l, "insert rule inet bawn through accept"))
	if err == nil {
		a.passes("hold", "10.50.0.11:80")
	}
	l.changing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if e := next(t, events("vpc-1")); !e.Repaired {
		t.Errorf("told %+v", e)
	}
	if r := a.do(order{Do: "hold", Wait: despair}); r.Outcome == ok {
		t.Errorf("still open: %+v", r)
	}
}

// A workload that is root in its namespace and takes its own link away, again and again, or puts another in its place,
// troubles nobody but itself.
func TestWorkloadCannotKeepTheWatchBusy(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), pair("vpc-1")
	l.drifted = true
	l.apply(v)
	a, db := l.attach(v, "eni-train-1"), l.attach(v, "eni-db-1")
	path, _ := l.NetNS("eni-train-1")
	n := l.known(kindVPC, "vpc-1")
	var told []Event
	drop := func(after func() error) {
		t.Helper()
		err := inside(path, func() error {
			link, err := netlink.LinkByName(inner)
			if err != nil {
				return err
			}
			return errors.Join(netlink.LinkDel(link), after())
		})
		if err != nil {
			t.Fatal(err)
		}
		l.check(n)
		for len(l.events.values) > 0 {
			told = append(told, <-l.events.values)
		}
	}
	nothing := func() error { return nil }
	for range maxMends {
		drop(nothing)
	}
	a.passes("tcp", "10.50.0.11:5432")
	drop(nothing)
	if last := told[len(told)-1]; len(told) != maxMends+1 || last.Repaired || !strings.Contains(last.Why, "left alone") {
		t.Errorf("told %+v", told)
	}
	l.check(n)
	if len(l.events.values) > 0 {
		t.Errorf("told again: %+v", <-l.events.values)
	}

	path, _ = l.NetNS("eni-db-1") // another one puts a link of its own where the new one would go
	drop(func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: inner}, PeerName: "eth1"})
	})
	if last := told[len(told)-1]; last.Repaired || !strings.Contains(last.Why, "cannot be made again") {
		t.Errorf("told %+v", last)
	}
	v.SecurityGroups[1].Ingress = nil
	l.apply(v) // the network goes on
	db.fails("tcp", "10.50.0.10:80")
}

// An Apply that comes before the watch finds the same, and tells.
func TestApplyTellsOfTampering(t *testing.T) {
	l, v := newLab(t), pair("vpc-1")
	l.apply(v)
	l.drifted = true
	l.changing.Lock()
	err := inside(l.path(kindVPC, "vpc-1"), nft(t, l, "insert rule inet bawn through accept"))
	n := l.known(kindVPC, "vpc-1")
	n.mu.Lock()
	if err == nil {
		err = l.enforce(t.Context(), n, n.compile(), func() {})
	}
	n.mu.Unlock()
	l.changing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if e := next(t, l.events.values); !e.Repaired || !strings.Contains(e.What, filterChanged) {
		t.Errorf("told %+v", e)
	}
}

// A mount point that is gone comes back, and the network behind it is the same.
func TestMountPointComesBack(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), pair("vpc-1")
	events := l.follow()
	l.apply(v)
	a, _ := l.attach(v, "eni-train-1"), l.attach(v, "eni-db-1")
	path := l.path(kindVPC, "vpc-1")
	if err := errors.Join(unix.Unmount(path, unix.MNT_DETACH), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events("vpc-1")); !e.Repaired || !strings.Contains(e.What, "mount point") {
		t.Errorf("told %+v", e)
	}
	if !isNamespace(path) {
		t.Error("it is not mounted")
	}
	l.apply(v)
	a.passes("tcp", "10.50.0.11:5432")
}

// What we do ourselves is no drift, whenever the watch looks.
func TestOwnChangesAreNoDrift(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), pair("vpc-1")
	ctx := context.Background()
	look := func() {
		t.Helper()
		for round := range uint32(fullRound) {
			l.look(round)
		}
		if n := len(l.events.values); n > 0 {
			t.Fatalf("told %+v", <-l.events.values)
		}
	}
	l.apply(v)
	look()
	for i := range 3 {
		l.attach(v, "eni-train-1")
		look()
		v.SecurityGroups[1].Ingress[0].FromPort--
		v.Endpoints[1].Addresses[0].Address = netip.AddrFrom4([4]byte{10, 50, 0, byte(201 + i)})
		v.Dialers = []netmodel.Dialer{{ID: "dial-1", Subnet: "subnet-a", Address: netip.AddrFrom4([4]byte{10, 50, 0, byte(101 + i)})}}
		l.apply(v)
		look()
		if err := l.Detach(ctx, "eni-train-1"); err != nil {
			t.Fatal(err)
		}
		look()
	}
	without := pair("vpc-1")
	l.attach(v, "eni-train-1")
	without.Interfaces = nil // still attached, but the model has forgotten it
	l.apply(without)
	look()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	second := openLab(t, l.dir, l.prefix) // a process that does not know what it was
	second.apply(without)
	for round := range uint32(fullRound) {
		second.look(round)
	}
	if n := len(second.events.values); n > 0 {
		t.Fatalf("told %+v", <-second.events.values)
	}
}

// What nobody hears is kept, and beyond a bound counted.
func TestEventsWait(t *testing.T) {
	l := newLab(t)
	for range eventBuffer + 3 {
		l.events.put(Event{What: "x", Repaired: true})
	}
	var heard []Event
	enough := errors.New("enough")
	err := l.Events(t.Context(), func(e Event) error {
		if len(heard) == eventBuffer {
			heard = append(heard, e)
			return enough
		}
		heard = append(heard, e)
		return nil
	})
	if !errors.Is(err, enough) || len(heard) != eventBuffer+1 || !strings.Contains(heard[1].What, "3 events were lost") || heard[0].What != "x" {
		t.Errorf("%d events, %v, %+v", len(heard), err, heard[:min(len(heard), 2)])
	}
	err = l.Events(t.Context(), func(e Event) error { // what was not taken comes again
		heard = append(heard, e)
		return enough
	})
	if !errors.Is(err, enough) || heard[len(heard)-1].What != "x" {
		t.Errorf("%v, %+v", err, heard[len(heard)-1])
	}
}

// A change that failed half-way, and that nobody tries again, leaves no network unwatched.
func TestHalfMadeChangesAreWatched(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := ward("vpc-1")
	l.apply(v)
	l.attach(v, "eni-open")
	lone := l.attach(v, "eni-lone")
	lone.noAnswer("tcp", "10.50.1.11:80")
	l.changing.Lock()
	nft := l.nft
	l.nft = "/bin/false"
	l.changing.Unlock()
	v.Interfaces[2].Groups = []string{"sg-open"}
	if err := l.Apply(t.Context(), copied(t, v)); err == nil {
		t.Fatal("nothing was loaded, and nobody said so")
	}
	l.mu.Lock()
	w := l.Fabric.watch
	l.Fabric.watch = nil
	l.mu.Unlock()
	w.end() // and the test looks itself
	l.nft = nft
	if err := inside(l.path(kindVPC, v.ID), func() error { return runNFT(t.Context(), nft, flushAll) }); err != nil {
		t.Fatal(err)
	}
	lone.passes("tcp", "10.50.1.11:80")
	for round := range uint32(fullRound) {
		l.look(round)
	}
	lone.noAnswer("tcp", "10.50.1.11:80") // as before the change
	v.Interfaces[2].Groups = []string{"sg-open"}
	l.apply(v)
	lone.passes("tcp", "10.50.1.11:80")
}
