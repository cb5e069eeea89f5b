package fabric

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// agentOf runs an agent in the namespace of an interface that is attached.
func (a *arena) agentOf(id string, ports ...int) *agent {
	a.t.Helper()
	path, found := a.NetNS(id)
	if !found {
		a.t.Fatalf("%s is not attached", id)
	}
	x := startAgent(a.t, path)
	if r := x.do(order{Do: "serve", Ports: ports}); r.Outcome != ok {
		a.t.Fatal(r.Outcome)
	}
	return x
}

// Connection tracking lets replies pass. Nobody can make a packet a reply who is not asked, nor end, or bend, a flow that is
// not his own.
func TestFlowsOfOthers(t *testing.T) {
	a := newArena(t)
	const client, server = "10.50.1.10", closedIP + ":5432"
	a.agentOf("eni-db", 5432)
	friend := a.attach(battlefield(), "eni-far")
	own := friend.passes("hold", server)
	path, _ := a.NetNS("eni-db")
	db := openWire(t, path, inner)
	a.settled()

	const mark = "segment;"
	a.arrives("friend", mark, toRouter(segment{from: attackerIP + ":4000", to: friendIP + ":80", flags: syn, payload: mark}.packet()))
	port := addrPort(own).Port()
	for name, flags := range map[string]byte{"ACK": ack, "FIN": fin | ack, "RST": rst, "RST and ACK": rst | ack, "SYN and ACK": syn | ack, "data": psh | ack, "none": 0, "all": 63,
		"SYN and FIN": syn | fin, "SYN and RST": syn | rst, "FIN alone": fin} {
		for _, from := range []uint16{4001, port, 5432} {
			for _, to := range []string{friendIP + ":81", server, own, farIP + ":80", "10.50.0.2:53", "169.254.170.2:80", dialer + ":80"} {
				s := segment{from: fmt.Sprintf("%s:%d", attackerIP, from), to: to, flags: flags, seq: 1, ack: 1, payload: mark}
				a.silent(name+" to "+to, toRouter(s.packet()))
			}
		}
		// With the tuple of the flow, from the wrong wire.
		a.silent(name+" as the client", toRouter(segment{from: own, to: server, flags: flags, payload: mark}.packet()))
		a.silent(name+" as the server", toRouter(segment{from: server, to: own, flags: flags, payload: mark}.packet()))
	}
	about := segment{from: own, to: server, flags: ack}.packet().bytes()
	back := segment{from: server, to: own, flags: ack}.packet().bytes()
	for _, kind := range [][2]byte{{3, 0}, {3, 1}, {3, 3}, {3, 4}, {3, 13}, {4, 0}, {5, 0}, {5, 1}, {11, 0}, {11, 1}, {12, 0}} {
		for to, quoted := range map[string][]byte{client: about, closedIP: back} {
			content := icmp(kind[0], kind[1], "\x00\x00\x00\x44"+string(quoted))
			for _, from := range []string{attackerIP, client, closedIP, "169.254.1.1", "10.50.0.2"} {
				a.silent(fmt.Sprint("an error ", kind, " from ", from), toRouter(v4{src: from, dst: to, protocol: unix.IPPROTO_ICMP, payload: content}))
			}
		}
	}
	// The server answers whom it was called by, where it was called from, and calls nobody.
	for _, to := range []string{client + ":5432", client + ":80", fmt.Sprint(client, ":", port+1)} {
		for _, flags := range []byte{syn, ack, syn | ack, rst} {
			frame := ether(routerMAC, mac{2, 0, 0, 0, 0, 2}, 0x0800, segment{from: server, to: to, flags: flags, payload: mark}.packet().bytes())
			db.send(frame)
			a.silent("from the server to " + to)
		}
	}
	// Only now: what honest hosts say to each other goes on for a while, and would be heard.
	if r := friend.do(order{Do: "hold", Wait: hope}); r.Outcome != ok {
		t.Errorf("the flow broke: %+v", r)
	}
}

