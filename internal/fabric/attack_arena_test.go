package fabric

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"bawn.dev/internal/netmodel"
)

// arena is where an attacker, who is root in a workload's namespace and has a packet socket there, meets everything that
// could be reached: neighbours, endpoints with and without a route, a transit gateway, VPCs behind it, and one of another
// account with the same ranges. Ears are everywhere.
type arena struct {
	*lab
	wire  *wire // the attacker's
	ears  *ears // of the router itself
	posts []post
	fence int
}

// post is an ear. Of a router only what it says counts: it hears everything, and that is no harm; and what it says on the
// device beyond, where another network decides, if it is the attacker's own.
type post struct {
	name   string
	wire   *wire
	router bool
	beyond int
}

// counts says whether what was heard must not have been.
func (p *post) counts(s seen) bool {
	if s.out && s.device == p.beyond && len(s.frame) > 30 {
		source, _ := netip.AddrFromSlice(s.frame[26:30])
		return source.String() != attackerIP
	}
	return s.out == p.router
}

// The attacker, whom he may reach, and whom not.
const (
	attackerIP  = "10.50.0.10"
	friendIP    = "10.50.1.11"
	closedIP    = "10.50.0.11"
	farIP       = "10.60.0.10"
	lostIP      = "10.70.0.10"
	natIP       = "10.50.0.250"
	otherS3     = "169.254.171.2"
	attackerMAC = "\x02\x00\x00\x00\x00\x01"
)

func mine() mac { return mac([]byte(attackerMAC)) }

// battlefield is the ward in which eni-train lets everything in and out, with all that a VPC can have.
func battlefield() *netmodel.VPC {
	v := withDialer()
	v.Interfaces[0].Groups = []string{"sg-open"}
	v.Attachments = []netmodel.Attachment{{ID: attachmentOf(50), Gateway: "tgw-1"}}
	for i := range v.RouteTables {
		v.RouteTables[i].Routes = []netmodel.Route{{CIDR: netip.MustParsePrefix("10.60.0.0/15"), Target: attachmentOf(50)},
			{CIDR: netip.MustParsePrefix("10.70.0.0/16"), Target: attachmentOf(50)}}
	}
	v.Endpoints = append(v.Endpoints,
		netmodel.Endpoint{ID: "nat-1", Type: netmodel.NATGateway, Service: "nat", Ports: []uint16{80, 443, 3128},
			Addresses: []netmodel.EndpointAddress{{Subnet: "subnet-a", Address: netip.MustParseAddr(natIP)}}},
		netmodel.Endpoint{ID: "vpce-other", Type: netmodel.GatewayEndpoint, Service: "dynamodb", Ports: []uint16{443}, PrefixList: "pl-other",
			RouteTables: []string{"rtb-none"}, Addresses: []netmodel.EndpointAddress{{Address: netip.MustParseAddr(otherS3)}},
			Names: []string{"dynamodb.us-east-1.amazonaws.com"}})
	return v
}

