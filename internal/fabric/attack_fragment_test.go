package fabric

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

const more = 0x2000

// pieces cuts a packet's content into fragments of the given sizes, multiples of eight, and the rest.
func pieces(p v4, sizes ...int) [][]byte {
	var out [][]byte
	at, content := 0, p.payload
	for _, n := range append(slices.Clone(sizes), len(content)) {
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

// fragments is what the kernel says of the fragments that wait in the router.
func (a *arena) fragments() string {
	a.t.Helper()
	var out string
	if err := inside(a.path(kindVPC, "vpc-1"), func() error {
		b, err := os.ReadFile("/proc/thread-self/net/sockstat")
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "FRAG:") {
				out = strings.TrimSpace(line)
			}
		}
		return err
	}); err != nil {
		a.t.Fatal(err)
	}
	return out
}

// Nothing is put together of fragments: not what could have been sent whole, not what a rule for one port would be asked
// about with another one, not what a neighbour has sent a part of. So no place is lost to those that never become whole.
func TestFragmentsAreRefused(t *testing.T) {
	a := newArena(t)
	path, _ := a.NetNS("eni-open")
	friend := openWire(t, path, inner)
	id := uint16(1)
	to := func(dst, text string) v4 {
		id++
		return v4{src: attackerIP, dst: dst, protocol: 17, id: id, payload: datagram(4000, 9998, text)}
	}
	tcp := func(dst string) v4 {
		id++
		p := segment{from: attackerIP + ":4000", to: dst, flags: syn, payload: "sixteen of bytes"}.packet()
		p.id = id
		return p
	}
	const text = "in pieces that are put together again before anybody asks what they are"
	a.arrives("friend", text, pieces(to(friendIP, text))...)
	for _, dst := range []string{friendIP, farIP, closedIP, "10.50.0.2", "169.254.169.253", "169.254.170.2", "10.50.0.200", otherS3, natIP, dialer, "169.254.1.1"} {
		a.silent("in pieces", pieces(to(dst, text), 24, 8)...)
		a.silent("a tiny first one", pieces(to(dst, text), 8)...)
		a.silent("TCP in pieces", pieces(tcp(dst+":80"), 8, 8)...)
		back := pieces(to(dst, text), 8, 8)
		slices.Reverse(back)
		a.silent("backwards", back...)
		for i, f := range pieces(to(dst, text), 8, 8, 8) {
			a.silent(fmt.Sprint("fragment alone ", i), f)
		}
		p := to(dst, text)
		over := p
		over.fragment, over.payload = more, []byte("\x00\x01\x00\x16\x00\x20\x00\x00overlap!")
		a.silent("a first one twice", pieces(p, 16)[0], toRouter(over), pieces(p, 16)[1])
		over.fragment = more | 1
		a.silent("one over another", pieces(p, 16)[0], toRouter(over), pieces(p, 16)[1])
		over.fragment = 0x1fff | more
		a.silent("one past the end", toRouter(over))
		over.fragment, over.payload = more, over.payload[:5]
		a.silent("one of no whole size", toRouter(over))

		// The attacker has sent the second half of what a neighbour begins.
		p = to(dst, text)
		p.src = friendIP
		halves := pieces(p, 32)
		copy(halves[0][6:], []byte{2, 0, 0, 0, 0, 5})
		a.silent("half of a neighbour's", halves[1])
		friend.send(halves[0])
		a.silent("the neighbour's half")
	}
	filler := v4{src: attackerIP, dst: friendIP, protocol: 17, fragment: more, payload: make([]byte, 1024)}
	for id := range 3000 {
		filler.id = uint16(id)
		a.wire.send(toRouter(filler))
	}
	if got := a.fragments(); got != "FRAG: inuse 0 memory 0" {
		t.Errorf("the router keeps %q", got)
	}
}

// What is too large for a packet of other networks is not for one of these, as in Amazon VPC: what need not be cut has no
// need of fragments.
func TestLargePackets(t *testing.T) {
	l, v := newLab(t), battlefield()
	t.Parallel()
	l.apply(v)
	l.attach(v, "eni-train")
	l.attach(v, "eni-open")
	path, _ := l.NetNS("eni-train")
	victim, _ := l.NetNS("eni-open")
	in := inbox(t, victim, friendIP+":9999")
	for _, size := range []int{1500, 8900, 8973} {
		if err := inside(path, func() error {
			c, err := net.Dial("udp4", friendIP+":9999")
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write(make([]byte, size))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if n, _, err := in.ReadFrom(make([]byte, 10000)); n != size {
			t.Errorf("%d of %d bytes came: %v", n, size, err)
		}
	}
}
