package fabric

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// rulePriority is that of our routing rules: after the main table, as [netmodel.Routing] wants it.
const rulePriority = 40000

// address is an address of a link.
type address struct {
	index  int
	prefix netip.Prefix
}

// settleAddresses gives links the addresses that they should have, and no others, IPv6 included.
func (s *space) settleAddresses(want map[address]bool, names map[int]string) ([]string, error) {
	have, err := listed(func() ([]netlink.Addr, error) { return s.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("fabric: listing addresses: %w", err)
	}
	var found []string
	want = maps.Clone(want)
	for i := range have {
		a := address{have[i].LinkIndex, prefixOf(have[i].IPNet)}
		if want[a] {
			delete(want, a)
			continue
		}
		found = append(found, fmt.Sprintf("the link %s had the address %s", names[a.index], a.prefix))
		handle := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: a.index}}
		if err := s.AddrDel(handle, &have[i]); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return found, fmt.Errorf("fabric: removing %s: %w", a.prefix, err)
		}
	}
	for a := range want {
		found = append(found, fmt.Sprintf("the link %s had lost the address %s", names[a.index], a.prefix))
		handle := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: a.index}}
		if err := s.AddrAdd(handle, &netlink.Addr{IPNet: netOf(a.prefix)}); err != nil {
			return found, fmt.Errorf("fabric: adding %s: %w", a.prefix, err)
		}
	}
	return found, nil
}

// hop is a route of ours: every one is named by these. A black hole has no link.
type hop struct {
	table, kind, index int
	dst                netip.Prefix
	via                netip.Addr
}

func (h hop) String() string { return fmt.Sprintf("%s in table %d", h.dst, h.table) }

func (h hop) route() *netlink.Route {
	r := &netlink.Route{Table: h.table, Type: h.kind, Dst: netOf(h.dst)}
	switch {
	case h.kind == unix.RTN_LOCAL:
		r.LinkIndex, r.Scope, r.Src = h.index, netlink.SCOPE_HOST, h.dst.Addr().AsSlice()
	case h.via.IsValid():
		r.LinkIndex, r.Gw, r.Flags = h.index, h.via.AsSlice(), int(netlink.FLAG_ONLINK)
	case h.kind == unix.RTN_UNICAST:
		r.LinkIndex, r.Scope = h.index, netlink.SCOPE_LINK
	}
	return r
}

// hopOf reads a route. One that says more than a hop can is nobody's.
func hopOf(r *netlink.Route) (hop, bool) {
	h := hop{table: r.Table, kind: r.Type, index: r.LinkIndex, dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0)}
	if r.Dst != nil {
		h.dst = prefixOf(r.Dst)
	}
	if via, ok := netip.AddrFromSlice(r.Gw.To4()); ok {
		h.via = via
	}
	return h, len(r.MultiPath) == 0 && r.Encap == nil && r.Via == nil && r.Priority == 0 && r.Tos == 0 && r.NewDst == nil
}

