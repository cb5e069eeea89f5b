package fabric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// link is a link as the kernel tells of it.
type link struct {
	index, master int
	name, kind    string
	mac           [6]byte
	mtu           int
	up, program   bool     // program: something of the kernel's that runs before the packet filter is attached
	conf          []uint32 // IPv4 parameters, by their number less one
}

// perLink are the parameters of a link whose values matter, with their numbers (linux/ip.h, IPV4_DEVCONF).
var perLink = [...]struct {
	name   string
	number int
	value  uint32
}{
	{"forwarding", 1, 1}, {"proxy_arp", 3, 0}, {"accept_redirects", 4, 0}, {"send_redirects", 6, 0}, {rpFilter, 8, 1},
	{"accept_source_route", 9, 0}, {"log_martians", 11, 0}, {"arp_announce", 18, 2}, {"arp_ignore", 19, 1}, {"arp_accept", 21, 0}, {"accept_local", 23, 0},
	{"proxy_arp_pvlan", 25, 0}, {"route_localnet", 26, 0},
}

const rpFilter = "rp_filter"

// skipStatistics is RTEXT_FILTER_SKIP_STATS.
const skipStatistics = 1 << 3

// links lists the namespace's links by name.
func (s *space) links() (map[string]link, error) {
	body := nl.NewIfInfomsg(unix.AF_UNSPEC)
	answers, err := s.ask(unix.NETLINK_ROUTE, unix.RTM_GETLINK, unix.NLM_F_DUMP, unix.RTM_NEWLINK, body,
		nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics)))
	if err != nil {
		return nil, fmt.Errorf("fabric: listing links: %w", err)
	}
	out := make(map[string]link, len(answers))
	for _, a := range answers {
		l, err := parseLink(a)
		if err != nil {
			return nil, err
		}
		out[l.name] = l
	}
	return out, nil
}

func parseLink(b []byte) (link, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return link{}, errMalformed
	}
	info := nl.DeserializeIfInfomsg(b)
	l := link{index: int(info.Index), up: info.Flags&unix.IFF_UP != 0}
	err := attributes(b[unix.SizeofIfInfomsg:], func(kind uint16, _, v []byte) error {
		switch kind {
		case unix.IFLA_IFNAME:
			l.name = strings.TrimRight(string(v), "\x00")
		case unix.IFLA_ADDRESS:
			if len(v) == len(l.mac) {
				l.mac = [6]byte(v)
			}
		case unix.IFLA_MTU:
			if len(v) == 4 {
				l.mtu = int(binary.NativeEndian.Uint32(v))
			}
		case unix.IFLA_MASTER:
			if len(v) == 4 {
				l.master = int(binary.NativeEndian.Uint32(v))
			}
		case unix.IFLA_XDP:
			return attributes(v, func(kind uint16, _, v []byte) error {
				l.program = l.program || kind == unix.IFLA_XDP_ATTACHED && len(v) > 0 && v[0] != 0
				return nil
			})
		case unix.IFLA_LINKINFO:
			return attributes(v, func(kind uint16, _, v []byte) error {
				if kind == unix.IFLA_INFO_KIND {
					l.kind = strings.TrimRight(string(v), "\x00")
				}
				return nil
			})
		case unix.IFLA_AF_SPEC:
			return attributes(v, func(family uint16, _, v []byte) error {
				if family != unix.AF_INET {
					return nil
				}
				return attributes(v, func(kind uint16, _, v []byte) error {
					for ; kind == unix.IFLA_INET_CONF && len(v) >= 4; v = v[4:] {
						l.conf = append(l.conf, binary.NativeEndian.Uint32(v))
					}
					return nil
				})
			})
		}
		return nil
	})
	if err == nil && l.name == "" {
		err = errMalformed
	}
	return l, err
}

func (l *link) handle() netlink.Link {
	return &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: l.name, Index: l.index}, LinkType: l.kind}
}

// fallbacks are the tunnels, with their kinds, that the kernel itself makes in every namespace once somebody on the machine
// has use for tunnels. They cannot be deleted, and carry nothing while they are down.
var fallbacks = map[string]string{"tunl0": "ipip", "gre0": "gre", "gretap0": "gretap", "erspan0": "erspan", "sit0": "sit", "ip_vti0": "vti",
	"ip6tnl0": "ip6tnl", "ip6gre0": "ip6gre", "ip6_vti0": "vti6"}

// wanted is a link that should be there.
type wanted struct {
	transit bool // unnumbered, to or from a transit gateway; else to a workload
	mac     [6]byte
}

