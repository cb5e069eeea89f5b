package fabric

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"bawn.dev/internal/netmodel"
)

// neighbours are what a router knows of who is where.
func (a *arena) neighbours() []string {
	a.t.Helper()
	var out []string
	err := inside(a.path(kindVPC, "vpc-1"), func() error {
		all, err := netlink.NeighList(0, netlink.FAMILY_ALL)
		for _, n := range all {
			if n.State != netlink.NUD_NOARP {
				out = append(out, fmt.Sprintf("%d %s is %s, %d", n.LinkIndex, n.IP, n.HardwareAddr, n.State))
			}
		}
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// By ARP a workload learns where its gateway is, and nothing else; and nothing that it says is believed.
func TestAddressesCannotBeClaimed(t *testing.T) {
	a := newArena(t)
	before := a.neighbours()
	const request, answer, reverse, reverseAnswer = 1, 2, 3, 4
	gateway, own := netmodel.Gateway.String(), attackerIP
	a.arrives("attacker", string([]byte{0, 2, 2, 0, 169, 254, 1, 1, 169, 254, 1, 1}), ether(everybody, mine(), 0x0806, arp(request, mine(), own, mac{}, gateway)))
	for _, target := range []string{friendIP, closedIP, own, "10.50.0.2", "10.50.0.200", natIP, dialer, otherS3, farIP, "169.254.169.253", "169.254.169.254", "169.254.170.2",
		"169.254.1.2", "127.0.0.1", "0.0.0.0", "203.0.113.1", "224.0.0.1", "255.255.255.255"} {
		for _, to := range []mac{everybody, routerMAC} { // a router that were a proxy would answer
			a.silent("who has "+target, ether(to, mine(), 0x0806, arp(request, mine(), own, mac{}, target)))
		}
		for _, op := range []uint16{request, answer} {
			a.silent("I am "+target, ether(everybody, mine(), 0x0806, arp(op, mine(), target, mine(), target)))
			a.silent("I am "+target+", to the router", ether(routerMAC, mine(), 0x0806, arp(op, mine(), target, routerMAC, target)))
		}
		a.silent(target+" is there", ether(routerMAC, nobodyMAC, 0x0806, arp(answer, nobodyMAC, target, routerMAC, gateway)))
		if target != own && target != "0.0.0.0" { // who has no address yet may ask whether one is taken
			a.silent(target+" asks for the gateway", ether(everybody, mine(), 0x0806, arp(request, mine(), target, mac{}, gateway)))
		}
		for _, op := range []uint16{reverse, reverseAnswer, 8, 9} {
			a.silent("RARP", ether(everybody, mine(), 0x8035, arp(op, mine(), target, mine(), target)), ether(everybody, mine(), 0x0806, arp(op, mine(), target, mine(), target)))
		}
	}
	// A table of neighbours is one for the whole machine: many who ask must not fill it.
	for i := range 3000 {
		from := netip.AddrFrom4([4]byte{10, 50, 0xc0 | byte(i>>8), byte(i)}).String()
		a.wire.send(ether(routerMAC, mac{2, 0xba, 0xd0, 0, byte(i >> 8), byte(i)}, 0x0806, arp(request, nobodyMAC, from, mac{}, gateway)))
	}
	a.silent("a flood of ARP")
	if after := a.neighbours(); !slices.Equal(before, after) {
		t.Errorf("the router believed:\n%q\n%q", before, after)
	}
}

// Frames of every kind that IPv4 can be hidden in, and of those that are not IPv4. What an honest packet may, it may with
// a priority tag; nothing else is unpacked.
func TestFramesOfOtherKinds(t *testing.T) {
	a := newArena(t)
	tagged := func(id uint16, kind uint16, inner []byte) []byte {
		return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, id), kind), inner...)
	}
	honest := func(text string) []byte {
		return v4{src: attackerIP, dst: friendIP, protocol: 17, payload: datagram(1, 9999, text)}.bytes()
	}
	forged := v4{src: closedIP, dst: friendIP, protocol: 17, payload: datagram(1, 9999, "forged")}.bytes()
	closed := v4{src: attackerIP, dst: closedIP, protocol: 17, payload: datagram(1, 5432, "closed")}.bytes()
	a.arrives("friend", "as it should be", ether(routerMAC, mine(), 0x0800, honest("as it should be")))
	a.arrives("friend", "with a priority", ether(routerMAC, mine(), 0x8100, tagged(0xe000, 0x0800, honest("with a priority"))))
	for _, inner := range [][]byte{forged, closed} {
		for _, id := range []uint16{0, 0xe000, 1, 0x1000, 4095} {
			for _, tag := range []uint16{0x8100, 0x88a8, 0x9100} {
				a.silent("a tag", ether(routerMAC, mine(), tag, tagged(id, 0x0800, inner)))
				a.silent("two tags", ether(routerMAC, mine(), tag, tagged(id, 0x8100, tagged(id, 0x0800, inner))))
			}
		}
	}
	for _, inner := range [][]byte{honest("a"), forged, closed} {
		for _, id := range []uint16{1, 7, 4094} {
			a.silent("a tag", ether(routerMAC, mine(), 0x8100, tagged(id, 0x0800, inner)))
			a.silent("two tags", ether(routerMAC, mine(), 0x88a8, tagged(id, 0x8100, tagged(id, 0x0800, inner))))
		}
		for name, f := range map[string][]byte{
			"PPPoE":                  ether(routerMAC, mine(), 0x8864, append([]byte{0x11, 0, 0, 1, 0, byte(len(inner) + 2), 0, 0x21}, inner...)),
			"PPPoE, discovery":       ether(everybody, mine(), 0x8863, []byte{0x11, 9, 0, 0, 0, 0}),
			"MPLS":                   ether(routerMAC, mine(), 0x8847, append([]byte{0, 0, 0x11, 64}, inner...)),
			"MPLS, null label":       ether(routerMAC, mine(), 0x8847, append([]byte{0, 0, 0x01, 64}, inner...)),
			"MPLS, many":             ether(routerMAC, mine(), 0x8848, append([]byte{0, 0, 0x01, 64}, inner...)),
			"LLDP":                   ether(mac{1, 0x80, 0xc2, 0, 0, 0xe}, mine(), 0x88cc, inner),
			"spanning tree":          ether(mac{1, 0x80, 0xc2}, mine(), 38, append([]byte{0x42, 0x42, 3}, inner...)),
			"802.3 with SNAP":        ether(routerMAC, mine(), uint16(8+len(inner)), append([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, inner...)),
			"loopback test":          ether(routerMAC, mine(), 0x9000, inner),
			"MACsec":                 ether(routerMAC, mine(), 0x88e5, inner),
			"EAPOL":                  ether(mac{1, 0x80, 0xc2, 0, 0, 3}, mine(), 0x888e, inner),
			"Ethernet over Ethernet": ether(routerMAC, mine(), 0x6558, ether(routerMAC, mine(), 0x0800, inner)),
			"batman":                 ether(routerMAC, mine(), 0x4305, inner),
			"an unknown kind":        ether(routerMAC, mine(), 0x88b5, inner),
			"IPv6 that is IPv4":      ether(routerMAC, mine(), 0x86dd, inner),
			"IPv4 that is IPv6":      ether(routerMAC, mine(), 0x0800, v6("fe80::1", "fe80::2", 17, inner)),
			"to another":             ether(nobodyMAC, mine(), 0x0800, inner),
			"to all":                 ether(everybody, mine(), 0x0800, inner),
			"to a group":             ether(mac{1, 0, 0x5e, 0, 0, 1}, mine(), 0x0800, inner),
			"to itself":              ether(mine(), mine(), 0x0800, inner),
			"an empty frame":         ether(routerMAC, mine(), 0x0800, nil),
			"a short one":            ether(routerMAC, mine(), 0x0800, inner[:19]),
			"one cut short":          ether(routerMAC, mine(), 0x0800, inner[:26]),
		} {
			a.silent(name, f)
		}
	}
	// Who sent a frame says nothing of who sent the packet.
	for _, from := range []mac{routerMAC, everybody, {}, nobodyMAC, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 5}} {
		text := fmt.Sprintf("from %x", from)
		a.arrives("friend", text, ether(routerMAC, from, 0x0800, honest(text)))
		a.silent(text, ether(routerMAC, from, 0x0800, forged), ether(routerMAC, from, 0x0800, closed))
	}
	for i := range 300 {
		a.wire.send(ether(routerMAC, mac{2, 0xba, 0xd0, 1, byte(i >> 8), byte(i)}, 0x0800, forged))
	}
	a.silent("many addresses")
}