func newArena(t *testing.T) *arena {
	t.Helper()
	t.Parallel()
	l := newLab(t)
	v, twin, far, lost := battlefield(), ward("vpc-9"), plain(60, 1), plain(70, 1)
	twin.Account = "999999999999"
	for i := range twin.Interfaces {
		twin.Interfaces[i].ID = "twin-" + twin.Interfaces[i].ID
	}
	for _, v := range []*netmodel.VPC{v, twin, far, lost} {
		l.apply(v)
	}
	g := joining(50, 60, 70)
	g.Attachments[0].VPC = v.ID
	g.RouteTables[0].Routes[2].Attachment = "" // a black hole
	l.applyTransit(g)
	a := &arena{lab: l}
	join := func(v *netmodel.VPC, name, id string) string {
		path, err := l.Attach(t.Context(), v.ID, *find(t, v, id))
		if err != nil {
			t.Fatal(err)
		}
		a.posts = append(a.posts, post{name, openWire(t, path, ""), false, 0})
		return path
	}
	a.wire = openWire(t, join(v, "attacker", "eni-train"), inner)
	inbox(t, join(v, "friend", "eni-open"), friendIP+":9999") // so that it does not complain of fences
	join(v, "closed", "eni-db")
	join(v, "lone", "eni-lone")
	join(twin, "twin", "twin-eni-open")
	join(far, "far", "eni-60-0")
	join(lost, "lost", "eni-70-0")
	watch := func(name, path string, beyond int) {
		p := post{name, openWire(t, path, ""), true, 0}
		if beyond != 0 {
			p.beyond = deviceIndex(t, path, netmodel.TransitDevice(attachmentOf(beyond)))
		}
		a.posts = append(a.posts, p)
	}
	watch("router", l.path(kindVPC, v.ID), 50)
	watch("transit gateway", l.path(kindTransit, "tgw-1"), 60)
	watch("router of twin", l.path(kindVPC, twin.ID), 0)
	watch("router of far", l.path(kindVPC, far.ID), 0)
	watch("router of lost", l.path(kindVPC, lost.ID), 0)
	a.ears = openEars(t, l.path(kindVPC, v.ID))
	return a
}

// toRouter is a frame with a packet of the attacker's.
func toRouter(p v4) []byte { return ether(routerMAC, mine(), 0x0800, p.bytes()) }

// settled sends an honest packet and waits until it has arrived: what was sent before it has been dealt with. It returns
// what was heard meanwhile besides that packet.
func (a *arena) settled() []string {
	a.t.Helper()
	a.fence++
	mark := fmt.Sprintf("fence %d of %d;", a.fence, os.Getpid())
	a.wire.send(toRouter(v4{src: attackerIP, dst: friendIP, protocol: 17, payload: datagram(9998, 9999, mark)}))
	var heard []string
	note := func(p *post, s seen) (last bool) {
		if !p.counts(s) {
			return false
		}
		if bytes.Contains(s.frame, []byte(mark)) {
			return p.name == "friend"
		}
		heard = append(heard, fmt.Sprintf("%s: %.80x", p.name, s.frame))
		return false
	}
	for i := range a.posts { // the friend first: when he has it, so have those on the way
		for p := &a.posts[i]; p.name == "friend"; {
			s, ok := p.wire.next(true)
			if !ok {
				a.t.Fatal("an honest packet was lost")
			}
			if note(p, s) {
				break
			}
		}
	}
	for i := range a.posts {
		for {
			s, ok := a.posts[i].wire.next(false)
			if !ok {
				break
			}
			note(&a.posts[i], s)
		}
	}
	for _, p := range a.ears.heard() {
		heard = append(heard, fmt.Sprintf("router itself: %.80x", p))
	}
	return heard
}

// silent sends frames of which nobody may hear anything, not even the sender.
func (a *arena) silent(name string, frames ...[]byte) {
	a.t.Helper()
	a.wire.send(frames...)
	if heard := a.settled(); len(heard) > 0 {
		a.t.Errorf("%s: heard by %q", name, heard)
	}
}

// arrives sends frames and waits until text is heard at a post: the proof that the tool works.
func (a *arena) arrives(at, text string, frames ...[]byte) {
	a.t.Helper()
	a.settled()
	a.wire.send(frames...)
	a.hears(at, text)
	a.settled()
}

// hears waits until text comes to a post.
func (a *arena) hears(at, text string) seen {
	a.t.Helper()
	for i := range a.posts {
		for p := &a.posts[i]; p.name == at; {
			s, ok := p.wire.next(true)
			if !ok {
				a.t.Errorf("%s does not hear %.80q", at, text)
				return s
			}
			if p.counts(s) && bytes.Contains(s.frame, []byte(text)) {
				return s
			}
		}
	}
	panic("nobody is called " + at)
}

func deviceIndex(t *testing.T, path, name string) (index int) {
	t.Helper()
	if err := inside(path, func() error {
		link, err := net.InterfaceByName(name)
		if err == nil {
			index = link.Index
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return index
}
