package fabric

import (
	"fmt"
	"strings"
	"testing"
)

const more = 0x2000

// pieces cuts a packet's content into fragments of the given sizes, multiples of eight, and the rest.
func pieces(p v4, sizes ...int) [][]byte {
	var out [][]byte
	at, content := 0, p.payload
	for _, n := range append(sizes, len(content)) {
		n = min(n, len(content)-at)
		f := p
		f.payload, f.fragment = content[at:at+n], uint16(at/8)
		if at += n; at < len(content) {
			f.fragment |= more
		}
		if n > 0 {
			out = append(out, toRouter(f))
		}
	}
	return out
}

// A rule for one port lets no other one through, in whatever pieces a packet comes.
func TestFragmentsMeetTheGates(t *testing.T) {
	a := newArena(t)
	id := uint16(1)
	to := func(dst string, text string) v4 {
		id++
		return v4{src: attackerIP, dst: dst, protocol: 17, id: id, payload: datagram(4000, 9998, text)}
	}
	tcp := func(dst string) v4 {
		id++
		p := segment{from: attackerIP + ":4000", to: dst, flags: syn, payload: "sixteen of bytes"}.packet()
		p.id = id
		return p
	}
	whole := "in pieces that are put together again before anybody asks what they are"
	a.arrives("friend", whole[:16], pieces(to(friendIP, whole), 24, 8)...)
	a.arrives("friend", "again before", pieces(to(friendIP, whole), 8, 8, 8, 8)...)
	backwards := pieces(to(friendIP, "backwards, from the end"), 8, 8)
	a.arrives("friend", "backward", backwards[2], backwards[1], backwards[0])
	for _, dst := range []string{closedIP, "10.50.0.2", "169.254.169.253", "169.254.170.2", "10.50.0.200", otherS3, natIP, dialer, "169.254.1.1"} {
		a.silent("in pieces", pieces(to(dst, whole), 24, 8)...)
		a.silent("a tiny first one", pieces(to(dst, whole), 8)...)
		a.silent("TCP in pieces", pieces(tcp(dst+":81"), 8, 8)...)
		a.silent("backwards", pieces(to(dst, whole), 8, 8)[2], pieces(to(dst, whole), 8, 8)[1])
		for i, f := range pieces(to(dst, whole), 8, 8, 8) {
			a.silent(fmt.Sprint("fragment alone ", i), f)
		}
	}
	// The router puts nothing together whose parts lie over each other, so that the last word cannot differ from the first.
	p := to(friendIP, "overlapping, overlapping")
	parts := pieces(p, 16)
	rewrite := p
	rewrite.fragment, rewrite.payload = more, []byte("\x00\x01\x00\x16\x00\x20\x00\x00overlap!")
	a.wire.send(parts[0], toRouter(rewrite), parts[1])
	for _, h := range a.settled() {
		if strings.Contains(h, fmt.Sprintf("%x", "overlap!")) {
			t.Errorf("the second of two first fragments counts: %s", h)
		}
	}
	p = to(friendIP, "overlapping, overlapping")
	parts = pieces(p, 16)
	rewrite = p
	rewrite.fragment, rewrite.payload = more|1, []byte("eight of eight, ")
	a.silent("one over the end of another", parts[0], toRouter(rewrite), parts[1])
	p = to(friendIP, "past the end")
	p.fragment = 0x1fff
	a.silent("one past the greatest size", toRouter(p))
	p.fragment = 0x1fff | more
	p.payload = append(p.payload, make([]byte, 100)...)
	a.silent("one past it, with more", toRouter(p))
	p.fragment, p.payload = more, p.payload[:5]
	a.silent("one of no whole size", toRouter(p))
}

// Nobody contributes to another's packet: a fragment that claims a neighbour's address is gone before fragments are put
// together.
func TestFragmentsOfOthers(t *testing.T) {
	a := newArena(t)
	path, _ := a.NetNS("eni-open")
	friend := openWire(t, path, inner)
	const marker = "the friend's own words; "
	content := datagram(4000, 9998, marker+"and what he says to the attacker")
	honest := v4{src: friendIP, dst: attackerIP, protocol: 17, id: 77, payload: content}
	first, second := honest, honest
	first.fragment, first.payload = more, content[:32]
	second.fragment, second.payload = 4, content[32:]
	from := func(p v4) []byte { return ether(routerMAC, mac{2, 0, 0, 0, 0, 5}, 0x0800, p.bytes()) }
	friend.send(from(first), from(second))
	a.hears("attacker", marker)
	a.settled()

	lie := second
	lie.payload = append([]byte("LIES"), content[36:]...)
	for _, target := range []string{attackerIP, farIP, "10.50.0.12"} {
		lie.dst, first.dst, second.dst = target, target, target
		lie.id++
		first.id, second.id = lie.id, lie.id
		a.silent("half of a packet", toRouter(lie))
		friend.send(from(first), from(second))
		if target == "10.50.0.12" { // who lets nobody in
			a.silent("both")
			continue
		}
		at := map[string]string{attackerIP: "attacker", farIP: "far"}[target]
		a.hears(at, marker)
		for _, h := range a.settled() {
			if strings.Contains(h, fmt.Sprintf("%x", "LIES")) {
				t.Errorf("as if the friend had said so: %s", h)
			}
		}
	}
}

// Who sends beginnings without ends uses up his own share, not that of others.
func TestFragmentFloodStarvesNobody(t *testing.T) {
	a := newArena(t)
	path, _ := a.NetNS("eni-open")
	friend := openWire(t, path, inner)
	filler := v4{src: attackerIP, dst: friendIP, protocol: 17, fragment: more, payload: make([]byte, 1024)}
	for id := range 20000 {
		filler.id = uint16(id)
		a.wire.send(toRouter(filler))
	}
	a.silent("a flood of beginnings")
	content := datagram(4000, 9998, "somebody else's fragments")
	p := v4{src: friendIP, dst: attackerIP, protocol: 17, id: 5, payload: content}
	for _, f := range pieces(p, 16) {
		copy(f[6:], []byte{2, 0, 0, 0, 0, 5})
		friend.send(f)
	}
	a.hears("attacker", "else's fragments")
}
