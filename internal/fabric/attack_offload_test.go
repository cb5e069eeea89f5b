package fabric

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Ways in which the kernel cuts a packet that is too large (VIRTIO_NET_HDR_GSO_*).
const (
	notCut  = 0
	cutTCP  = 1
	cutUFO  = 3
	cutUDP  = 5
	headers = 14 + 20 // before what TCP and UDP begin with
)

// offload asks the kernel to finish a frame somewhere on its way: to write a checksum of what begins at start to offset
// after that, and to cut it into segments of a size (struct virtio_net_hdr). Any network stack on a packet socket may.
type offload struct {
	start, offset int
	cut           byte
	size          int
}

func (o offload) of(frame []byte) []byte {
	b := make([]byte, 10, 10+len(frame))
	if o.start != 0 {
		b[0] = 1
	}
	b[1] = o.cut
	if o.cut != notCut {
		binary.NativeEndian.PutUint16(b[2:], headers+20)
	}
	binary.NativeEndian.PutUint16(b[4:], uint16(o.size))
	binary.NativeEndian.PutUint16(b[6:], uint16(o.start))
	binary.NativeEndian.PutUint16(b[8:], uint16(o.offset))
	return append(b, frame...)
}

// A checksum is written wherever its sender says, when the packet is cut or leaves for a device that cannot: if that were
// behind the gates, it could become another port than they were asked about, or another's address.
func TestOffloadRewritesNothing(t *testing.T) {
	a := newArena(t)
	path, _ := a.NetNS("eni-train")
	w := openWire(t, path, inner)
	if err := unix.SetsockoptInt(w.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Fatal(err)
	}
	const from, to = 4000, 9998
	taken, arrived := 0, 0
	for _, dst := range []string{friendIP, farIP} {
		udp := v4{src: attackerIP, dst: dst, protocol: 17, payload: datagram(from, to, string(make([]byte, 20000)))}
		small := v4{src: attackerIP, dst: dst, protocol: 17, payload: datagram(from, to, string(make([]byte, 240)))}
		tcp := segment{from: fmt.Sprintf("%s:%d", attackerIP, from), to: fmt.Sprintf("%s:%d", dst, to), flags: syn, payload: string(make([]byte, 20000))}.packet()
		for start := 14; start <= headers+8; start += 2 {
			for _, offset := range []int{2, 6, 8, 10, 12, 14, 16, 20} {
				try := func(kind byte, size int, frames ...[]byte) {
					for _, f := range frames {
						if w.put(offload{start, offset, kind, size}.of(f)) == nil { // not everything is taken
							taken++
						}
					}
				}
				try(notCut, 0, toRouter(small))
				try(notCut, 0, pieces(small, 32, 64)...)
				for _, size := range []int{8, 1000, 8900, 8990, 15000} {
					try(cutTCP, size, toRouter(tcp))
					try(cutUDP, size, toRouter(udp))
					try(cutUFO, size, toRouter(udp))
				}
				for _, h := range a.settled() {
					who, frame, _ := strings.Cut(h, ": ")
					var b []byte
					if _, err := fmt.Sscanf(frame, "%x", &b); err != nil || len(b) < headers+4 {
						t.Fatal(h)
					}
					if who != "friend" && who != "far" {
						continue
					}
					if arrived++; string(b[26:30]) != "\x0a\x32\x00\x0a" || binary.BigEndian.Uint16(b[headers:]) != from || binary.BigEndian.Uint16(b[headers+2:]) != to {
						t.Errorf("%d, %d: %s", start, offset, h)
					}
				}
			}
		}
	}
	if taken == 0 || arrived == 0 {
		t.Errorf("the kernel took %d of them, and %d arrived", taken, arrived)
	}
}
