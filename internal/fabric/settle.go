package fabric

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// settle makes a namespace look as its model says, but for the packet filter, and returns what it found different. The
// caller holds f.changing and n.mu.
func (f *Fabric) settle(n *network) ([]string, error) {
	var found []string
	err := n.space.do(func() (err error) {
		found, err = set(n.settings())
		return err
	})
	if err != nil {
		return found, err
	}
	want := n.links()
	wrong, there, missing, err := n.space.settleLinks(want)
	if found = append(found, wrong...); err != nil {
		return found, err
	}
	for _, name := range missing {
		told, err := f.mend(n, name)
		if found = append(found, told...); err != nil {
			return found, err
		}
	}
	if len(missing) > 0 {
		if there, err = n.space.links(); err != nil {
			return found, err
		}
	}
	wrong, err = n.settlePaths(want, there)
	return append(found, wrong...), err
}

// links are the links that a network should have besides loopback.
func (n *network) links() map[string]wanted {
	out := make(map[string]wanted, len(n.plugged))
	for device := range n.plugged {
		out[device] = wanted{mac: routerMAC}
	}
	for _, a := range n.attachments() {
		out[netmodel.TransitDevice(a.id)] = wanted{transit: true, mac: routerMAC}
	}
	return out
}

// mend makes a link that is missing. Until both of its ends have been applied, one to a transit gateway is not missing.
func (f *Fabric) mend(n *network, device string) ([]string, error) {
	p, ok := n.plugged[device]
	if !ok {
		for _, a := range n.attachments() {
			if netmodel.TransitDevice(a.id) == device {
				return f.connect(n, a)
			}
		}
		return nil, nil
	}
	path := f.path(kindAttached, n.id, p.id)
	if !isNamespace(path) || !p.address.IsValid() {
		delete(n.plugged, device)
		return []string{fmt.Sprintf("the link of %s was gone, and so is its workload's namespace", p.id)}, nil
	}
	if p.mended++; p.mended > maxMends {
		delete(n.plugged, device)
		n.lost = append(n.lost, fmt.Sprintf("the link of %s goes whenever it is made again, and is left alone", p.id))
		return nil, nil
	}
	n.plugged[device] = p
	told := []string{fmt.Sprintf("the link of %s was gone; it is made again, but a sandbox that had it cannot use it", p.id)}
	// Whoever owns the other end can prevent it, and must not thereby hold up the network.
	if err := join(n.space, path, p); err != nil {
		delete(n.plugged, device)
		n.lost = append(n.lost, fmt.Sprintf("the link of %s cannot be made again: %v", p.id, err))
	}
	return told, nil
}

// maxMends bounds how often a link is made again for a workload that takes it away.
const maxMends = 3

// settlePaths puts addresses, rules, routes and neighbours right.
func (n *network) settlePaths(want map[string]wanted, there map[string]link) ([]string, error) {
	addresses, routes, neighbours := map[address]bool{}, map[hop]bool{}, map[neighbour][6]byte{}
	names, unknown := map[int]string{}, map[int]bool{}
	for name, l := range there {
		names[l.index] = name
		p := n.plugged[name]
		switch {
		case name == home:
			loop := netip.MustParsePrefix("127.0.0.1/8")
			addresses[address{l.index, loop}] = true
			for a := range n.ownAddresses() {
				addresses[address{l.index, host(a)}] = true
				routes[hop{table: unix.RT_TABLE_LOCAL, kind: unix.RTN_LOCAL, index: l.index, dst: host(a)}] = true
			}
		case want[name].transit:
			neighbours[neighbour{l.index, across}] = routerMAC
		default:
			addresses[address{l.index, host(netmodel.Gateway)}] = true
			if unknown[l.index] = !p.address.IsValid(); !unknown[l.index] {
				routes[hop{table: unix.RT_TABLE_MAIN, kind: unix.RTN_UNICAST, index: l.index, dst: host(p.address)}] = true
				neighbours[neighbour{l.index, p.address}] = p.mac
			}
		}
	}
	routing := n.routing()
	for _, t := range routing.Tables {
		for _, r := range t.Routes {
			h := hop{table: t.Number, kind: unix.RTN_BLACKHOLE, dst: r.CIDR}
			if l, ok := there[r.Device]; ok {
				h.kind, h.index, h.via = unix.RTN_UNICAST, l.index, across
			}
			routes[h] = true
		}
	}
	tolerated := func(h hop) bool {
		switch h.table {
		case unix.RT_TABLE_LOCAL: // what the kernel makes of addresses
			return addresses[address{h.index, h.dst}] || names[h.index] == home && h.dst.Addr().IsLoopback()
		case unix.RT_TABLE_MAIN:
			return unknown[h.index] && h.dst.IsSingleIP() && !h.via.IsValid()
		}
		return false
	}
	var found []string
	for _, step := range []func() ([]string, error){
		func() ([]string, error) { return n.space.settleAddresses(addresses, names) },
		func() ([]string, error) {
			return n.space.settleNeighbours(neighbours, func(i int) bool { return unknown[i] }, names)
		},
		func() ([]string, error) { return n.space.settleRoutes(routes, tolerated) },
		func() ([]string, error) { return n.space.settleRules(routing) },
	} {
		wrong, err := step()
		if found = append(found, wrong...); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (n *network) routing() netmodel.Routing {
	switch {
	case n.model != nil:
		return n.model.Routing()
	case n.gateway != nil:
		return n.gateway.Routing()
	}
	return netmodel.Routing{}
}

// ownAddresses are those of the name server, the endpoints and whoever dials, on which the VPC itself listens or from
// which it speaks.
func (n *network) ownAddresses() map[netip.Addr]bool {
	v := n.model
	if v == nil {
		return nil
	}
	out := map[netip.Addr]bool{netmodel.Resolver: true, v.ResolverAddress(): true, netmodel.Metadata: true, netmodel.Credentials: true}
	for _, e := range v.Endpoints {
		for _, a := range e.Addresses {
			out[a.Address] = true
		}
	}
	for _, d := range v.Dialers {
		out[d.Address] = true
	}
	return out
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func jointOf(i *netmodel.Interface) joint {
	p := joint{id: i.ID, address: i.Address}
	if mac, err := net.ParseMAC(i.MAC); err == nil {
		copy(p.mac[:], mac)
	}
	return p
}

// doomed is a group of links that are deleted together, which takes the kernel no longer than one.
const doomed = 77

// dropLinks deletes every link of the calling thread's namespace but loopback. A listening socket can keep a namespace
// alive; without links it is out of reach.
func dropLinks() error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	links = slices.DeleteFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == home })
	for _, l := range links {
		if err := netlink.LinkSetGroup(l, doomed); err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("deleting %s: %w", l.Attrs().Name, err)
		}
	}
	if len(links) > 1 {
		request := nl.NewNetlinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK)
		request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		request.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(doomed)))
		if _, err := request.Execute(unix.NETLINK_ROUTE, 0); err == nil {
			return nil
		} // one of them cannot be deleted so
	}
	for _, l := range links {
		if err := netlink.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("deleting %s: %w", l.Attrs().Name, err)
		}
	}
	return nil
}
