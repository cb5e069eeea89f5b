package fabric

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// junction is an attachment of a VPC to a transit gateway, as either of them names it.
type junction struct{ id, vpc, gateway string }

// across is the next hop of every route over a junction's link, known to be at the other end for good. Nobody has the
// address: the links are unnumbered, and nothing asks on them where an address is.
var across = netip.AddrFrom4([4]byte{169, 254, 1, 2})

// attachments are the junctions of a network's model.
func (n *network) attachments() []junction {
	var out []junction
	switch {
	case n.model != nil:
		for _, a := range n.model.Attachments {
			out = append(out, junction{a.ID, n.id, a.Gateway})
		}
	case n.gateway != nil:
		for _, a := range n.gateway.Attachments {
			out = append(out, junction{a.ID, a.VPC, n.id})
		}
	}
	return out
}

// other returns the network at the other side of a junction, or nil while it is not applied.
func (f *Fabric) other(n *network, j junction) *network {
	kind, id := kindTransit, j.gateway
	if n.kind == kindTransit {
		kind, id = kindVPC, j.vpc
	}
	if o := f.known(kind, id); o != nil && o.space != nil {
		return o
	}
	return nil
}

// peers are the networks at the other sides of a network's junctions. The caller holds f.changing.
func (f *Fabric) peers(n *network) []*network {
	var out []*network
	for _, j := range n.attachments() {
		if o := f.other(n, j); o != nil {
			out = append(out, o)
		}
	}
	return out
}

// settlePeers lets networks follow what became of a link to them. The caller holds f.changing, and the lock of the network
// that they are peers of; nobody else ever holds two.
func (f *Fabric) settlePeers(peers []*network) error {
	var err error
	for i, p := range peers {
		if slices.Contains(peers[:i], p) {
			continue
		}
		p.mu.Lock()
		if p.space != nil {
			_, failed := f.settle(p)
			err = errors.Join(err, failed)
		}
		p.mu.Unlock()
	}
	return err
}

// ApplyTransit makes the machine match g, as [Fabric.Apply] does for a VPC. A link to a VPC comes when both have been
// applied with its attachment, and goes when one of them no longer has it. It keeps g, which must not change any more.
func (f *Fabric) ApplyTransit(ctx context.Context, g *netmodel.TransitGateway) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	if err := g.Validate(); err != nil {
		return err
	}
	f.changing.Lock()
	defer f.changing.Unlock()
	f.patrol()
	n := f.lock(kindTransit, g.ID)
	defer n.mu.Unlock()
	before := f.peers(n)
	if err := n.exist(f); err != nil {
		return err
	}
	if err := f.enforce(ctx, n, netmodel.CompileTransit(g), func() { n.gateway = g }); err != nil {
		return err
	}
	return f.settlePeers(append(before, f.peers(n)...))
}

// RemoveTransit takes a transit gateway away, with its links. An unknown id is not an error.
func (f *Fabric) RemoveTransit(ctx context.Context, id string) error {
	return f.remove(ctx, kindTransit, id)
}

// connect makes the link of a junction, if both sides know it.
func (f *Fabric) connect(n *network, j junction) ([]string, error) {
	o := f.other(n, j)
	if o == nil || !slices.Contains(o.attachments(), j) {
		return nil, nil
	}
	name := netmodel.TransitDevice(j.id)
	for _, s := range []*space{n.space, o.space} { // what is left of one that was tampered with
		if l, err := s.LinkByName(name); err == nil {
			if err := s.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
				return nil, fmt.Errorf("fabric: link of %s: %w", j.id, err)
			}
		}
	}
	veth := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: name, HardwareAddr: routerMAC[:], MTU: netmodel.MTU},
		PeerName:         name,
		PeerMTU:          netmodel.MTU,
		PeerHardwareAddr: routerMAC[:],
		PeerNamespace:    netlink.NsFd(o.space.file.Fd()),
	}
	if err := n.space.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("fabric: link of %s: %w", j.id, err)
	}
	for _, s := range []*space{n.space, o.space} {
		if err := s.raise(name); err != nil {
			return nil, fmt.Errorf("fabric: link of %s: %w", j.id, err)
		}
	}
	return []string{fmt.Sprintf("the link of %s was gone", j.id)}, errors.Join(n.space.carries(name), o.space.carries(name))
}

// raise brings up one end of a link to or from a transit gateway. What comes by it was sent from anywhere, as far as
// routing knows: the packet filter says who may.
func (s *space) raise(name string) error {
	return s.do(func() error {
		if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv4/conf", name, rpFilter), []byte("0"), 0); err != nil {
			return err
		}
		return up(name)
	})
}
