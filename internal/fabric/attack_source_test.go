package fabric

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"bawn.dev/internal/netmodel"
)

// everyAddress is at least one of each kind of address that a packet could bear.
var everyAddress = []string{
	friendIP, closedIP, "10.50.0.12", "10.50.0.99", "10.50.0.0", "10.50.0.1", "10.50.0.255", "10.50.255.255", // the VPC's
	"10.50.0.2", "10.50.0.200", natIP, dialer, "169.254.171.1", otherS3, "169.254.171.77", // its services'
	"169.254.1.1", "169.254.1.2", "169.254.169.253", "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.169.123", "169.254.0.1", "169.254.255.255",
	"127.0.0.1", "127.0.0.53", "127.255.255.254", "0.0.0.0", "0.0.0.1", "224.0.0.1", "224.0.0.251", "239.255.255.250", "240.0.0.1", "255.255.255.255",
	farIP, "10.60.0.2", lostIP, "10.61.0.10", "203.0.113.9", "192.168.1.1", "172.17.0.1", "100.100.100.200", "8.8.8.8",
}

// Whatever source a packet claims, only the workload's own gets it anywhere; to no place, with no content, by no tool of the
// kernel's that writes packets for others.
func TestNoOtherSource(t *testing.T) {
	a := newArena(t)
	contents := map[int][]byte{
		1:  icmp(8, 0, "\x00\x01\x00\x01forged"),
		6:  segment{from: "10.50.0.10:7", to: friendIP + ":80", flags: syn}.packet().payload,
		17: datagram(53, 9999, "forged"),
		50: []byte("a packet of IPsec's"),
	}
	for protocol, content := range contents {
		a.arrives("friend", string(content), toRouter(v4{src: attackerIP, dst: friendIP, protocol: protocol, payload: content}))
	}
	a.arrives("far", "forged", toRouter(v4{src: attackerIP, dst: farIP, protocol: 17, payload: contents[17]}))
	for _, from := range everyAddress {
		for _, to := range []string{friendIP, closedIP, farIP, from, attackerIP, "10.50.0.2", "169.254.169.253", "169.254.170.2", "10.50.0.200", dialer} {
			for protocol, content := range contents {
				a.silent(fmt.Sprintf("%d from %s to %s", protocol, from, to), toRouter(v4{src: from, dst: to, protocol: protocol, payload: content}))
			}
		}
	}
}

// To what a workload may send by protocol, it may with every one; to what no rule admits, with none.
func TestNoOtherDestination(t *testing.T) {
	a := newArena(t)
	for protocol := range 256 {
		text := fmt.Sprintf("a packet of protocol %d", protocol)
		content := []byte(text)
		switch protocol {
		case 1:
			content = icmp(13, 0, text)
		case 6:
			content = segment{from: "10.50.0.10:7", to: friendIP + ":80", flags: syn, payload: text}.packet().payload
		case 17:
			content = datagram(9, 9998, text)
		}
		switch protocol {
		case 33, 58, 132, 136: // whose content connection tracking, or the kernel, reads
		default:
			a.arrives("friend", text, toRouter(v4{src: attackerIP, dst: friendIP, protocol: protocol, payload: content}))
		}
		var frames [][]byte
		for _, to := range everyAddress[1:] {
			if to == farIP || to == "169.254.169.254" && protocol != 2 { // which is allowed, or refused aloud
				continue
			}
			frames = append(frames, toRouter(v4{src: attackerIP, dst: to, protocol: protocol, payload: content}),
				ether(everybody, mine(), 0x0800, v4{src: attackerIP, dst: to, protocol: protocol, payload: content}.bytes()))
		}
		a.silent(text, frames...)
	}
}

