// Package egress is the way out of a VPC: the proxy behind the sockets of a NAT gateway, and the relay behind the endpoint
// of an endpoint service.
//
// A NAT gateway here routes nothing. Its sockets lie inside the VPC; each connection says which name it is for (plain HTTP
// in Host, TLS in the server name of its greeting, a proxy's client in CONNECT or an absolute URL). The proxy asks whether
// the workload behind the source address may reach that name and port, connects to it, has the connection recorded, and
// only then lets a byte pass. TLS is forwarded and never opened.
//
// It trusts its [Config], which decides, dials and records, and the listeners: opened inside one VPC's namespace, where a
// connection's remote address is that of the interface that made it. Nothing that a connection says about itself is
// believed, but for the name that it asks for.
//
// Whoever controls a workload reaches the names that rules open to its security groups, at their ports, for as long as they
// do and as far as their byte budgets go; each connection is on record before its first byte. He cannot choose the address
// behind a name, nor put a request for one name on a connection that was judged for another: every HTTP request has an
// upstream connection of its own, and is written anew from what was parsed. He can hold his share of connections and
// no more, and fill the record only at the rate of one source.
//
// What remains his: inside TLS and opaque tunnels nothing is seen, so that a host which serves several parties behind one
// name it is open under may be asked for another's content there (a Host header that differs from the server name). With
// encrypted client hello the outer name, the one that can be seen, is what counts. Rules should name hosts of one party.
package egress

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"bawn.dev/internal/netlimit"
	"bawn.dev/internal/netmodel"
)

// Kind is what a socket speaks.
type Kind string

// The kinds. Relay is that of an endpoint service's endpoint: bytes, for one destination.
const (
	HTTP     Kind = "http"  // requests in origin form, for the name in Host, at port 80
	TLS      Kind = "tls"   // a TLS client's greeting, for the name in it, at port 443
	Explicit Kind = "proxy" // a proxy's client: CONNECT, or http URLs in absolute form
	Relay    Kind = "relay"
)

// KindOf is the kind of a NAT gateway's socket, and empty for a port that is none.
func KindOf(port uint16) Kind {
	switch port {
	case netmodel.NATPortHTTP:
		return HTTP
	case netmodel.NATPortTLS:
		return TLS
	case netmodel.NATPortProxy:
		return Explicit
	}
	return ""
}

// Connections bounds what may be open at once at one listener.
var Connections = netlimit.Limits{PerSource: 128, Total: 1024}

// Times that a peer has.
const (
	peerTime = 5 * time.Second   // to send a whole TLS greeting or a request's header, or to take the last of an answer
	dialTime = 10 * time.Second  // to connect outside, and to record that
	restTime = 60 * time.Second  // between requests
	idleTime = 350 * time.Second // without a byte either way, as at Amazon's NAT gateway
)

// Config is what a Proxy works with. All fields are required. The functions are called at the same time by many connections.
type Config struct {
	// Allow decides whether the workload behind source may reach name at port. Any error refuses: a [*Denied] because no
	// rule admits it, which the workload is told; another one because nobody can say, which is told as unavailable.
	Allow func(ctx context.Context, source netip.Addr, name string, port uint16) (Grant, error)
	// Dial connects to a name outside and says which address was behind it. It resolves once and refuses what is private,
	// as [Through] does.
	Dial func(ctx context.Context, name string, port uint16) (net.Conn, netip.Addr, error)
	// Opened records a connection, durably, before the first byte passes. An error says that it is not recorded, and ends
	// the connection.
	Opened func(ctx context.Context, c Connection) error
	// Closed records the end of a connection that was opened, with its bytes. It is called once for each.
	Closed func(c Connection)
	// Refused records that a connection was not to be, and why. It is called at a bounded rate of each
	// source: see Connection.Unrecorded.
	Refused func(c Connection, why error)
	Log     *slog.Logger
}

// A Grant admits a connection.
type Grant struct {
	Budget *Budget // what it may still move; nil is without bound
	Cookie any     // goes into its records
}

