package fabric

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"bawn.dev/internal/netmodel"
)

// network is a VPC or a transit gateway that this process has applied.
type network struct {
	id, kind, path string
	gone           chan struct{} // closed when it is removed or the fabric closed

	mu      sync.Mutex // held while the machine is made to match
	space   *space     // nil before it exists
	model   *netmodel.VPC
	gateway *netmodel.TransitGateway
	filter  filter
	settled bool // the machine was made to match, to the end, since the last change
	names   *nameServer
	plugged map[string]joint      // links of interfaces, by device
	owners  map[netip.Addr]string // address to interface, those of older models included

	queries *feed[Query]
	stirred atomic.Bool // the kernel told of a change
	failing string      // the drift that could not be repaired and was told
	lost    []string    // links of interfaces that could not be made again and were not told yet
}

// joint is what is known of an attached interface's link. After a restart nothing is known of one that the model has not.
type joint struct {
	id      string
	address netip.Addr
	mac     [6]byte
	mended  int // how often it was made again
}

// home is the link that carries the VPC's own addresses. Nothing arrives or leaves through it: the packet filter drops
// what the namespace sends to itself.
const home = "lo"

// Apply makes the machine match v, creating or adopting its namespace. The rules change in one atomic step; then flows
// that began under older rules and would be refused by the new ones are cut. It is idempotent. When it fails, what holds
// is what held before or, from some point on, v; calling it again repairs. It keeps v, which must not change any more.
func (f *Fabric) Apply(ctx context.Context, v *netmodel.VPC) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	if err := v.Validate(); err != nil {
		return err
	}
	f.changing.Lock()
	defer f.changing.Unlock()
	f.patrol()
	n := f.lock(kindVPC, v.ID)
	defer n.mu.Unlock()
	before := f.peers(n)
	if err := n.exist(f); err != nil {
		return err
	}
	if err := f.enforce(ctx, n, netmodel.Compile(v), func() { n.adopt(v) }); err != nil {
		return err
	}
	return errors.Join(n.serveNames(v, f.log), f.settlePeers(append(before, f.peers(n)...)))
}

// layout is what a namespace looks like besides its packet filter and the interfaces that are attached.
type layout struct {
	own       map[netip.Addr]bool
	junctions []junction
	routing   netmodel.Routing
}

func (n *network) layout() layout { return layout{n.ownAddresses(), n.attachments(), n.routing()} }

// enforce makes the machine match what adopt makes the network's model. The caller holds f.changing and n.mu.
func (f *Fabric) enforce(ctx context.Context, n *network, rules netmodel.Ruleset, adopt func()) error {
	settled, before := n.settled, n.layout()
	n.settled = false
	tampered, err := n.foreign()
	if err != nil {
		return err
	}
	changed, err := n.load(ctx, f.nft, rules)
	if err != nil {
		return err
	}
	if tampered {
		f.tell(n, []string{filterChanged}, nil)
	}
	adopt()
	moved := !settled || !reflect.DeepEqual(before, n.layout())
	if moved {
		if _, err := f.settle(n); err != nil {
			return err
		}
	}
	if n.kind == kindVPC && (changed || moved) {
		if err := n.space.do(func() error { return revoke(n.model) }); err != nil {
			return err
		}
	}
	n.settled = true
	return nil
}

