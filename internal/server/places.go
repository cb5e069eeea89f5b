package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"bawn.dev/internal/api"
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
	tls   *tls.Config
	again func(vpcID string) // has a VPC applied once more
	flows func(ctx context.Context, vpcID string, flows []fabric.FlowRecord) error
	log   *slog.Logger

	mu   sync.Mutex
	vpcs map[string]*place
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
	Flows(ctx context.Context, vpcID string, emit func(fabric.FlowRecord) error) error
}

// A place is what is open in one VPC.
type place struct {
	servers map[netip.AddrPort]*door
	reading context.CancelFunc // of flow logs; nil when none are wanted
}

// A door is a listener in a VPC and the endpoint that it belongs to.
type door struct {
	endpoint string
	server   *http.Server
}

// ApplyVPC implements ec2.Machines: the network first, then what listens in it.
func (p *places) ApplyVPC(ctx context.Context, v *netmodel.VPC) error {
	if err := p.host.ApplyVPC(ctx, v); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.vpcs == nil {
		p.vpcs = map[string]*place{}
	}
	here := p.vpcs[v.ID]
	if here == nil {
		here = &place{servers: map[netip.AddrPort]*door{}}
		p.vpcs[v.ID] = here
	}
	wanted := map[netip.AddrPort]string{netip.AddrPortFrom(netmodel.Credentials, netmodel.CredentialsPort): ""}
	for _, e := range v.Endpoints {
		for _, a := range e.Addresses {
			for _, port := range e.Ports {
				wanted[netip.AddrPortFrom(a.Address, port)] = e.ID
			}
		}
	}
	for addr, d := range here.servers {
		if endpoint, ok := wanted[addr]; !ok || endpoint != d.endpoint {
			d.server.Close()
			delete(here.servers, addr)
		}
	}
	var errs []error
	for addr, endpoint := range wanted {
		if here.servers[addr] == nil {
			errs = append(errs, p.open(ctx, v, here, addr, endpoint))
		}
	}
	p.readFlows(v, here)
	return errors.Join(errs...)
}

// open listens on one address in a VPC.
func (p *places) open(ctx context.Context, v *netmodel.VPC, here *place, addr netip.AddrPort, endpoint string) error {
	l, err := p.host.Listen(ctx, v.ID, addr)
	if err != nil {
		return err
	}
	var srv *http.Server
	if endpoint != "" {
		// The kernel says which endpoint a call came through: it is this listener's.
		srv = newHTTPServer(p.door.Handler(api.Origin{EndpointID: endpoint, VPC: v.ID, VPCAccount: v.Account}), p.log)
		l = tls.NewListener(netlimit.Listen(l, endpointConnections), p.tls)
	} else {
		h, err := metadata.New(metadata.Config{VPC: v.ID, Directory: p.credentials, Minter: p.credentials, Log: p.log})
		if err != nil {
			return err
		}
		srv, l = metadata.Server(h), netlimit.Listen(l, metadata.Connections)
	}
	here.servers[addr] = &door{endpoint, srv}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("a listener in a VPC ended", "vpc", v.ID, "address", addr, "err", err)
			p.mu.Lock()
			delete(here.servers, addr)
			p.mu.Unlock()
			p.again(v.ID)
		}
	}()
	return nil
}

// readFlows follows a VPC's flows while somebody wants them logged.
func (p *places) readFlows(v *netmodel.VPC, here *place) {
	if !v.FlowLogs {
		if here.reading != nil {
			here.reading()
			here.reading = nil
		}
		return
	}
	if here.reading != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	here.reading = cancel
	go func() {
		for ctx.Err() == nil {
			err := p.deliverFlows(ctx, v.ID)
			if ctx.Err() == nil && err != nil {
				p.log.Warn("flow logs of a VPC were interrupted", "vpc", v.ID, "err", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(flowRetry):
			}
		}
	}()
}

// endpointConnections bounds what is open at one endpoint.
var endpointConnections = netlimit.Limits{PerSource: 256, Total: 4096}

// How flow records are gathered before they are delivered, and how soon a reader
// that was interrupted begins again.
const (
	flowBatch = 500
	flowWait  = time.Second
	flowRetry = time.Second
)

// deliverFlows hands flow records on, many at a time.
func (p *places) deliverFlows(ctx context.Context, vpcID string) error {
	records := make(chan fabric.FlowRecord, flowBatch)
	var readErr error
	go func() {
		defer close(records)
		readErr = p.host.Flows(ctx, vpcID, func(f fabric.FlowRecord) error {
			select {
			case records <- f:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var batch []fabric.FlowRecord
	tick := time.NewTicker(flowWait)
	defer tick.Stop()
	deliver := func() {
		if len(batch) == 0 {
			return
		}
		if err := p.flows(ctx, vpcID, batch); err != nil && ctx.Err() == nil {
			p.log.Warn("flow records were not delivered", "vpc", vpcID, "records", len(batch), "err", err)
		}
		batch = batch[:0]
	}
	for {
		select {
		case f, ok := <-records:
			if !ok {
				deliver()
				return readErr
			}
			if batch = append(batch, f); len(batch) >= flowBatch {
				deliver()
			}
		case <-tick.C:
			deliver()
		}
	}
}

// RemoveVPC implements ec2.Machines.
func (p *places) RemoveVPC(ctx context.Context, id string) error {
	p.mu.Lock()
	p.leave(id)
	p.mu.Unlock()
	return p.host.RemoveVPC(ctx, id)
}

// VPCs implements ec2.Machines.
func (p *places) VPCs(ctx context.Context) ([]string, error) { return p.host.VPCs(ctx) }

// ApplyTransit implements ec2.Machines: nothing of the server's is in a gateway.
func (p *places) ApplyTransit(ctx context.Context, g *netmodel.TransitGateway) error {
	return p.host.ApplyTransit(ctx, g)
}

// RemoveTransit implements ec2.Machines.
func (p *places) RemoveTransit(ctx context.Context, id string) error {
	return p.host.RemoveTransit(ctx, id)
}

// Transits implements ec2.Machines.
func (p *places) Transits(ctx context.Context) ([]string, error) { return p.host.Transits(ctx) }

// leave closes what is open in a VPC.
func (p *places) leave(id string) {
	here := p.vpcs[id]
	if here == nil {
		return
	}
	for _, d := range here.servers {
		d.server.Close()
	}
	if here.reading != nil {
		here.reading()
	}
	delete(p.vpcs, id)
}

// close leaves every VPC.
func (p *places) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.vpcs {
		p.leave(id)
	}
}
