package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/ec2"
	"bawn.dev/internal/egress"
	"bawn.dev/internal/fabric"
	"bawn.dev/internal/metadata"
	"bawn.dev/internal/netlimit"
	"bawn.dev/internal/netmodel"
)

// places are the server's ends inside VPCs: the listeners of endpoints and of the
// credentials address, and the readers of flow logs. They follow the networks that
// ec2 has the host obey, so that a VPC is ready when its endpoints answer.
type places struct {
	host        networkHost
	door        *api.Door
	credentials interface {
		metadata.Directory
		metadata.Minter
	}
	tls     *tls.Config
	again   func(vpcID string) // has a VPC applied once more
	flows   func(ctx context.Context, vpcID string, flows []fabric.FlowRecord) error
	queries func(ctx context.Context, vpcID string, queries []fabric.Query) error
	ways    *ways
	log     *slog.Logger

	mu      sync.Mutex
	vpcs    map[string]*place
	closing sync.WaitGroup // of proxies, which wait for records
}

// networkHost is what places ask of the host.
type networkHost interface {
	ApplyVPC(ctx context.Context, v *netmodel.VPC) error
	RemoveVPC(ctx context.Context, id string) error
	VPCs(ctx context.Context) ([]string, error)
	ApplyTransit(ctx context.Context, g *netmodel.TransitGateway) error
	RemoveTransit(ctx context.Context, id string) error
	Transits(ctx context.Context) ([]string, error)
	Listen(ctx context.Context, vpcID string, addr netip.AddrPort) (net.Listener, error)
	Dial(ctx context.Context, vpcID string, from netip.Addr, to netip.AddrPort) (net.Conn, error)
	Flows(ctx context.Context, vpcID string, emit func(fabric.FlowRecord) error) error
	Queries(ctx context.Context, vpcID string, emit func(fabric.Query) error) error
	Events(ctx context.Context, emit func(fabric.Event) error) error
}

// A place is what is open in one VPC.
type place struct {
	model   atomic.Pointer[netmodel.VPC] // as it was last applied
	doors   map[netip.AddrPort]*door
	proxies map[string]*egress.Proxy // by NAT gateway, and by endpoint that leads to an endpoint service
	routes  map[string]string        // by the latter, where its ports lead
	reading context.CancelFunc       // what flow logs tell; nil when none are wanted
}

// A door is a listener in a VPC and the endpoint that it belongs to.
type door struct {
	endpoint string
	close    func() error
}

// hostTime is how long the host may take over one network: one that hangs is to hold
// up no other for longer, and to be known as one that does not obey.
const hostTime = time.Minute

// ApplyVPC implements ec2.Machines: the network first, then what listens in it.
func (p *places) ApplyVPC(ctx context.Context, v *netmodel.VPC) error {
	ctx, cancel := context.WithTimeout(ctx, hostTime)
	defer cancel()
	if err := p.host.ApplyVPC(ctx, v); err != nil {
		p.recheck(v.ID)
		return err
	}
	proxies, err := p.furnish(ctx, v)
	// What was open under older rules is asked about again, once nothing is locked.
	for _, proxy := range proxies {
		proxy.Recheck()
	}
	return err
}

// recheck asks again about what is open in these VPCs, or in all: that obeys a change
// also while the machine does not.
func (p *places) recheck(ids ...string) {
	p.mu.Lock()
	var proxies []*egress.Proxy
	for id, here := range p.vpcs {
		if len(ids) == 0 || slices.Contains(ids, id) {
			proxies = slices.AppendSeq(proxies, maps.Values(here.proxies))
		}
	}
	p.mu.Unlock()
	for _, proxy := range proxies {
		proxy.Recheck()
	}
}

// furnish opens what is to be open in a VPC and closes all else. It answers the
// proxies that there are.
func (p *places) furnish(ctx context.Context, v *netmodel.VPC) ([]*egress.Proxy, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.vpcs == nil {
		p.vpcs = map[string]*place{}
	}
	here := p.vpcs[v.ID]
	if here == nil {
		here = &place{doors: map[netip.AddrPort]*door{}, proxies: map[string]*egress.Proxy{}, routes: map[string]string{}}
		p.vpcs[v.ID] = here
	}
	here.model.Store(v)
	wanted := map[netip.AddrPort]*netmodel.Endpoint{netip.AddrPortFrom(netmodel.Credentials, netmodel.CredentialsPort): {}}
	leading := map[string]bool{}
	for i := range v.Endpoints {
		e := &v.Endpoints[i]
		leading[e.ID] = true
		if ec2.LeadsToService(e) {
			now := p.ways.routes(ctx, e)
			if now != here.routes[e.ID] {
				p.shut(here, e.ID)
			}
			here.routes[e.ID] = now
		}
		for _, a := range e.Addresses {
			for _, port := range e.Ports {
				wanted[netip.AddrPortFrom(a.Address, port)] = e
			}
		}
	}
	for addr, d := range here.doors {
		if e := wanted[addr]; e == nil || e.ID != d.endpoint {
			d.close()
			delete(here.doors, addr)
		}
	}
	for id := range here.proxies {
		if !leading[id] {
			p.shut(here, id)
		}
	}
	var errs []error
	for addr, e := range wanted {
		if here.doors[addr] == nil {
			errs = append(errs, p.open(ctx, here, addr, e))
		}
	}
	p.follow(v, here)
	return slices.Collect(maps.Values(here.proxies)), errors.Join(errs...)
}