// Connection is one way out, or one that was asked for.
type Connection struct {
	Source  netip.AddrPort
	Kind    Kind
	Name    string // canonical; empty when what was asked for is no name
	Port    uint16
	Cookie  any            // of the grant
	Address netip.AddrPort // outside; zero if it was never connected
	Opened  time.Time
	// Sent went out and Received came back; both count what the far end's connection carried.
	Sent, Received int64
	// Why is the reason if a connection was cut: [ErrRevoked], [ErrBudget], [ErrIdle], [ErrFronting], [ErrForm] or
	// [ErrClosed], or [ErrDial] when a request was not answered. It is nil when one of the two ends ended it.
	Why error
	// Unrecorded is, in a refusal for [ErrTooFast], how many others of this source there were since the last such one.
	Unrecorded int
}

// Proxy serves the sockets of one NAT gateway, or of one endpoint of an endpoint service.
type Proxy struct {
	config Config
	ctx    context.Context
	cancel context.CancelCauseFunc
	pace   pace
	peer   time.Duration
	idle   time.Duration

	rechecking sync.Mutex // so that no older answer replaces a newer one

	mu       sync.Mutex
	closed   bool
	rules    int                 // counts rechecks
	flows    map[*flow]struct{}  // admitted, recorded or about to be
	closers  map[closer]struct{} // listeners, servers and connections that no flow has yet
	running  sync.WaitGroup      // everything that Close waits for
	upstream *http.Transport
}

type closer interface{ Close() error }

// New returns a Proxy that serves nothing yet.
func New(c Config) (*Proxy, error) {
	if c.Allow == nil || c.Dial == nil || c.Opened == nil || c.Closed == nil || c.Refused == nil || c.Log == nil {
		return nil, errors.New("egress: the configuration is not whole")
	}
	p := &Proxy{config: c, peer: peerTime, idle: idleTime, flows: map[*flow]struct{}{}, closers: map[closer]struct{}{}}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.upstream = upstream()
	return p, nil
}

// Serve takes connections of one of a NAT gateway's kinds until the listener fails or the proxy is closed, and closes the
// listener. Its error is never nil; after Close it is [ErrClosed]. Connections stay when their listener goes.
func (p *Proxy) Serve(l net.Listener, kind Kind) error {
	switch kind {
	case HTTP, Explicit:
		return p.serveHTTP(l, kind)
	case TLS:
		return p.accept(l, p.greeted)
	}
	l.Close()
	return errors.New("egress: no such kind of socket")
}

// Relay takes connections that are all for one destination, which Allow and Dial are asked about under this name and port,
// and is otherwise as Serve.
func (p *Proxy) Relay(l net.Listener, name string, port uint16) error {
	return p.accept(l, func(client net.Conn) { p.relay(client, name, port) })
}

// Recheck asks again about every connection and cuts those that are refused now. When it returns, nothing more
// passes between them and their far ends, and none is opened on an answer from before.
func (p *Proxy) Recheck() {
	p.rechecking.Lock()
	defer p.rechecking.Unlock()
	p.mu.Lock()
	p.rules++
	open := make([]*flow, 0, len(p.flows))
	for f := range p.flows {
		open = append(open, f)
	}
	p.mu.Unlock()
	type question struct {
		source netip.Addr
		name   string
		port   uint16
	}
	type answer struct {
		grant Grant
		err   error
	}
	known := map[question]answer{}
	for _, f := range open {
		q := question{f.asked.Source.Addr(), f.asked.Name, f.asked.Port}
		a, ok := known[q]
		if !ok {
			a.grant, a.err = p.config.Allow(p.ctx, q.source, q.name, q.port)
			known[q] = a
		}
		if a.err != nil {
			f.cut(ErrRevoked)
			continue
		}
		f.budget.Store(a.grant.Budget)
	}
}

// Close ends every listener and connection, and returns when the last of them is recorded.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.cancel(ErrClosed)
	for c := range p.closers {
		c.Close()
	}
	for f := range p.flows {
		f.cut(ErrClosed)
	}
	p.mu.Unlock()
	p.running.Wait()
}

// enter reports whether the proxy still runs, and makes Close wait for a leave.
func (p *Proxy) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.running.Add(1)
	return true
}

func (p *Proxy) leave() { p.running.Done() }

// hold has Close close c as well, until it is let go. A closed proxy closes it at once.
func (p *Proxy) hold(c closer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return false
	}
	p.closers[c] = struct{}{}
	return true
}

func (p *Proxy) letGo(c closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.closers, c)
}
