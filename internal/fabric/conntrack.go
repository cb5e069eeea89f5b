package fabric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// Numbers of the kernel's connection tracking interface (linux/netfilter/nfnetlink_conntrack.h) that nl does not name.
const (
	ctMessages       = 1 << 8 // NFNL_SUBSYS_CTNETLINK as a message type's high byte
	ctGet            = ctMessages | 1
	ctDelete         = ctMessages | 2
	ctGetAndZero     = ctMessages | 3
	ctDestroyedGroup = 3 // NFNLGRP_CONNTRACK_DESTROY

	ctProtoNumber   = 1
	ctProtoSrcPort  = 2
	ctProtoDstPort  = 3
	ctProtoICMPType = 5
	ctProtoICMPCode = 6

	ctCountersPackets = 1
	ctCountersBytes   = 2
	ctTimestampStart  = 1
	ctTimestampStop   = 2
)

// typeMask takes the flags off an attribute's type.
const typeMask = 0x3fff

// netfilterHeader is the length of struct nfgenmsg, which begins every message.
const netfilterHeader = 4

// tuple is one direction of a flow. For ICMP dst's port is the type times 256 plus the code, and src's is zero.
type tuple struct {
	protocol netmodel.Protocol
	src, dst netip.AddrPort
}

// flow is an entry of the connection tracking table.
type flow struct {
	tuple
	packets, bytes           uint64 // in the direction of tuple
	replyPackets, replyBytes uint64
	start, stop              time.Time // zero where the kernel does not say
	original                 []byte    // the encoded original tuple, which names the flow to the kernel
}

var errMalformed = errors.New("fabric: malformed netlink message")

// attributes calls fn for each attribute in b, with its type without flags.
func attributes(b []byte, fn func(kind uint16, whole, value []byte) error) error {
	for len(b) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(b))
		kind := binary.NativeEndian.Uint16(b[2:]) & typeMask
		if size < unix.SizeofNlAttr || size > len(b) {
			return errMalformed
		}
		if err := fn(kind, b[:size], b[unix.SizeofNlAttr:size]); err != nil {
			return err
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return nil
}

// parseFlow reads the body of a connection tracking message.
func parseFlow(b []byte) (flow, error) {
	var f flow
	if len(b) < netfilterHeader {
		return f, errMalformed
	}
	err := attributes(b[netfilterHeader:], func(kind uint16, whole, value []byte) error {
		var err error
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			f.original = append([]byte(nil), whole...)
			f.tuple, err = parseTuple(value)
		case nl.CTA_COUNTERS_ORIG:
			f.packets, f.bytes, err = parsePair(value, ctCountersPackets, ctCountersBytes)
		case nl.CTA_COUNTERS_REPLY:
			f.replyPackets, f.replyBytes, err = parsePair(value, ctCountersPackets, ctCountersBytes)
		case nl.CTA_TIMESTAMP:
			var start, stop uint64
			start, stop, err = parsePair(value, ctTimestampStart, ctTimestampStop)
			f.start, f.stop = instant(start), instant(stop)
		}
		return err
	})
	if err == nil && (!f.src.Addr().IsValid() || !f.dst.Addr().IsValid()) {
		err = errMalformed
	}
	return f, err
}

func instant(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns))
}

func parseTuple(b []byte) (tuple, error) {
	var t tuple
	var src, dst netip.Addr
	var srcPort, dstPort uint16
	err := attributes(b, func(kind uint16, _, value []byte) error {
		return attributes(value, func(inner uint16, _, v []byte) error {
			switch {
			case kind == nl.CTA_TUPLE_IP && inner == nl.CTA_IP_V4_SRC && len(v) == 4:
				src = netip.AddrFrom4([4]byte(v))
			case kind == nl.CTA_TUPLE_IP && inner == nl.CTA_IP_V4_DST && len(v) == 4:
				dst = netip.AddrFrom4([4]byte(v))
			case kind == nl.CTA_TUPLE_PROTO && inner == ctProtoNumber && len(v) == 1:
				t.protocol = netmodel.Protocol(v[0])
			case kind == nl.CTA_TUPLE_PROTO && inner == ctProtoSrcPort && len(v) == 2:
				srcPort = binary.BigEndian.Uint16(v)
			case kind == nl.CTA_TUPLE_PROTO && inner == ctProtoDstPort && len(v) == 2:
				dstPort = binary.BigEndian.Uint16(v)
			case kind == nl.CTA_TUPLE_PROTO && inner == ctProtoICMPType && len(v) == 1:
				dstPort |= uint16(v[0]) << 8
			case kind == nl.CTA_TUPLE_PROTO && inner == ctProtoICMPCode && len(v) == 1:
				dstPort |= uint16(v[0])
			}
			return nil
		})
	})
	t.src, t.dst = netip.AddrPortFrom(src, srcPort), netip.AddrPortFrom(dst, dstPort)
	return t, err
}

// parsePair reads two 64-bit attributes of a nest.
func parsePair(b []byte, first, second uint16) (x, y uint64, err error) {
	err = attributes(b, func(kind uint16, _, v []byte) error {
		switch {
		case kind == first && len(v) == 8:
			x = binary.BigEndian.Uint64(v)
		case kind == second && len(v) == 8:
			y = binary.BigEndian.Uint64(v)
		}
		return nil
	})
	return x, y, err
}

// flows lists the IPv4 flows of the calling thread's namespace; message is ctGet or ctGetAndZero.
func flows(message int) ([]flow, error) {
	request := nl.NewNetlinkRequest(message, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET})
	answers, err := request.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return nil, fmt.Errorf("fabric: listing flows: %w", err)
	}
	out := make([]flow, 0, len(answers))
	for _, a := range answers {
		f, err := parseFlow(a)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// cut deletes the flows of the calling thread's namespace for which doomed holds. Their next packet begins a new flow and
// meets the gates.
func cut(doomed func(tuple) bool) error {
	all, err := flows(ctGet)
	if err != nil {
		return err
	}
	for _, f := range all {
		if !doomed(f.tuple) {
			continue
		}
		request := nl.NewNetlinkRequest(ctDelete, unix.NLM_F_ACK)
		request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET})
		request.AddRawData(f.original)
		if _, err := request.Execute(unix.NETLINK_NETFILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("fabric: cutting a flow: %w", err)
		}
	}
	return nil
}

// revoke cuts the flows that v would not let be.
func revoke(v *netmodel.VPC) error {
	judge := v.Judge()
	return cut(func(t tuple) bool {
		return !judge.Keeps(netmodel.Flow{From: t.src.Addr(), To: t.dst.Addr(), Protocol: t.protocol, FromPort: t.src.Port(), Port: t.dst.Port()})
	})
}
