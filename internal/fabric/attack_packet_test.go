package fabric

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

type mac = [6]byte

var (
	everybody = mac{255, 255, 255, 255, 255, 255}
	nobodyMAC = mac{2, 0xba, 0xd0, 0, 0, 1}
)

// ether is a frame.
func ether(dst, src mac, kind uint16, payload []byte) []byte {
	b := append(append(make([]byte, 0, 14+len(payload)), dst[:]...), src[:]...)
	return append(binary.BigEndian.AppendUint16(b, kind), payload...)
}

// v4 is an IPv4 packet, of which what is zero is what it would be in any.
type v4 struct {
	src, dst string
	protocol int
	options  []byte // a multiple of four
	id       uint16
	fragment uint16 // flags and offset
	payload  []byte
}

func (p v4) bytes() []byte {
	size := 20 + len(p.options)
	b := make([]byte, size, size+len(p.payload))
	b[0], b[8], b[9] = 0x40|byte(size/4), 64, byte(p.protocol)
	binary.BigEndian.PutUint16(b[2:], uint16(size+len(p.payload)))
	binary.BigEndian.PutUint16(b[4:], p.id)
	binary.BigEndian.PutUint16(b[6:], p.fragment)
	src, dst := netip.MustParseAddr(p.src).As4(), netip.MustParseAddr(p.dst).As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	copy(b[20:], p.options)
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, p.payload...)
}

// datagram is the content of a packet: UDP without a checksum.
func datagram(from, to uint16, payload string) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// TCP flags.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// segment is a TCP segment. Unlike a datagram it needs a checksum, over addresses too.
type segment struct {
	from, to string
	flags    byte
	seq, ack uint32
	payload  string
}

func (s segment) packet() v4 {
	from, to := addrPort(s.from), addrPort(s.to)
	b := make([]byte, 20, 21+len(s.payload))
	binary.BigEndian.PutUint16(b, from.Port())
	binary.BigEndian.PutUint16(b[2:], to.Port())
	binary.BigEndian.PutUint32(b[4:], s.seq)
	binary.BigEndian.PutUint32(b[8:], s.ack)
	b[12], b[13], b[14] = 5<<4, s.flags, 0xff
	b = append(b, s.payload...)
	src, dst := from.Addr().As4(), to.Addr().As4()
	pseudo := append(append([]byte{}, src[:]...), dst[:]...)
	pseudo = binary.BigEndian.AppendUint16(append(pseudo, 0, unix.IPPROTO_TCP), uint16(len(b)))
	sum := append(pseudo, b...)
	if len(sum)%2 == 1 {
		sum = append(sum, 0)
	}
	binary.BigEndian.PutUint16(b[16:], checksum(sum))
	return v4{src: from.Addr().String(), dst: to.Addr().String(), protocol: unix.IPPROTO_TCP, payload: b}
}

// icmp is the content of an ICMP packet.
func icmp(kind, code byte, rest string) []byte {
	b := append([]byte{kind, code, 0, 0}, rest...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return b
}

// arp is an ARP packet of any operation.
func arp(operation uint16, from mac, fromIP string, to mac, toIP string) []byte {
	a, b := netip.MustParseAddr(fromIP).As4(), netip.MustParseAddr(toIP).As4()
	p := binary.BigEndian.AppendUint16([]byte{0, 1, 8, 0, 6, 4}, operation)
	p = append(append(p, from[:]...), a[:]...)
	return append(append(append(p, to[:]...), b[:]...), make([]byte, 18)...)
}

// v6 is an IPv6 packet.
func v6(src, dst string, next byte, payload []byte) []byte {
	b := []byte{0x60, 0, 0, 0, byte(len(payload) >> 8), byte(len(payload)), next, 255}
	s, d := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
	return append(append(append(b, s[:]...), d[:]...), payload...)
}
