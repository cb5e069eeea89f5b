package fabric

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// routerMAC is the hardware address of the VPC's end of every link. Links are not joined, so that all may have it.
var routerMAC = [6]byte{0x02, 0, 169, 254, 1, 1}

// inner is the name of a workload's end of its link.
const inner = "eth0"

// Attach makes the namespace of one workload and joins it to its VPC, which must have been applied with this very
// interface; otherwise it fails with [ErrRefused]. It returns the namespace's path. A namespace is used once: attaching an
// id again is [ErrAttached] until it was detached, even after a restart.
//
// Inside are eth0, with the interface's address as /32 and a default route via 169.254.1.1, and loopback. Both ends know
// each other's hardware address for good.
func (f *Fabric) Attach(ctx context.Context, vpcID string, ifc netmodel.Interface) (string, error) {
	if err := f.ready(ctx); err != nil {
		return "", err
	}
	n, _, err := f.applied(vpcID)
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.model == nil || n.space == nil {
		return "", fmt.Errorf("%w: %s was removed", ErrNotFound, vpcID)
	}
	if known := n.model.InterfaceAt(ifc.Address); known == nil || !same(known, &ifc) {
		return "", fmt.Errorf("%w: %.80s is not an interface of %s as applied", ErrRefused, ifc.ID, vpcID)
	}
	path, err := f.newAttachment(kindAttached, ifc.ID, vpcID, ifc.ID)
	if err != nil {
		return "", err
	}
	p := jointOf(&ifc)
	n.plugged[netmodel.Device(ifc.ID)] = p
	err = join(n.space, path, p)
	if err == nil {
		err = n.space.carries(netmodel.Device(ifc.ID))
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("fabric: attaching %s: %w", ifc.ID, err), f.detach(n, place{path, kindAttached, vpcID, ifc.ID}))
	}
	return path, nil
}

func same(a, b *netmodel.Interface) bool {
	x, y := *a, *b
	x.Groups, y.Groups = nil, nil
	return slices.Equal(a.Groups, b.Groups) && x.ID == y.ID && x.Subnet == y.Subnet && x.Address == y.Address &&
		x.Workload == y.Workload && x.Owner == y.Owner && x.MAC == y.MAC
}

// AttachIsolated makes a namespace with nothing but a loopback interface, for a workload that must have no network.
func (f *Fabric) AttachIsolated(ctx context.Context, workloadID string) (string, error) {
	if err := f.ready(ctx); err != nil {
		return "", err
	}
	return f.newAttachment(kindIsolated, workloadID, workloadID)
}

// newAttachment makes a workload's namespace under the name that parts spell.
func (f *Fabric) newAttachment(kind, id string, parts ...string) (string, error) {
	f.naming.Lock()
	defer f.naming.Unlock()
	if _, found, err := f.attachment(id); err != nil || found {
		if err == nil {
			err = fmt.Errorf("%w: %s", ErrAttached, id)
		}
		return "", err
	}
	path := f.path(append([]string{kind}, parts...)...)
	return path, makeNamespace(path, func() error {
		if _, err := set(noIPv6[:]); err != nil {
			return err
		}
		return up("lo")
	})
}

// join makes the link between a VPC and a workload and sets up both ends.
func join(router *space, workload string, p joint) error {
	target, err := os.Open(workload)
	if err != nil {
		return err
	}
	defer target.Close()
	name := netmodel.Device(p.id)
	veth := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: name, HardwareAddr: routerMAC[:], MTU: netmodel.MTU},
		PeerName:         inner,
		PeerMTU:          netmodel.MTU,
		PeerHardwareAddr: p.mac[:],
		PeerNamespace:    netlink.NsFd(target.Fd()),
	}
	if err := router.LinkAdd(veth); err != nil {
		return fmt.Errorf("making the link: %w", err)
	}
	if _, err := setUpLink(router.Handle, name, netmodel.Gateway, p.address, p.mac); err != nil {
		return err
	}
	return inside(workload, func() error {
		here, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer here.Close()
		index, err := setUpLink(here, inner, p.address, netmodel.Gateway, routerMAC)
		if err != nil {
			return err
		}
		if err := here.RouteAdd(&netlink.Route{LinkIndex: index, Gw: netmodel.Gateway.AsSlice()}); err != nil {
			return fmt.Errorf("default route: %w", err)
		}
		return nil
	})
}