// lock returns the locked network of this id, new if there is none.
func (f *Fabric) lock(kind, id string) *network {
	for {
		f.mu.Lock()
		n := f.networks[kind+"."+id]
		if n == nil {
			n = &network{id: id, kind: kind, path: f.path(kind, id), gone: make(chan struct{}), plugged: map[string]joint{},
				owners: map[netip.Addr]string{}, queries: newFeed[Query](queryBuffer, false)}
			f.networks[kind+"."+id] = n
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
	if key := n.kind + "." + n.id; f.networks[key] == n {
		delete(f.networks, key)
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

// known returns a network that this process has made, or nil.
func (f *Fabric) known(kind, id string) *network {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.networks[kind+"."+id]
}

// applied returns a VPC's network and its model, or ErrNotFound if this process has not applied it.
func (f *Fabric) applied(id string) (*network, *netmodel.VPC, error) {
	if n := f.known(kindVPC, id); n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.model != nil {
			return n, n.model, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: %.80s has not been applied", ErrNotFound, id)
}

// exist makes the namespace, or takes over one that an earlier process made.
func (n *network) exist(f *Fabric) error {
	if n.space != nil {
		return nil
	}
	if !isNamespace(n.path) {
		if err := dropNamespace(n.path); err != nil {
			return err
		}
		if err := makeNamespace(n.path, func() error { return n.prepare() }); err != nil {
			return err
		}
	} else if err := inside(n.path, n.prepare); err != nil {
		return err
	}
	if err := n.recall(f); err != nil {
		return err
	}
	s, err := openSpace(n.path)
	if err != nil {
		return err
	}
	n.space = s
	go n.listen(s)
	return nil
}

// prepare sets up the namespace that the calling thread is in; the order is such that nothing passes before the rules are
// there, as it has no link yet.
func (n *network) prepare() error {
	if _, err := set(n.settings()); err != nil {
		return err
	}
	return up(home)
}

func (n *network) settings() []setting {
	if n.kind == kindTransit {
		return slices.Concat(noIPv6[:], routing[:], forwarding[:])
	}
	return slices.Concat(noIPv6[:], routing[:], tracking[:], forwarding[:])
}

// recall finds the interfaces that an earlier process attached.
func (n *network) recall(f *Fabric) error {
	if n.kind != kindVPC {
		return nil
	}
	all, err := f.places()
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.kind == kindAttached && p.vpc == n.id && isNamespace(p.path) {
			n.plugged[netmodel.Device(p.id)] = joint{id: p.id}
		}
	}
	return nil
}

func (n *network) adopt(v *netmodel.VPC) {
	n.model = v
	for i := range v.Interfaces {
		ifc := &v.Interfaces[i]
		n.owners[ifc.Address] = ifc.ID
		if d := netmodel.Device(ifc.ID); n.plugged[d].id != "" && !n.plugged[d].address.IsValid() {
			n.plugged[d] = jointOf(ifc)
		}
	}
}

// stop ends what this process runs for the network. The caller holds n.mu.
func (n *network) stop() error {
	if !n.stopped() {
		close(n.gone)
	}
	n.model, n.gateway = nil, nil
	var err error
	if n.names != nil {
		err = n.names.stop()
		n.names = nil
	}
	if n.space != nil {
		n.space.close()
		n.space = nil
	}
	return err
}

// Remove takes a VPC away, with its links and addresses: listeners that somebody still holds open hear nothing any more.
// An unknown id is not an error. Workloads that were attached keep their own namespaces, with nothing in them, until they
// are detached.
func (f *Fabric) Remove(ctx context.Context, vpcID string) error {
	return f.remove(ctx, kindVPC, vpcID)
}

func (f *Fabric) remove(ctx context.Context, kind, id string) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	if !netmodel.ValidID(id) {
		return fmt.Errorf("%w: invalid id %.80q", ErrRefused, id)
	}
	f.changing.Lock()
	defer f.changing.Unlock()
	n := f.lock(kind, id)
	defer n.mu.Unlock()
	peers := f.peers(n)
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
	return errors.Join(dropNamespace(n.path), f.settlePeers(peers))
}

// Keep says what [Fabric.Sweep] leaves alone: ids of VPCs, of transit gateways, and of interfaces and isolated workloads.
type Keep struct {
	VPCs, Transits, Attachments map[string]bool
}

// Sweep removes every VPC, transit gateway and attachment under the state directory and prefix that keep does not name.
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
		case p.kind == kindVPC && !keep.VPCs[p.id] || p.kind == kindTransit && !keep.Transits[p.id]:
			err = errors.Join(err, f.remove(ctx, p.kind, p.id))
		case p.workload() && !keep.Attachments[p.id]:
			err = errors.Join(err, f.Detach(ctx, p.id))
		}
	}
	return err
}
