package fabric

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// network is a VPC that this process has applied.
type network struct {
	id   string
	path string
	gone chan struct{} // closed when the VPC is removed or the fabric closed

	mu     sync.Mutex // held while the machine is made to match
	model  *netmodel.VPC
	names  *nameServer
	owners map[netip.Addr]string // address to interface, those of older models included
}

// home is the link that carries the VPC's own addresses. Nothing arrives or leaves through it: the packet filter drops
// what the namespace sends to itself.
const home = "lo"

// Apply makes the machine match v, creating or adopting its namespace. The rules change in one atomic step; then flows
// that began under older rules and would be refused by the new ones are cut. It is idempotent. When it fails, what holds
// is what held before or, from some point on, v; calling it again repairs.
func (f *Fabric) Apply(ctx context.Context, v *netmodel.VPC) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	v, err := snapshot(v)
	if err != nil {
		return err
	}
	n := f.lock(v.ID)
	defer n.mu.Unlock()
	if err := n.exist(); err != nil {
		return err
	}
	if err := f.load(ctx, n.path, netmodel.Compile(v)); err != nil {
		return err
	}
	n.adopt(v)
	err = inside(n.path, func() error {
		if err := syncAddresses(v); err != nil {
			return err
		}
		return revoke(v)
	})
	if err != nil {
		return err
	}
	return n.serveNames(v, f.log)
}

// snapshot copies a VPC, so that its owner may change it, and validates the copy.
func snapshot(v *netmodel.VPC) (*netmodel.VPC, error) {
	b, err := v.Encode()
	if err != nil {
		return nil, err
	}
	return netmodel.Parse(b)
}

// lock returns the locked network of this id, new if there is none.
func (f *Fabric) lock(id string) *network {
	for {
		f.mu.Lock()
		n := f.networks[id]
		if n == nil {
			n = &network{id: id, path: f.path(kindVPC, id), gone: make(chan struct{}), owners: map[netip.Addr]string{}}
			f.networks[id] = n
		}
		f.mu.Unlock()
		n.mu.Lock()
		if !n.stopped() {
			return n
		}
		n.mu.Unlock() // somebody removed it while we waited
	}
}

func (f *Fabric) forget(n *network) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.networks[n.id] == n {
		delete(f.networks, n.id)
	}
}

func (n *network) stopped() bool {
	select {
	case <-n.gone:
		return true
	default:
		return false
	}
}

// applied returns a VPC's network and its model, or ErrNotFound if this process has not applied it.
func (f *Fabric) applied(id string) (*network, *netmodel.VPC, error) {
	f.mu.Lock()
	n := f.networks[id]
	f.mu.Unlock()
	if n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.model != nil {
			return n, n.model, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: %.80s has not been applied", ErrNotFound, id)
}

// exist makes the namespace, or takes over one that an earlier process made.
func (n *network) exist() error {
	if !isNamespace(n.path) {
		if err := dropNamespace(n.path); err != nil {
			return err
		}
		return makeNamespace(n.path, prepareRouter)
	}
	return inside(n.path, prepareRouter)
}

// prepareRouter sets up the namespace that the calling thread is in; the order is such that nothing passes before the
// rules are there, as it has no link yet.
func prepareRouter() error {
	if err := set(noIPv6[:]); err != nil {
		return err
	}
	if err := set(routing[:]); err != nil {
		return err
	}
	return up(home)
}

func (n *network) adopt(v *netmodel.VPC) {
	n.model = v
	for _, i := range v.Interfaces {
		n.owners[i.Address] = i.ID
	}
}

// syncAddresses gives the namespace of the calling thread the addresses of the model's services and endpoints, and no
// others.
func syncAddresses(v *netmodel.VPC) error {
	link, err := netlink.LinkByName(home)
	if err != nil {
		return err
	}
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	want := ownAddresses(v)
	for i := range have {
		a, ok := netip.AddrFromSlice(have[i].IP.To4())
		if ok && a.IsLoopback() {
			continue
		}
		if ok && want[a] {
			delete(want, a)
			continue
		}
		if err := netlink.AddrDel(link, &have[i]); err != nil {
			return fmt.Errorf("removing %s: %w", have[i].IPNet, err)
		}
	}
	for a := range want {
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: single(a)}); err != nil {
			return fmt.Errorf("adding %s: %w", a, err)
		}
	}
	return nil
}

func ownAddresses(v *netmodel.VPC) map[netip.Addr]bool {
	out := map[netip.Addr]bool{netmodel.Resolver: true, v.ResolverAddress(): true, netmodel.Metadata: true, netmodel.Credentials: true}
	for _, e := range v.Endpoints {
		for _, a := range e.Addresses {
			out[a.Address] = true
		}
	}
	return out
}

// stop ends what this process runs for the network. The caller holds n.mu.
func (n *network) stop() error {
	if !n.stopped() {
		close(n.gone)
	}
	n.model = nil
	if n.names == nil {
		return nil
	}
	err := n.names.stop()
	n.names = nil
	return err
}

// Remove takes a VPC away, with its links and addresses: listeners that somebody still holds open hear nothing any more.
// An unknown id is not an error. Workloads that were attached keep their own namespaces, with nothing in them, until they
// are detached.
func (f *Fabric) Remove(ctx context.Context, vpcID string) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	if !netmodel.ValidID(vpcID) {
		return fmt.Errorf("%w: invalid id %.80q", ErrRefused, vpcID)
	}
	n := f.lock(vpcID)
	defer n.mu.Unlock()
	stopped := n.stop()
	f.forget(n)
	if stopped != nil {
		return stopped
	}
	if isNamespace(n.path) {
		if err := inside(n.path, dropLinks); err != nil {
			return err
		}
	}
	return dropNamespace(n.path)
}

// dropLinks deletes every link of the calling thread's namespace but loopback. A listening socket can keep a namespace
// alive; without links it is out of reach.
func dropLinks() error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Attrs().Name == home {
			continue
		}
		if err := netlink.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("deleting %s: %w", l.Attrs().Name, err)
		}
	}
	return nil
}

// Keep says what [Fabric.Sweep] leaves alone: ids of VPCs, and ids of interfaces and of isolated workloads.
type Keep struct {
	VPCs, Attachments map[string]bool
}

// Sweep removes every VPC and attachment under the state directory and prefix that keep does not name.
func (f *Fabric) Sweep(ctx context.Context, keep Keep) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	all, err := f.places()
	if err != nil {
		return err
	}
	for _, p := range all {
		switch {
		case p.kind == kindVPC && !keep.VPCs[p.id]:
			err = errors.Join(err, f.Remove(ctx, p.id))
		case p.kind != kindVPC && !keep.Attachments[p.id]:
			err = errors.Join(err, f.Detach(ctx, p.id))
		}
	}
	return err
}