// What one source may keep the router busy with is bounded, and does not keep others from it.
func TestFlowsAreBounded(t *testing.T) {
	a := newArena(t)
	a.agentOf("eni-db", 5432)
	friend := a.attach(battlefield(), "eni-far")
	for i := range netmodel.MaxFlows + 2000 {
		a.wire.send(toRouter(v4{src: attackerIP, dst: friendIP, protocol: 17, payload: datagram(uint16(i), uint16(20000+i>>12), "")}))
		if i%2000 == 0 && i < netmodel.MaxFlows { // what it sends beyond is lost, or not, whoever it is for
			a.settled()
		}
	}
	count := a.flowsOf(attackerIP)
	if count > netmodel.MaxFlows || count < netmodel.MaxFlows/2 {
		t.Errorf("one source has %d flows", count)
	}
	friend.passes("tcp", closedIP+":5432")
}

// Flows that have ended are no longer counted, and stay in the table for a while: who begins and ends many is bounded too.
func TestEndedFlowsAreBounded(t *testing.T) {
	a := newArena(t)
	const ports, first = 4, 9000
	a.agentOf("eni-open", first, first+1, first+2, first+3)
	path, _ := a.NetNS("eni-train")
	if err := inside(path, func() error {
		for i := range 50000 {
			from := netip.AddrPortFrom(netip.MustParseAddr(attackerIP), uint16(2048+i/ports))
			err := touch(from, netip.AddrPortFrom(netip.MustParseAddr(friendIP), uint16(first+i%ports)))
			if errors.Is(err, unix.ETIMEDOUT) { // he is over his share
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	const lasting = 10 // seconds that an ended flow lasts
	if n := a.flowsOf(attackerIP); n > netmodel.FlowBurst+lasting*netmodel.FlowRate {
		t.Errorf("one source has %d flows, most of which have ended", n)
	}
}

// touch connects and resets.
func touch(from, to netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: from.Addr().As4(), Port: int(from.Port())})); err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != unix.EINPROGRESS {
		return err
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(despair.Milliseconds()))
	if n == 0 && err == nil {
		return unix.ETIMEDOUT
	}
	return err
}

// flowsOf counts what the router tracks of one source.
func (a *arena) flowsOf(source string) int {
	a.t.Helper()
	count := 0
	if err := inside(a.path(kindVPC, "vpc-1"), func() error {
		all, err := flows(ctGet)
		for _, f := range all {
			if f.src.Addr() == netip.MustParseAddr(source) {
				count++
			}
		}
		return err
	}); err != nil {
		a.t.Fatal(err)
	}
	return count
}

// Who listens in the VPC hears whom the kernel names, and nobody who claims to be another: not at the credentials of other
// workloads, and not at endpoints that are others'.
func TestEndpointsOfOthers(t *testing.T) {
	a := newArena(t)
	v := battlefield()
	for _, at := range []string{"169.254.170.2:80", "169.254.171.1:443", otherS3 + ":443", "10.50.0.200:443", natIP + ":443", natIP + ":3128"} {
		a.listen(v, at)
	}
	answered := func(from string, to string) {
		t.Helper()
		a.arrives("attacker", string(segment{from: to, to: from, flags: syn | ack}.packet().payload[:4]), toRouter(segment{from: from, to: to, flags: syn}.packet()))
	}
	answered(attackerIP+":4000", "169.254.170.2:80")
	for _, from := range append([]string{attackerIP}, everyAddress...) {
		for _, to := range []string{"169.254.170.2:80", "169.254.171.1:443", otherS3 + ":443", "10.50.0.200:443", natIP + ":443", natIP + ":3128", "10.50.0.2:53", "169.254.169.253:53"} {
			if from == attackerIP && (to == "169.254.170.2:80" || to == "169.254.171.1:443" || to == "10.50.0.2:53" || to == "169.254.169.253:53") {
				continue
			}
			for _, s := range []segment{{flags: syn}, {flags: ack, seq: 1, ack: 1, payload: "GET / HTTP/1.1\r\n\r\n"}, {flags: rst}} {
				s.from, s.to = from+":4001", to
				a.silent(from+" to "+to, toRouter(s.packet()))
			}
		}
	}
	// The address of a listener in one VPC is nobody's in the other, from which it can be routed to.
	for _, to := range []string{"10.60.0.2:53", "10.60.0.10:53"} {
		a.wire.send(toRouter(v4{src: attackerIP, dst: netip.MustParseAddrPort(to).Addr().String(), protocol: 17, payload: datagram(5, 53, "who is there")}))
	}
	a.settled()
}
