package fabric

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// inbox is a UDP socket opened in some namespace by the test.
func inbox(t *testing.T, path, at string) net.PacketConn {
	t.Helper()
	var c net.PacketConn
	err := inside(path, func() (err error) {
		c, err = net.ListenPacket("udp4", at)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// firstSender waits for a packet and says who sent it.
func firstSender(t *testing.T, c net.PacketConn) netip.AddrPort {
	t.Helper()
	b := make([]byte, 64)
	_, from, err := c.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	return from.(*net.UDPAddr).AddrPort()
}

// Root in the workload's namespace forges sources with raw sockets and with frames. The packets of one link stay in
// order, so when the honest packet that follows has arrived, what was forged before it has been dealt with.
func TestForgedSourcesAreDropped(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	v.Interfaces[0].Groups = []string{"sg-open"}
	l.apply(v)
	l.attach(v, "eni-db")
	a, _ := l.attach(v, "eni-train"), l.attach(v, "eni-open")
	victim, _ := l.NetNS("eni-open")
	in := inbox(t, victim, "10.50.1.11:9999")
	const to, honest = "10.50.1.11:9999", "10.50.0.10:1234"
	for _, source := range []string{"10.50.0.11:1", "10.50.0.99:1", "10.50.1.11:1", "169.254.1.1:1", "169.254.171.1:443", "10.50.0.2:53", "203.0.113.9:1", "127.0.0.1:1", "0.0.0.0:1", "255.255.255.255:1"} {
		frame := append(append(append([]byte{}, routerMAC[:]...), 2, 0, 0, 0, 0, 1, 8, 0), udpPacket(addrPort(source), addrPort(to), "forged\n")...)
		if r := a.do(order{Do: "frame", Frame: frame}); r.Outcome != ok {
			t.Fatal(r.Outcome)
		}
		if source != "0.0.0.0:1" { // for which its own kernel would put in the honest one
			a.do(order{Do: "packet", Source: source, Address: to}) // the kernel may refuse the strangest
		}
	}
	if r := a.do(order{Do: "packet", Source: honest, Address: to}); r.Outcome != ok {
		t.Fatal(r.Outcome)
	}
	if from := firstSender(t, in); from != addrPort(honest) {
		t.Errorf("a packet that says it is from %v got through", from)
	}
}

// A frame goes where its address says, not where the workload's routing table would send it: into the router's own
// loopback addresses, to a neighbour by force, to a multicast group.
func TestForgedDestinationsAreDropped(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	v.Interfaces[0].Groups = []string{"sg-open"}
	l.apply(v)
	a, _ := l.attach(v, "eni-train"), l.attach(v, "eni-open")
	router, victim := l.path(kindVPC, "vpc-1"), ""
	victim, _ = l.NetNS("eni-open")
	in := inbox(t, router, "0.0.0.0:9999")
	fence := inbox(t, victim, "10.50.1.11:9999")
	send := func(mac [6]byte, to string) {
		frame := append(append(append([]byte{}, mac[:]...), 2, 0, 0, 0, 0, 1, 8, 0), udpPacket(addrPort("10.50.0.10:77"), addrPort(to), "x\n")...)
		if r := a.do(order{Do: "frame", Frame: frame}); r.Outcome != ok {
			t.Fatal(r.Outcome)
		}
	}
	for _, to := range []string{"127.0.0.1:9999", "169.254.1.1:9999", "10.50.0.2:9999", "169.254.170.2:9999", "224.0.0.1:9999", "255.255.255.255:9999", "10.50.0.255:9999"} {
		send(routerMAC, to)
		send([6]byte{255, 255, 255, 255, 255, 255}, to)
	}
	send(routerMAC, "10.50.1.11:9999")
	firstSender(t, fence)
	if pending(t, in) {
		t.Error("the router took a packet")
	}
}

// An ICMP error about a flow belongs to it in the eyes of connection tracking, whoever wrote it. One workload writes such
// errors about another's flow with a third: they must not reach it past the groups.
func TestForgedErrorsMeetTheGates(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	v.SecurityGroups[0].Ingress = []netmodel.Rule{{Protocol: netmodel.UDP, FromPort: 9999, ToPort: 9999, CIDR: netip.MustParsePrefix("10.50.0.0/16")}}
	l.apply(v)
	train, liar := l.attach(v, "eni-train"), l.attach(v, "eni-open")
	l.attach(v, "eni-db")
	own := addrPort(train.passes("hold", "10.50.0.11:5432"))
	victim, _ := l.NetNS("eni-train")
	fence := inbox(t, victim, "10.50.0.10:9999")
	errs := rawInbox(t, victim)

	about := udpPacket(own, addrPort("10.50.0.11:5432"), "")
	about[9] = unix.IPPROTO_TCP
	lie := udpPacket(addrPort("10.50.1.11:0"), netip.AddrPortFrom(own.Addr(), 0), "")[:20]
	lie[9] = unix.IPPROTO_ICMP
	body := append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, about...)
	binary.BigEndian.PutUint16(body[2:], checksum(body))
	binary.BigEndian.PutUint16(lie[2:], uint16(20+len(body)))
	lie[10], lie[11] = 0, 0
	binary.BigEndian.PutUint16(lie[10:], checksum(lie))
	header := append(append([]byte{}, routerMAC[:]...), 2, 0, 0, 0, 0, 5, 8, 0)
	if r := liar.do(order{Do: "frame", Frame: append(append(header, lie...), body...)}); r.Outcome != ok {
		t.Fatal(r.Outcome)
	}
	if r := liar.do(order{Do: "packet", Source: "10.50.1.11:5", Address: "10.50.0.10:9999"}); r.Outcome != ok {
		t.Fatal(r.Outcome)
	}
	firstSender(t, fence)
	if waits(t, errs) {
		t.Error("the lie arrived")
	}
}

// rawInbox is a socket that gets a copy of every ICMP packet that reaches a namespace.
func rawInbox(t *testing.T, path string) *net.IPConn {
	t.Helper()
	var c net.PacketConn
	err := inside(path, func() (err error) {
		c, err = net.ListenPacket("ip4:icmp", "0.0.0.0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.IPConn)
}

// pending says whether a packet waits in a socket now.
func pending(t *testing.T, c net.PacketConn) bool {
	t.Helper()
	return waits(t, c.(*net.UDPConn))
}

func waits(t *testing.T, c syscall.Conn) bool {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got error
	if err := raw.Control(func(fd uintptr) {
		_, _, got = unix.Recvfrom(int(fd), make([]byte, 64), unix.MSG_DONTWAIT)
	}); err != nil {
		t.Fatal(err)
	}
	return !errors.Is(got, unix.EAGAIN)
}

// Two VPCs with the same range are as far apart as any two.
func TestOtherVPCIsOutOfReach(t *testing.T) {
	l, v, w := newLab(t), ward("vpc-1"), ward("vpc-2")
	for i := range w.Interfaces {
		w.Interfaces[i].ID = "other-" + w.Interfaces[i].ID
	}
	l.apply(v)
	l.apply(w)
	l.attach(w, "other-eni-open")
	l.attach(w, "other-eni-db")
	mine := ward("vpc-1")
	mine.Interfaces[0].Groups = []string{"sg-open"}
	l.apply(mine)
	a := l.attach(mine, "eni-train")
	a.fails("tcp", "10.50.1.11:80") // it exists there, and lets all in; here nobody is attached
	a.fails("tcp", "10.50.0.11:5432")
	l.attach(mine, "eni-open")
	if from := a.passes("tcp", "10.50.1.11:80"); from == "" { // and now somebody is
		t.Error("nobody answered")
	}
}

func TestHostIsOutOfReach(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	a := l.attach(v, "eni-open")
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range addresses {
		host, isNet := n.(*net.IPNet)
		if !isNet || host.IP.To4() == nil {
			continue
		}
		ln, err := net.Listen("tcp4", net.JoinHostPort(host.IP.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		a.fails("tcp", ln.Addr().String()) // to loopback: refused by the workload's own
	}
}

// Should somebody by mistake plug the VPC into the world, with routes both ways, the rules alone hold.
func TestStrayWireCarriesNothing(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), ward("vpc-1")
	v.Interfaces[2].Groups = []string{"sg-open"} // reachable by the rules, but not attached
	l.apply(v)
	a := l.attach(v, "eni-open")
	if _, err := l.AttachIsolated(context.Background(), "outside"); err != nil {
		t.Fatal(err)
	}
	outside, _ := l.NetNS("outside")
	router := l.path(kindVPC, "vpc-1")
	l.changing.Lock() // nobody repairs
	t.Cleanup(l.changing.Unlock)
	l.drifted = true
	plug(t, router, outside)
	world := startAgent(t, outside)
	if r := world.do(order{Do: "serve", Ports: []int{80, 443}}); r.Outcome != ok {
		t.Fatal(r.Outcome)
	}
	in := inbox(t, outside, "0.0.0.0:9999")
	for _, to := range []string{"10.50.0.12:9999", "203.0.113.5:9999"} {
		if r := a.do(order{Do: "packet", Source: "10.50.1.11:1", Address: to}); r.Outcome != ok {
			t.Fatal(r.Outcome)
		}
	}
	a.noAnswer("tcp", "203.0.113.5:443")
	a.noAnswer("udp", "203.0.113.5:443")
	a.noAnswer("tcp", "10.50.0.12:80")
	if pending(t, in) {
		t.Error("a packet left by the wire")
	}
	world.noAnswer("tcp", "10.50.1.11:80")
	world.noAnswer("udp", "10.50.0.2:53")
	world.noAnswer("tcp", "169.254.169.254:80")
	world.noAnswer("ping", "203.0.113.1")
}

// plug joins the router to an outside namespace by a link with working routes.
func plug(t *testing.T, router, outside string) {
	t.Helper()
	target, err := netlinkFD(outside)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(target)
	end := func(name, own, route string) error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(own)
		if err != nil {
			return err
		}
		dst, err := netlink.ParseIPNet(route)
		if err != nil {
			return err
		}
		via := netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK}
		return errors.Join(netlink.AddrAdd(link, addr), netlink.LinkSetUp(link), netlink.RouteAdd(&via))
	}
	err = inside(router, func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "stray"}, PeerName: "stray", PeerNamespace: netlink.NsFd(target)}
		return errors.Join(netlink.LinkAdd(veth), end("stray", "203.0.113.1/24", "10.50.0.12/32"))
	})
	if err == nil {
		err = inside(outside, func() error {
			link, err := netlink.LinkByName("stray")
			if err != nil {
				return err
			}
			squatted, err := netlink.ParseAddr("10.50.0.12/32")
			if err != nil {
				return err
			}
			return errors.Join(end("stray", "203.0.113.5/24", "0.0.0.0/0"), netlink.AddrAdd(link, squatted))
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func netlinkFD(path string) (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) }

// Two workloads that are root turn IPv6 on again, agree on addresses and on each other's place on the wire.
func TestIPv6SideDoorIsShut(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	v.Interfaces[0].Groups = []string{"sg-open"}
	l.apply(v)
	a, b := l.attach(v, "eni-train"), l.attach(v, "eni-open")
	for _, x := range []struct {
		id, own, peer string
		agent         *agent
	}{{"eni-train", "2001:db8::1/128", "2001:db8::2/128", a}, {"eni-open", "2001:db8::2/128", "2001:db8::1/128", b}} {
		path, _ := l.NetNS(x.id)
		for _, name := range []string{"all", inner} {
			if r := x.agent.do(order{Do: "write", Path: "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6", Value: "0"}); r.Outcome != ok {
				t.Fatal(r.Outcome)
			}
		}
		if err := inside(path, func() error { return sixth(x.own, x.peer) }); err != nil {
			t.Fatal(err)
		}
	}
	if r := b.do(order{Do: "serve", Ports: []int{8080}}); r.Outcome != ok {
		t.Fatal(r.Outcome)
	}
	a.noAnswer("tcp6", "[2001:db8::2]:8080")
	if err := inside(l.path(kindVPC, "vpc-1"), func() error {
		six, err := netlink.AddrList(nil, netlink.FAMILY_V6)
		if err == nil && len(six) > 0 {
			err = fmt.Errorf("the router has %v", six)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// sixth gives the calling thread's namespace an IPv6 address and a way to another one by the router's hardware address.
func sixth(own, peer string) error {
	link, err := netlink.LinkByName(inner)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(own)
	if err != nil {
		return err
	}
	addr.Flags = unix.IFA_F_NODAD
	dst, err := netlink.ParseIPNet(peer)
	if err != nil {
		return err
	}
	n := &netlink.Neigh{LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V6, State: netlink.NUD_PERMANENT, IP: dst.IP, HardwareAddr: routerMAC[:]}
	return errors.Join(netlink.AddrAdd(link, addr), netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst}), netlink.NeighSet(n))
}

func TestNamesArePrivate(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	train, far := l.attach(v, "eni-train"), l.attach(v, "eni-far")
	for _, c := range []struct {
		a    *agent
		name string
		code int
		want []string
	}{
		{train, "s3.us-east-1.amazonaws.com", dns.RcodeSuccess, []string{"169.254.171.1"}},
		{train, "my-bucket.s3.us-east-1.amazonaws.com", dns.RcodeSuccess, []string{"169.254.171.1"}},
		{train, "kms.us-east-1.amazonaws.com", dns.RcodeSuccess, []string{"10.50.0.200"}},
		{far, "s3.us-east-1.amazonaws.com", dns.RcodeNameError, nil},
		{train, "example.com", dns.RcodeNameError, nil},
		{train, "c2VjcmV0.tunnel.example.com", dns.RcodeNameError, nil},
		{train, "a.b.s3.us-east-1.amazonaws.com", dns.RcodeNameError, nil},
		{train, "localhost", dns.RcodeNameError, nil},
		{train, ".", dns.RcodeNameError, nil},
	} {
		for _, server := range []string{"10.50.0.2:53", "169.254.169.253:53"} {
			for _, do := range []string{"ask-udp", "ask-tcp"} {
				r := c.a.do(order{Do: do, Address: server, Name: c.name, Wait: hope})
				if r.Outcome != ok || r.Code != c.code || !slices.Equal(r.List, c.want) {
					t.Errorf("%s %s at %s: %+v", do, c.name, server, r)
				}
			}
		}
	}
	train.fails("ask-udp", "203.0.113.53:53")
}

func TestIsolatedHasLoopbackOnly(t *testing.T) {
	l := newLab(t)
	path, err := l.AttachIsolated(context.Background(), "job-alone")
	if err != nil {
		t.Fatal(err)
	}
	a := startAgent(t, path)
	if r := a.do(order{Do: "links"}); r.Outcome != ok || !slices.Equal(r.List, []string{"lo 127.0.0.1/8"}) {
		t.Errorf("it has %v", r.List)
	}
	for _, to := range []string{"169.254.170.2:80", "10.50.0.2:53", "203.0.113.5:443"} {
		a.fails("tcp", to)
	}
	if _, err := l.AttachIsolated(context.Background(), "job-alone"); !errors.Is(err, ErrAttached) {
		t.Errorf("attached twice: %v", err)
	}
}

func TestWorkloadSeesItsOwnLinkOnly(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	a := l.attach(v, "eni-train")
	if r := a.do(order{Do: "links"}); !slices.Equal(r.List, []string{"lo 127.0.0.1/8", "eth0 10.50.0.10/32"}) {
		t.Errorf("it has %v", r.List)
	}
}

func TestAttachNeedsAppliedInterface(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	ctx := context.Background()
	if _, err := l.Attach(ctx, "vpc-1", v.Interfaces[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("before Apply: %v", err)
	}
	l.apply(v)
	for name, change := range map[string]func(*netmodel.Interface){
		"another id":      func(i *netmodel.Interface) { i.ID = "eni-x" },
		"another address": func(i *netmodel.Interface) { i.Address = netip.MustParseAddr("10.50.0.77") },
		"other groups":    func(i *netmodel.Interface) { i.Groups = []string{"sg-open"} },
		"another job":     func(i *netmodel.Interface) { i.Workload = "job-2" },
		"an id with dots": func(i *netmodel.Interface) { i.ID = "../../x" },
	} {
		i := v.Interfaces[0]
		change(&i)
		if _, err := l.Attach(ctx, "vpc-1", i); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := l.Attach(ctx, "vpc-1", v.Interfaces[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Attach(ctx, "vpc-1", v.Interfaces[0]); !errors.Is(err, ErrAttached) {
		t.Errorf("twice: %v", err)
	}
}