// settleLinks takes away links that should not be there and puts right those that should. It returns what it found wrong,
// what is there now, and the names of those that are missing.
func (s *space) settleLinks(want map[string]wanted) (found []string, there map[string]link, missing []string, err error) {
	if there, err = s.links(); err != nil {
		return nil, nil, nil, err
	}
	for name, l := range there {
		w, ok := want[name]
		switch {
		case name == home:
			if !l.up {
				found = append(found, "loopback was down")
				err = s.LinkSetUp(l.handle())
			}
		case fallbacks[name] == l.kind && l.kind != "":
			delete(there, name)
			if l.up {
				found = append(found, fmt.Sprintf("the link %s was up", name))
				err = s.LinkSetDown(l.handle())
			}
		case !ok || l.kind != "veth":
			found = append(found, fmt.Sprintf("a link %q, which is nobody's, was there", name))
			if err = s.LinkDel(l.handle()); errors.Is(err, unix.ENODEV) { // it went with its other end
				err = nil
			}
			delete(there, name)
		default:
			var wrong []string
			wrong, err = s.settleLink(&l, w)
			found = append(found, wrong...)
		}
		if err != nil {
			return found, nil, nil, fmt.Errorf("fabric: link %s: %w", name, err)
		}
	}
	for name := range want {
		if _, ok := there[name]; !ok {
			missing = append(missing, name)
		}
	}
	programs, err := s.settlePrograms(there)
	return append(found, programs...), there, missing, err
}

func (s *space) settleLink(l *link, w wanted) ([]string, error) {
	var found []string
	if l.master != 0 {
		found = append(found, fmt.Sprintf("the link %s was part of another", l.name))
		if err := s.LinkSetNoMaster(l.handle()); err != nil {
			return found, err
		}
	}
	if l.program {
		found = append(found, fmt.Sprintf("a program was attached to the link %s", l.name))
		if err := s.do(func() error { return netlink.LinkSetXdpFd(l.handle(), -1) }); err != nil {
			return found, err
		}
	}
	if l.mac != w.mac {
		found = append(found, fmt.Sprintf("the link %s had another hardware address", l.name))
		if err := s.LinkSetHardwareAddr(l.handle(), w.mac[:]); err != nil {
			return found, err
		}
	}
	if l.mtu != netmodel.MTU { // the packet filter reckons with it
		found = append(found, fmt.Sprintf("the link %s had another MTU", l.name))
		if err := s.LinkSetMTU(l.handle(), netmodel.MTU); err != nil {
			return found, err
		}
	}
	wrong, err := s.settleConf(l, w)
	if found = append(found, wrong...); err != nil {
		return found, err
	}
	if !l.up {
		found = append(found, fmt.Sprintf("the link %s was down", l.name))
		return found, s.LinkSetUp(l.handle())
	}
	return found, nil
}

// settleConf writes the parameters of a link that differ.
func (s *space) settleConf(l *link, w wanted) ([]string, error) {
	var found []string
	write := map[string]uint32{}
	for _, p := range perLink {
		value := p.value
		if w.transit && p.name == rpFilter {
			value = 0
		}
		if p.number > len(l.conf) || l.conf[p.number-1] != value {
			write[p.name] = value
			found = append(found, fmt.Sprintf("%s of the link %s was changed", p.name, l.name))
		}
	}
	if len(write) == 0 {
		return nil, nil
	}
	return found, s.do(func() error {
		for name, value := range write {
			path := filepath.Join("/proc/sys/net/ipv4/conf", l.name, name)
			if err := os.WriteFile(path, []byte(strconv.Itoa(int(value))), 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// settlePrograms takes away queueing disciplines: what hangs on them sees packets before the packet filter does, and can
// send them elsewhere. Links like ours have none.
func (s *space) settlePrograms(there map[string]link) ([]string, error) {
	all, err := s.QdiscList(nil)
	if err != nil {
		return nil, nil // a kernel without them has none
	}
	names := map[int]string{}
	for _, l := range there {
		names[l.index] = l.name
	}
	var found []string
	for _, q := range all {
		name, ours := names[q.Attrs().LinkIndex]
		if !ours || q.Type() == "noqueue" {
			continue
		}
		found = append(found, fmt.Sprintf("the link %s had a queueing discipline %q", name, q.Type()))
		if err := s.QdiscDel(q); err != nil {
			return found, fmt.Errorf("fabric: link %s: %w", name, err)
		}
	}
	return found, nil
}