// carrierWait bounds the wait for a link that is up at both ends to carry.
const carrierWait = 5 * time.Second

// carries waits until a link carries packets. The end that was raised before the other learns of it from a kernel thread,
// and drops what is sent until then, a first answer of the name server say.
func (s *space) carries(name string) error {
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		l, err := s.LinkByName(name)
		if err != nil {
			return err
		}
		if l.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Since(begun) > carrierWait {
			return fmt.Errorf("the link %s carries nothing", name)
		}
	}
}

// setUpLink gives one end of a link its own address and the way to the other end.
func setUpLink(h *netlink.Handle, name string, own, peer netip.Addr, peerMAC [6]byte) (index int, err error) {
	link, err := h.LinkByName(name)
	if err != nil {
		return 0, err
	}
	index = link.Attrs().Index
	if err := h.AddrAdd(link, &netlink.Addr{IPNet: netOf(host(own))}); err != nil {
		return 0, fmt.Errorf("address: %w", err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return 0, fmt.Errorf("raising %s: %w", name, err)
	}
	if err := h.RouteAdd(&netlink.Route{LinkIndex: index, Dst: netOf(host(peer)), Scope: netlink.SCOPE_LINK}); err != nil {
		return 0, fmt.Errorf("route to %s: %w", peer, err)
	}
	neighbour := &netlink.Neigh{LinkIndex: index, Family: netlink.FAMILY_V4, State: netlink.NUD_PERMANENT, IP: peer.AsSlice(), HardwareAddr: peerMAC[:]}
	if err := h.NeighSet(neighbour); err != nil {
		return 0, fmt.Errorf("neighbour %s: %w", peer, err)
	}
	return index, nil
}

// NetNS returns the path of the namespace of an attached interface or isolated workload, for finding it after a restart.
func (f *Fabric) NetNS(id string) (string, bool) {
	p, found, err := f.attachment(id)
	return p.path, err == nil && found && isNamespace(p.path)
}

// Detach removes what Attach or AttachIsolated made for id: the link at once, with every flow that it carried; the
// namespace when the last process in it has ended. An unknown id is not an error.
func (f *Fabric) Detach(ctx context.Context, id string) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	p, found, err := f.attachment(id)
	if err != nil || !found {
		return err
	}
	n := f.known(kindVPC, p.vpc)
	if n == nil {
		return f.detach(nil, p)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return f.detach(n, p)
}

// detach removes an attachment of a network, which is nil if this process has not applied it and else locked.
func (f *Fabric) detach(n *network, p place) error {
	if n != nil {
		delete(n.plugged, netmodel.Device(p.id))
	}
	if router := f.path(kindVPC, p.vpc); p.kind == kindAttached && isNamespace(router) {
		if err := inside(router, func() error { return unplug(netmodel.Device(p.id)) }); err != nil {
			return err
		}
	}
	return dropNamespace(p.path)
}

// unplug deletes a link of the calling thread's namespace and cuts the flows of the address behind it, so that the next
// owner of the address inherits nothing.
func unplug(device string) error {
	link, err := netlink.LinkByName(device)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	routes, err := netlink.RouteList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return err
	}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		if a, ok := netip.AddrFromSlice(r.Dst.IP.To4()); ok {
			if err := cut(func(t tuple) bool { return t.src.Addr() == a || t.dst.Addr() == a }); err != nil {
				return err
			}
		}
	}
	return nil
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}