// What is spoken between neighbours on other networks, to discover and to configure, is not heard here.
func TestNeighboursAreNotDiscovered(t *testing.T) {
	a := newArena(t)
	group := func(ip string) mac {
		b := netip.MustParseAddr(ip).As4()
		return mac{1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	router := []byte{0x94, 4, 0, 0} // the option by which IGMP calls routers
	dhcp := append(append([]byte{1, 1, 6, 0}, make([]byte, 232)...), 99, 130, 83, 99, 53, 1, 1, 255)
	for name, p := range map[string]v4{
		"DHCP":               {src: "0.0.0.0", dst: "255.255.255.255", protocol: 17, payload: datagram(68, 67, string(dhcp))},
		"DHCP, unicast":      {src: attackerIP, dst: "169.254.1.1", protocol: 17, payload: datagram(68, 67, string(dhcp))},
		"mDNS":               {src: attackerIP, dst: "224.0.0.251", protocol: 17, payload: datagram(5353, 5353, "x")},
		"LLMNR":              {src: attackerIP, dst: "224.0.0.252", protocol: 17, payload: datagram(5355, 5355, "x")},
		"SSDP":               {src: attackerIP, dst: "239.255.255.250", protocol: 17, payload: datagram(1900, 1900, "M-SEARCH * HTTP/1.1\r\n\r\n")},
		"IGMP, join":         {src: attackerIP, dst: "224.0.0.22", protocol: 2, options: router, payload: icmp(0x22, 0, "\x00\x00\x00\x01\x04\x00\x00\x00\xef\xff\xff\xfa")},
		"IGMP, leave":        {src: attackerIP, dst: "224.0.0.2", protocol: 2, payload: icmp(0x17, 0, "\xef\xff\xff\xfa")},
		"IGMP, query":        {src: attackerIP, dst: "224.0.0.1", protocol: 2, options: router, payload: icmp(0x11, 1, "\x00\x00\x00\x00")},
		"PIM":                {src: attackerIP, dst: "224.0.0.13", protocol: 103, payload: icmp(0x20, 0, "\x00\x01\x00\x02\x00\x69")},
		"OSPF":               {src: attackerIP, dst: "224.0.0.5", protocol: 89, payload: []byte{2, 1, 0, 44}},
		"VRRP":               {src: attackerIP, dst: "224.0.0.18", protocol: 112, payload: []byte{0x31, 1, 255, 1}},
		"RIP":                {src: attackerIP, dst: "224.0.0.9", protocol: 17, payload: datagram(520, 520, "\x01\x02\x00\x00")},
		"NTP":                {src: attackerIP, dst: "169.254.169.123", protocol: 17, payload: datagram(123, 123, "\x1b")},
		"NetBIOS":            {src: attackerIP, dst: "10.50.0.255", protocol: 17, payload: datagram(137, 137, "x")},
		"wake on LAN":        {src: attackerIP, dst: "255.255.255.255", protocol: 17, payload: datagram(9, 9, "\xff\xff\xff\xff\xff\xff")},
		"router discovery":   {src: attackerIP, dst: "224.0.0.2", protocol: 1, payload: icmp(10, 0, "\x00\x00\x00\x00")},
		"I am a router":      {src: attackerIP, dst: "224.0.0.1", protocol: 1, payload: icmp(9, 0, "\x01\x02\x07\x08\x0a\x32\x00\x0a\x00\x00\x00\x01")},
		"timestamp request":  {src: attackerIP, dst: "169.254.1.1", protocol: 1, payload: icmp(13, 0, "\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
		"address mask":       {src: attackerIP, dst: "169.254.1.1", protocol: 1, payload: icmp(17, 0, "\x00\x01\x00\x01\x00\x00\x00\x00")},
		"extended echo":      {src: attackerIP, dst: "169.254.1.1", protocol: 1, payload: icmp(42, 0, "\x00\x01\x00\x01\x00\x0c\x03\x01\x00\x01\x04\x00\x0a\x32\x00\x0b")},
		"redirect":           {src: attackerIP, dst: "169.254.1.1", protocol: 1, payload: icmp(5, 1, "\x0a\x32\x00\x0a"+string(v4{src: friendIP, dst: closedIP, protocol: 17, payload: datagram(1, 2, "")}.bytes()))},
		"NAT port mapping":   {src: attackerIP, dst: "169.254.1.1", protocol: 17, payload: datagram(5351, 5351, "\x00\x02\x00\x00\x00\x16\x00\x16\x00\x00\x0e\x10")},
		"EC2's other tokens": {src: attackerIP, dst: "169.254.169.254", protocol: 2, payload: []byte("x")},
	} {
		dst := netip.MustParseAddr(p.dst)
		a.silent(name, ether(routerMAC, mine(), 0x0800, p.bytes()), ether(everybody, mine(), 0x0800, p.bytes()))
		if dst.IsMulticast() {
			a.silent(name, ether(group(p.dst), mine(), 0x0800, p.bytes()))
		}
	}
}

// A packet cannot say by which way it goes, nor have its way written down.
func TestOptionsLeadNowhere(t *testing.T) {
	a := newArena(t)
	route := func(kind byte, hops ...string) []byte {
		b := []byte{1, kind, byte(3 + 4*len(hops)), 4}
		for _, h := range hops {
			ip := netip.MustParseAddr(h).As4()
			b = append(b, ip[:]...)
		}
		return b
	}
	const loose, strict = 0x83, 0x89
	with := func(to, text string, options []byte) []byte {
		return toRouter(v4{src: attackerIP, dst: to, protocol: 17, options: options, payload: datagram(1, 9998, text)})
	}
	a.arrives("friend", "idle options", with(friendIP, "idle options", []byte{1, 1, 1, 0}))
	for _, kind := range []byte{loose, strict} {
		for _, hop := range []string{closedIP, lostIP, "10.50.0.2", "169.254.170.2", natIP, "203.0.113.9", friendIP} {
			for _, to := range []string{friendIP, farIP, "10.50.0.2", "169.254.169.253", "169.254.1.1"} {
				a.wire.send(with(to, "by "+hop, route(kind, hop)), with(to, "by "+hop, route(kind, hop, closedIP)))
				for _, h := range a.settled() { // the friend and the far one are routers no more than this one is
					t.Errorf("a route by %s and %s: %s", to, hop, h)
				}
			}
		}
	}
	for name, options := range map[string][]byte{
		"a stream id":       {0x88, 4, 0, 1},
		"a security label":  append([]byte{0x82, 11}, make([]byte, 10)...),
		"CIPSO":             {0x86, 12, 0, 0, 0, 1, 1, 6, 0, 0, 0, 0},
		"one without end":   {0x83, 200, 4, 0},
		"one without size":  {7, 0, 4, 0},
		"a pointer past it": {7, 7, 255, 0, 0, 0, 0, 0},
	} {
		for _, to := range []string{closedIP, "10.50.0.2", "169.254.170.2"} {
			a.wire.send(with(to, name, options)) // the router may complain to the sender
			for _, h := range a.settled() {
				if !strings.HasPrefix(h, "attacker: ") && !strings.HasPrefix(h, "router: "+fmt.Sprintf("%x", mine())) {
					t.Errorf("%s to %s: %s", name, to, h)
				}
			}
			a.silent(name, toRouter(v4{src: friendIP, dst: to, protocol: 17, options: options, payload: datagram(1, 9998, name)}))
		}
	}
}

// Packets within packets: the router takes none apart, and between two who may exchange everything they are what they are.
func TestNothingIsUnpacked(t *testing.T) {
	a := newArena(t)
	inner := v4{src: closedIP, dst: friendIP, protocol: 17, payload: datagram(1, 9999, "inside")}.bytes()
	toClosed := v4{src: attackerIP, dst: closedIP, protocol: 6, payload: segment{from: attackerIP + ":5", to: closedIP + ":5432", flags: syn}.packet().payload}.bytes()
	for _, inner := range [][]byte{inner, toClosed} {
		frame := ether(routerMAC, mine(), 0x0800, inner)
		udp := func(port uint16, header string, what []byte) v4 {
			return v4{protocol: 17, payload: datagram(port, port, header+string(what))}
		}
		raw := func(protocol int, header string, what []byte) v4 {
			return v4{protocol: protocol, payload: append([]byte(header), what...)}
		}
		for name, p := range map[string]v4{
			"IPIP":          raw(4, "", inner),
			"GRE":           raw(47, "\x00\x00\x08\x00", inner),
			"GRE, Ethernet": raw(47, "\x20\x00\x65\x58\x00\x00\x00\x01", frame),
			"NVGRE":         raw(47, "\x20\x00\x65\x58\x00\x00\x01\x00", frame),
			"ERSPAN":        raw(47, "\x10\x00\x88\xbe\x00\x00\x00\x00\x10\x01\x00\x00\x00\x00\x00\x00", frame),
			"6in4":          raw(41, "", v6("2002:0a32:000b::1", "2002:0a32:010b::1", 17, datagram(1, 9999, "inside"))),
			"ESP":           raw(50, "\x00\x00\x00\x01\x00\x00\x00\x01", inner),
			"AH":            raw(51, "\x04\x04\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01", append(make([]byte, 12), inner...)),
			"L2TP":          raw(115, "\x00\x00\x00\x01", frame),
			"SCTP":          raw(132, "\x00\x01\x00\x50\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x14", inner),
			"EtherIP":       raw(97, "\x30\x00", frame),
			"MPLS in IP":    raw(137, "\x00\x00\x01\x40", inner),
			"UDP-Lite":      raw(136, "\x00\x01\x27\x0f\x00\x08\x00\x00", inner),
			"VXLAN":         udp(4789, "\x08\x00\x00\x00\x00\x00\x01\x00", frame),
			"VXLAN, Linux":  udp(8472, "\x08\x00\x00\x00\x00\x00\x01\x00", frame),
			"Geneve":        udp(6081, "\x00\x00\x65\x58\x00\x00\x01\x00", frame),
			"GTP":           udp(2152, "\x30\xff\x00\x54\x00\x00\x00\x01", inner),
			"Teredo":        udp(3544, "", v6("2001:0:0a32:2::1", "2001:0:0a32:10b::1", 17, datagram(1, 9999, "inside"))),
			"WireGuard":     udp(51820, "\x01\x00\x00\x00\x01\x00\x00\x00", inner),
			"ESP in UDP":    udp(4500, "\x00\x00\x00\x01\x00\x00\x00\x01", inner),
			"foo over UDP":  udp(5555, "", inner),
			"MPLS in UDP":   udp(6635, "\x00\x00\x01\x40", inner),
		} {
			for _, to := range []string{closedIP, "169.254.1.1", "10.50.0.2", "169.254.169.253", "169.254.170.2", "10.50.0.200", "169.254.171.1", otherS3, natIP, dialer, lostIP, "10.60.0.2", "203.0.113.9"} {
				p := p
				p.src, p.dst = attackerIP, to
				a.silent(name+" to "+to, toRouter(p))
				p.src = friendIP // as the other end of a tunnel would
				a.silent(name+" from another, to "+to, toRouter(p))
			}
			if p.protocol == 132 || p.protocol == 136 { // which connection tracking finds malformed
				continue
			}
			p.src, p.dst = attackerIP, friendIP
			a.arrives("friend", string(p.payload), toRouter(p))
			p.dst = farIP
			a.arrives("far", string(p.payload), toRouter(p))
		}
	}
}

// Addresses of other networks, of this one's parts that have no route, and of those who only speak.
func TestNothingAcross(t *testing.T) {
	a := newArena(t)
	v := battlefield()
	for _, to := range []string{lostIP, "10.70.0.2", "10.60.0.2", "10.61.0.10", "10.60.0.99", "10.71.0.1", natIP, dialer, otherS3, "10.50.0.200"} {
		for _, port := range []uint16{1, 53, 80, 443, 3128, 9999} {
			syn := segment{from: attackerIP + ":4000", to: netip.AddrPortFrom(netip.MustParseAddr(to), port).String(), flags: syn}.packet()
			a.silent(fmt.Sprintf("%s:%d", to, port), toRouter(syn), toRouter(v4{src: attackerIP, dst: to, protocol: 17, payload: datagram(4000, port, "x")}))
		}
		a.silent("ping "+to, toRouter(v4{src: attackerIP, dst: to, protocol: 1, payload: icmp(8, 0, "\x00\x01\x00\x01")}))
	}
	// Without the association, or the route back to whom it came from, the far one is as far as any.
	a.arrives("far", "while it may", toRouter(v4{src: attackerIP, dst: farIP, protocol: 17, payload: datagram(1, 9999, "while it may")}))
	g := joining(50, 60, 70)
	g.Attachments[0].VPC, g.Attachments[0].RouteTable = v.ID, ""
	a.applyTransit(g)
	a.wire.send(toRouter(v4{src: attackerIP, dst: farIP, protocol: 17, payload: datagram(1, 9999, "no longer")}))
	for _, h := range a.settled() {
		if at := h[:3]; at != "rou" && at != "tra" { // from the VPC to the gateway, and there it ends
			t.Error(h)
		}
	}
	v.RouteTables[0].Routes = []netmodel.Route{{CIDR: netip.MustParsePrefix("0.0.0.0/0"), Target: "igw-1"}}
	a.apply(v)
	for _, to := range []string{farIP, lostIP, "203.0.113.9", "8.8.8.8", natIP, "169.254.0.1"} {
		a.silent("by an internet gateway to "+to, toRouter(v4{src: attackerIP, dst: to, protocol: 17, payload: datagram(1, 443, "x")}))
	}
	// A checksum of IP's that is wrong, a time that has run out: no complaint goes to whom the packet names.
	dying := v4{src: attackerIP, dst: friendIP, protocol: 17, payload: datagram(1, 9999, "dying")}.bytes()
	wrong := append([]byte{}, dying...)
	wrong[10] ^= 0xff
	a.silent("a wrong checksum", ether(routerMAC, mine(), 0x0800, wrong))
	dying[8], dying[10], dying[11] = 1, 0, 0
	binary.BigEndian.PutUint16(dying[10:], checksum(dying[:20]))
	a.arrives("attacker", "dying", ether(routerMAC, mine(), 0x0800, dying))
	forged := v4{src: closedIP, dst: friendIP, protocol: 17, payload: datagram(1, 9999, "dying")}.bytes()
	forged[8], forged[10], forged[11] = 1, 0, 0
	binary.BigEndian.PutUint16(forged[10:], checksum(forged[:20]))
	a.silent("a time that has run out, of another's", ether(routerMAC, mine(), 0x0800, forged))
}