// A workload that is root makes its end of the link as wide as it likes: the router's end stays as it is.
func TestJumboFrames(t *testing.T) {
	a := newArena(t)
	path, _ := a.NetNS("eni-train")
	if err := inside(path, func() error {
		link, err := netlink.LinkByName(inner)
		if err != nil {
			return err
		}
		return netlink.LinkSetMTU(link, 65535)
	}); err != nil {
		t.Fatal(err)
	}
	large := func(size int) []byte {
		text := fmt.Sprintf("%d bytes;", size)
		return toRouter(v4{src: attackerIP, dst: friendIP, protocol: 17, payload: datagram(1, 9999, text+string(make([]byte, size-28-len(text))))})
	}
	a.arrives("friend", "9001 bytes;", large(netmodel.MTU))
	for _, size := range []int{netmodel.MTU + 19, 20000, 65000} {
		a.silent(fmt.Sprint(size), large(size))
	}
}

// IPv6, on a wire on which nobody speaks it.
func TestIPv6IsNotHeard(t *testing.T) {
	a := newArena(t)
	before := a.neighbours()
	all6 := mac{0x33, 0x33, 0, 0, 0, 1}
	const own, router = "fe80::ff:fe00:1", "fe80::a9ff:fefe:101"
	solicit := func(kind byte, target string) []byte {
		b := netip.MustParseAddr(target).As16()
		return append(append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, b[:]...), 1, 1, 2, 0, 0, 0, 0, 1)
	}
	inner := v4{src: attackerIP, dst: friendIP, protocol: 17, payload: datagram(1, 9999, "inner")}.bytes()
	for name, p := range map[string][]byte{
		"router solicitation":       v6(own, "ff02::2", 58, icmp(133, 0, "\x00\x00\x00\x00")),
		"router advertisement":      v6(own, "ff02::1", 58, icmp(134, 0, "\x40\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00")),
		"neighbour solicitation":    v6(own, "ff02::1:fffe:101", 58, solicit(135, router)),
		"neighbour advertisement":   v6(own, "ff02::1", 58, solicit(136, router)),
		"redirect":                  v6(router, own, 58, solicit(137, own)),
		"echo to all nodes":         v6(own, "ff02::1", 58, icmp(128, 0, "\x00\x01\x00\x01")),
		"echo to the router":        v6(own, router, 58, icmp(128, 0, "\x00\x01\x00\x01")),
		"MLD":                       v6(own, "ff02::16", 0, append([]byte{58, 0, 5, 2, 0, 0, 1, 0}, icmp(143, 0, "\x00\x00\x00\x00")...)),
		"DHCPv6":                    v6(own, "ff02::1:2", 17, datagram(546, 547, "\x01\x00\x00\x01")),
		"mDNS":                      v6(own, "ff02::fb", 17, datagram(5353, 5353, "x")),
		"an IPv4-mapped address":    v6("::ffff:"+attackerIP, "::ffff:"+friendIP, 17, datagram(1, 9999, "mapped")),
		"6to4":                      v6("2002:0a32:000a::1", "2002:0a32:010b::1", 17, datagram(1, 9999, "6to4")),
		"loopback":                  v6("::1", "::1", 17, datagram(1, 53, "x")),
		"IPv4 in IPv6":              v6(own, router, 4, inner),
		"a source route":            v6(own, router, 43, append([]byte{17, 2, 0, 1, 0, 0, 0, 0}, inner...)),
		"a packet with no next one": v6(own, router, 59, nil),
	} {
		for _, to := range []mac{routerMAC, all6, everybody, {2, 0, 0, 0, 0, 5}} {
			a.silent(name, ether(to, mine(), 0x86dd, p))
		}
	}
	if after := a.neighbours(); !slices.Equal(before, after) {
		t.Errorf("the router believed:\n%q\n%q", before, after)
	}
}