// settleRoutes makes the routes of all tables those that are wanted; what may be there besides is what tolerated says.
func (s *space) settleRoutes(want map[hop]bool, tolerated func(hop) bool) ([]string, error) {
	have, err := listed(func() ([]netlink.Route, error) {
		return s.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, fmt.Errorf("fabric: listing routes: %w", err)
	}
	var found []string
	var extra []netlink.Route
	want = maps.Clone(want)
	for _, r := range have {
		h, ours := hopOf(&r)
		switch {
		case ours && want[h]:
			delete(want, h)
		case !ours || !tolerated(h):
			extra = append(extra, r)
			found = append(found, "there was a route to "+h.String())
		}
	}
	for h := range want { // first, so that there is never none where one takes another's place
		found = append(found, "there was no route to "+h.String())
		put := s.RouteReplace
		if h.kind == unix.RTN_LOCAL {
			put = s.RouteAdd // beside others to the same address
		}
		if err := put(h.route()); err != nil && !errors.Is(err, unix.EEXIST) {
			return found, fmt.Errorf("fabric: route to %s: %w", h, err)
		}
	}
	for i := range extra {
		if err := s.RouteDel(&extra[i]); err != nil && !errors.Is(err, unix.ESRCH) {
			return found, fmt.Errorf("fabric: removing a route: %w", err)
		}
	}
	return found, nil
}

// selector is a routing rule of ours.
type selector struct {
	priority, table int
	from            netip.Prefix
	device          string
}

func selectorOf(r *netlink.Rule) (selector, bool) {
	s := selector{priority: max(r.Priority, 0), table: r.Table, device: r.IifName}
	if r.Src != nil {
		s.from = prefixOf(r.Src)
	}
	plain := r.Dst == nil && r.OifName == "" && r.Mark == 0 && r.Goto <= 0 && !r.Invert && r.IPProto == 0 && r.Dport == nil && r.Sport == nil &&
		r.UIDRange == nil && r.Tos == 0 && r.TunID == 0 && r.SuppressPrefixlen < 0 && r.SuppressIfgroup < 0
	return s, plain
}

// settleRules makes the routing rules the kernel's own three and those that lead to our tables.
func (s *space) settleRules(r netmodel.Routing) ([]string, error) {
	want := map[selector]bool{{priority: 0, table: unix.RT_TABLE_LOCAL}: true, {priority: 32766, table: unix.RT_TABLE_MAIN}: true,
		{priority: 32767, table: unix.RT_TABLE_DEFAULT}: true}
	for _, t := range r.Tables {
		for _, p := range t.From {
			want[selector{rulePriority, t.Number, p, ""}] = true
		}
		for _, d := range t.Device {
			want[selector{rulePriority, t.Number, netip.Prefix{}, d}] = true
		}
	}
	have, err := listed(func() ([]netlink.Rule, error) { return s.RuleList(netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("fabric: listing routing rules: %w", err)
	}
	var found []string
	var extra []netlink.Rule
	for i := range have {
		sel, plain := selectorOf(&have[i])
		if plain && want[sel] {
			delete(want, sel)
			continue
		}
		extra = append(extra, have[i])
		found = append(found, fmt.Sprintf("there was a routing rule %d to table %d", sel.priority, sel.table))
	}
	for sel := range want {
		found = append(found, fmt.Sprintf("there was no routing rule %d to table %d", sel.priority, sel.table))
		rule := netlink.NewRule()
		rule.Family, rule.Priority, rule.Table, rule.IifName = netlink.FAMILY_V4, sel.priority, sel.table, sel.device
		if sel.from.IsValid() {
			rule.Src = netOf(sel.from)
		}
		if err := s.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
			return found, fmt.Errorf("fabric: routing rule to table %d: %w", sel.table, err)
		}
	}
	for i := range extra {
		extra[i].Family = netlink.FAMILY_V4
		if err := s.RuleDel(&extra[i]); err != nil && !errors.Is(err, unix.ENOENT) {
			return found, fmt.Errorf("fabric: removing a routing rule: %w", err)
		}
	}
	return found, nil
}

// neighbour is where an address of a link is.
type neighbour struct {
	index   int
	address netip.Addr
}

// settleNeighbours makes the neighbours that are there for good those that are wanted. Others come and go with what
// workloads say, and no route leads to them.
func (s *space) settleNeighbours(want map[neighbour][6]byte, tolerated func(index int) bool, names map[int]string) ([]string, error) {
	have, err := listed(func() ([]netlink.Neigh, error) { return s.NeighList(0, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("fabric: listing neighbours: %w", err)
	}
	var found []string
	want = maps.Clone(want)
	for i := range have {
		a, ok := netip.AddrFromSlice(have[i].IP.To4())
		if !ok || have[i].State&netlink.NUD_PERMANENT == 0 {
			continue
		}
		n := neighbour{have[i].LinkIndex, a}
		mac, ok := want[n]
		switch {
		case ok && slices.Equal(have[i].HardwareAddr, mac[:]):
			delete(want, n)
		case !ok && !tolerated(n.index):
			found = append(found, fmt.Sprintf("the link %s had the neighbour %s", names[n.index], a))
			if err := s.NeighDel(&have[i]); err != nil && !errors.Is(err, unix.ENOENT) {
				return found, fmt.Errorf("fabric: removing a neighbour: %w", err)
			}
		}
	}
	for n, mac := range want {
		found = append(found, fmt.Sprintf("the link %s had lost the neighbour %s", names[n.index], n.address))
		entry := &netlink.Neigh{LinkIndex: n.index, Family: netlink.FAMILY_V4, State: netlink.NUD_PERMANENT, IP: n.address.AsSlice(), HardwareAddr: mac[:]}
		if err := s.NeighSet(entry); err != nil {
			return found, fmt.Errorf("fabric: neighbour %s: %w", n.address, err)
		}
	}
	return found, nil
}

func prefixOf(n *net.IPNet) netip.Prefix {
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}

func netOf(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