// open listens on one address in a VPC: of an endpoint, or of the credentials.
func (p *places) open(ctx context.Context, here *place, addr netip.AddrPort, e *netmodel.Endpoint) error {
	v := here.model.Load()
	l, err := p.host.Listen(ctx, v.ID, addr)
	if err != nil {
		return err
	}
	serve, stop, err := p.behind(here, l, addr.Port(), e)
	if err != nil {
		l.Close()
		return err
	}
	d := &door{e.ID, stop}
	here.doors[addr] = d
	go func() {
		err := serve()
		p.mu.Lock()
		known := here.doors[addr] == d
		if known {
			delete(here.doors, addr)
		}
		p.mu.Unlock()
		if known { // nobody closed it
			p.log.Error("a listener in a VPC ended", "vpc", v.ID, "address", addr, "err", err)
			p.again(v.ID)
		}
	}()
	return nil
}

// behind is what serves a listener, and what ends it. The kernel says which endpoint a
// call came through: it is this listener's.
func (p *places) behind(here *place, l net.Listener, port uint16, e *netmodel.Endpoint) (serve, stop func() error, err error) {
	v := here.model.Load()
	switch {
	case e.ID == "":
		h, err := metadata.New(metadata.Config{VPC: v.ID, Directory: p.credentials, Minter: p.credentials, Log: p.log})
		if err != nil {
			return nil, nil, err
		}
		srv := metadata.Server(h)
		return func() error { return srv.Serve(netlimit.Listen(l, metadata.Connections)) }, srv.Close, nil
	case e.Type == netmodel.NATGateway:
		proxy, err := here.proxy(e.ID, p.ways.nat)
		return func() error { return proxy.Serve(l, egress.KindOf(port)) }, l.Close, err
	case ec2.LeadsToService(e):
		proxy, err := here.proxy(e.ID, p.ways.relay)
		return func() error { return proxy.Relay(l, e.ID, port) }, l.Close, err
	}
	srv := newHTTPServer(p.door.Handler(api.Origin{EndpointID: e.ID, VPC: v.ID, VPCAccount: v.Account}), p.log)
	return func() error { return srv.Serve(tls.NewListener(netlimit.Listen(l, endpointConnections), p.tls)) }, srv.Close, nil
}

// shut ends what is open at an endpoint, with its proxy.
func (p *places) shut(here *place, id string) {
	for addr, d := range here.doors {
		if d.endpoint == id {
			d.close()
			delete(here.doors, addr)
		}
	}
	if proxy := here.proxies[id]; proxy != nil {
		p.closing.Go(proxy.Close)
		delete(here.proxies, id)
	}
	delete(here.routes, id)
}

// proxy is the one of an endpoint with this id, made if there is none.
func (here *place) proxy(id string, make func(*place, string) (*egress.Proxy, error)) (*egress.Proxy, error) {
	if known := here.proxies[id]; known != nil {
		return known, nil
	}
	made, err := make(here, id)
	if err == nil {
		here.proxies[id] = made
	}
	return made, err
}

// endpointConnections bounds what is open at one endpoint.
var endpointConnections = netlimit.Limits{PerSource: 256, Total: 4096}

// RemoveVPC implements ec2.Machines.
func (p *places) RemoveVPC(ctx context.Context, id string) error {
	p.mu.Lock()
	p.leave(id)
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, hostTime)
	defer cancel()
	return p.host.RemoveVPC(ctx, id)
}

// VPCs implements ec2.Machines.
func (p *places) VPCs(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, hostTime)
	defer cancel()
	ids, err := p.host.VPCs(ctx)
	if err != nil {
		p.recheck()
	}
	return ids, err
}

// ApplyTransit implements ec2.Machines: nothing of the server's is in a gateway.
func (p *places) ApplyTransit(ctx context.Context, g *netmodel.TransitGateway) error {
	ctx, cancel := context.WithTimeout(ctx, hostTime)
	defer cancel()
	return p.host.ApplyTransit(ctx, g)
}

// RemoveTransit implements ec2.Machines.
func (p *places) RemoveTransit(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, hostTime)
	defer cancel()
	return p.host.RemoveTransit(ctx, id)
}

// Transits implements ec2.Machines.
func (p *places) Transits(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, hostTime)
	defer cancel()
	return p.host.Transits(ctx)
}

// leave closes what is open in a VPC.
func (p *places) leave(id string) {
	here := p.vpcs[id]
	if here == nil {
		return
	}
	for addr, d := range here.doors {
		delete(here.doors, addr)
		d.close()
	}
	for _, proxy := range here.proxies {
		p.closing.Go(proxy.Close)
	}
	if here.reading != nil {
		here.reading()
	}
	delete(p.vpcs, id)
}

// close leaves every VPC, and returns when all that was open is recorded.
func (p *places) close() {
	p.mu.Lock()
	for id := range p.vpcs {
		p.leave(id)
	}
	p.mu.Unlock()
	p.closing.Wait()
}
