package fabric

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink/nl"

	"bawn.dev/internal/netmodel"
)

func attribute(kind int, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, uint16(kind)), value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func join3(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

const nested = 0x8000

func flowMessage() []byte {
	tup := join3(
		attribute(nl.CTA_TUPLE_IP|nested, join3(attribute(nl.CTA_IP_V4_SRC, 10, 0, 0, 5), attribute(nl.CTA_IP_V4_DST, 10, 0, 0, 6))...),
		attribute(nl.CTA_TUPLE_PROTO|nested, join3(attribute(ctProtoNumber, 6), attribute(ctProtoSrcPort, 0x12, 0x34), attribute(ctProtoDstPort, 1, 0xbb))...),
	)
	counters := join3(attribute(ctCountersPackets, 0, 0, 0, 0, 0, 0, 0, 3), attribute(ctCountersBytes, 0, 0, 0, 0, 0, 0, 1, 0))
	stamp := attribute(ctTimestampStart, binary.BigEndian.AppendUint64(nil, 1e18)...)
	return join3([]byte{2, 0, 0, 0}, attribute(nl.CTA_TUPLE_ORIG|nested, tup...), attribute(nl.CTA_COUNTERS_ORIG|nested, counters...), attribute(nl.CTA_TIMESTAMP|nested, stamp...))
}

func refusalMessage() []byte {
	packet := udpPacket(netip.MustParseAddrPort("10.0.0.5:1"), netip.MustParseAddrPort("10.0.0.6:2"), "x")
	return join3([]byte{2, 0, 0, 0}, attribute(logPrefix, append([]byte("egress eni-1"), 0)...), attribute(logPayload, packet...))
}

func TestParseFlow(t *testing.T) {
	f, err := parseFlow(flowMessage())
	if err != nil {
		t.Fatal(err)
	}
	want := tuple{netmodel.TCP, netip.MustParseAddrPort("10.0.0.5:4660"), netip.MustParseAddrPort("10.0.0.6:443")}
	if f.tuple != want || f.packets != 3 || f.bytes != 256 || !f.start.Equal(time.Unix(1e9, 0)) || !f.stop.IsZero() || len(f.original) == 0 {
		t.Errorf("%+v", f)
	}
}

func TestParseRefusal(t *testing.T) {
	r, err := parseRefusal(refusalMessage())
	if err != nil {
		t.Fatal(err)
	}
	want := tuple{netmodel.UDP, netip.MustParseAddrPort("10.0.0.5:1"), netip.MustParseAddrPort("10.0.0.6:2")}
	if r.tuple != want || r.gate != netmodel.GateEgress || r.owner != "eni-1" || r.size != 29 {
		t.Errorf("%+v", r)
	}
}

// What cannot be read is a loss that is told, never a record of something else.
func TestUnreadableCountsAsLost(t *testing.T) {
	for _, kind := range []uint16{ctDelete, logPacket} {
		for _, body := range [][]byte{{2}, {2, 0, 0, 0}, {2, 0, 0, 0, 255, 255, 1, 0}, {2, 0, 0, 0, 3, 0, 1, 0}} {
			e, isEvent := parseEvent(syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind}, Data: body})
			if !isEvent || !e.lost {
				t.Errorf("%d %v: %+v %v", kind, body, e, isEvent)
			}
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add(uint16(ctDelete), flowMessage())
	f.Add(uint16(logPacket), refusalMessage())
	f.Fuzz(func(t *testing.T, kind uint16, b []byte) {
		e, isEvent := parseEvent(syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind}, Data: b})
		if !isEvent || e.lost {
			return
		}
		if e.ended != nil && !e.ended.src.Addr().Is4() || e.refused != nil && !e.refused.src.Addr().Is4() {
			t.Errorf("an event without a source: %+v", e)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	v := ward("vpc-1")
	seed := new(dns.Msg)
	seed.SetQuestion("kms.us-east-1.amazonaws.com.", dns.TypeA)
	b, err := seed.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, true)
	f.Fuzz(func(t *testing.T, b []byte, udp bool) {
		q := new(dns.Msg)
		if q.Unpack(b) != nil {
			return
		}
		m := answer(v, netip.MustParseAddr("10.50.0.10"), q, udp)
		out, err := m.Pack()
		if err != nil {
			return // a name that cannot be written back is not answered
		}
		if udp && len(out) > maxUDPAnswer {
			t.Errorf("%d bytes by UDP", len(out))
		}
		for _, rr := range m.Answer {
			a, isA := netip.AddrFromSlice(rr.(*dns.A).A)
			if !isA || v.EndpointAt(a) == nil {
				t.Errorf("answers %v", rr)
			}
		}
	})
}

func TestAnswer(t *testing.T) {
	v := ward("vpc-1")
	from := netip.MustParseAddr("10.50.0.10")
	query := func(change func(*dns.Msg)) *dns.Msg {
		q := new(dns.Msg)
		q.SetQuestion("KMS.us-east-1.amazonaws.com.", dns.TypeA)
		change(q)
		return answer(v, from, q, true)
	}
	if m := query(func(*dns.Msg) {}); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 || !m.Authoritative || m.RecursionAvailable {
		t.Errorf("a private name: %v", m)
	}
	if m := query(func(q *dns.Msg) { q.Question[0].Qtype = dns.TypeAAAA }); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 0 {
		t.Errorf("it has no IPv6 address, but exists: %v", m)
	}
	for name, change := range map[string]func(*dns.Msg){
		"no question":   func(q *dns.Msg) { q.Question = nil },
		"two questions": func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) },
		"update":        func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate },
		"chaos class":   func(q *dns.Msg) { q.Question[0].Qclass = dns.ClassCHAOS },
		"transfer":      func(q *dns.Msg) { q.SetAxfr("amazonaws.com.") },
	} {
		if m := query(change); m.Rcode == dns.RcodeSuccess || len(m.Answer) > 0 {
			t.Errorf("%s: %v", name, m)
		}
	}
	// An answer that does not fit a datagram says so instead of growing.
	for i := range 60 {
		v.Endpoints[1].Addresses = append(v.Endpoints[1].Addresses, netmodel.EndpointAddress{Subnet: "subnet-b", Address: netip.AddrFrom4([4]byte{10, 50, 1, byte(100 + i)})})
	}
	if m := query(func(*dns.Msg) {}); !m.Truncated || m.Len() > classicUDPLimit {
		t.Errorf("%d bytes, truncated %v", m.Len(), m.Truncated)
	}
}
