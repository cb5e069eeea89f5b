package fabric

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// Numbers of the kernel's packet log interface (linux/netfilter/nfnetlink_log.h).
const (
	logMessages      = 4 << 8 // NFNL_SUBSYS_ULOG as a message type's high byte
	logPacket        = logMessages
	logConfig        = logMessages | 1
	logConfigCommand = 1
	logConfigMode    = 2
	logConfigTimeout = 4
	logConfigThresh  = 5
	logBind          = 1
	logCopyPacket    = 2
	logDeviceIn      = 4
	logPayload       = 9
	logPrefix        = 10
	logCopyBytes     = 64
)

// bindLog asks, on a socket, for the copies of refused packets of the namespace that the socket belongs to. The kernel
// gives a group to one socket only.
func bindLog(s *nl.NetlinkSocket) error {
	mode := make([]byte, 6)
	binary.BigEndian.PutUint32(mode, logCopyBytes)
	mode[4] = logCopyPacket
	for _, a := range []*nl.RtAttr{
		nl.NewRtAttr(logConfigCommand, []byte{logBind}),
		nl.NewRtAttr(logConfigMode, mode),
		nl.NewRtAttr(logConfigThresh, []byte{0, 0, 0, 64}),
		nl.NewRtAttr(logConfigTimeout, []byte{0, 0, 0, 5}), // in hundredths of a second
	} {
		request := nl.NewNetlinkRequest(logConfig, unix.NLM_F_ACK)
		request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET, ResId: nl.Swap16(netmodel.LogGroup)})
		request.AddData(a)
		if err := s.Send(request); err != nil {
			return err
		}
		if err := acknowledged(s, request.Seq); err != nil {
			return fmt.Errorf("fabric: binding the packet log: %w", err)
		}
	}
	return nil
}

// acknowledged waits for the kernel's answer to a request; packets that come before it are let go.
func acknowledged(s *nl.NetlinkSocket, seq uint32) error {
	for {
		messages, _, err := s.Receive()
		if err != nil {
			return err
		}
		for _, m := range messages {
			if m.Header.Type != unix.NLMSG_ERROR || m.Header.Seq != seq {
				continue
			}
			if len(m.Data) < 4 {
				return errMalformed
			}
			if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
				return unix.Errno(-code)
			}
			return nil
		}
	}
}

// refusal is one refused packet.
type refusal struct {
	tuple
	size   uint64
	gate   netmodel.Gate
	owner  string // the interface or endpoint whose gate it was, or ""
	device int    // the index of the link that it came by, or 0
}

// parseRefusal reads the body of a packet log message.
func parseRefusal(b []byte) (refusal, error) {
	var r refusal
	if len(b) < netfilterHeader {
		return r, errMalformed
	}
	err := attributes(b[netfilterHeader:], func(kind uint16, _, value []byte) error {
		switch kind {
		case logPrefix:
			gate, owner, _ := strings.Cut(strings.TrimRight(string(value), "\x00"), " ")
			r.gate, r.owner = netmodel.Gate(gate), owner
		case logDeviceIn:
			if len(value) == 4 {
				r.device = int(binary.BigEndian.Uint32(value))
			}
		case logPayload:
			var err error
			r.tuple, r.size, err = parseHead(value)
			return err
		}
		return nil
	})
	if err == nil && !r.src.Addr().IsValid() {
		err = errMalformed
	}
	return r, err
}

const minIPv4Header = 20

// parseHead reads the beginning of an IPv4 packet: addresses, protocol, total length, and the ports where they are there.
// A later fragment, or a packet cut short before its ports, has none.
func parseHead(b []byte) (tuple, uint64, error) {
	if len(b) < minIPv4Header || b[0]>>4 != 4 {
		return tuple{}, 0, errMalformed
	}
	header := int(b[0]&15) * 4
	if header < minIPv4Header || header > len(b) {
		return tuple{}, 0, errMalformed
	}
	t := tuple{protocol: netmodel.Protocol(b[9])}
	var srcPort, dstPort uint16
	rest := b[header:]
	if later := binary.BigEndian.Uint16(b[6:])&0x1fff != 0; !later && len(rest) >= 4 {
		switch t.protocol {
		case netmodel.TCP, netmodel.UDP:
			srcPort, dstPort = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
		case netmodel.ICMP:
			dstPort = binary.BigEndian.Uint16(rest)
		}
	}
	t.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), srcPort)
	t.dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), dstPort)
	return t, uint64(binary.BigEndian.Uint16(b[2:])), nil
}
