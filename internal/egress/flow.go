package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A flow is one connection outside, from its admission to its record of the end. Who opened it must finish it.
type flow struct {
	p      *Proxy
	asked  Connection // as recorded when it opened; constant from then on
	client net.Conn
	shared bool // the client's connection goes on after this flow: it is one of HTTP requests
	ctx    context.Context
	cancel context.CancelCauseFunc
	budget atomic.Pointer[Budget]
	quiet  *time.Timer
	used   atomic.Bool // by the one request that it is for

	sent, received atomic.Int64

	mu   sync.Mutex
	out  net.Conn
	done bool // the client's connection may be another flow's by now
}

// open asks, connects and records, in this order. What it refuses is recorded as refused.
func (p *Proxy) open(ctx context.Context, kind Kind, client net.Conn, shared bool, name string, port uint16) (*flow, error) {
	f := &flow{p: p, client: client, shared: shared, asked: Connection{Source: sourceOf(client), Kind: kind, Name: name, Port: port}}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	err := f.admit()
	if err == nil {
		if err = f.connect(); err == nil {
			return f, nil
		}
		if cause := context.Cause(f.ctx); errors.Is(cause, ErrRevoked) || errors.Is(cause, ErrClosed) {
			err = cause
		}
		f.discard()
	}
	f.cancel(nil)
	p.config.Refused(f.asked, err)
	return nil, err
}

// admit asks until no recheck came between the question and the flow's entry in the list that rechecks go through.
func (f *flow) admit() error {
	p := f.p
	if !f.asked.Source.IsValid() {
		return form("nobody knows where this comes from")
	}
	for {
		p.mu.Lock()
		rules := p.rules
		p.mu.Unlock()
		grant, err := p.config.Allow(f.ctx, f.asked.Source.Addr(), f.asked.Name, f.asked.Port)
		f.asked.Cookie = grant.Cookie
		if err != nil {
			return err
		}
		if grant.Budget.spent() {
			return ErrBudget
		}
		f.budget.Store(grant.Budget)
		p.mu.Lock()
		switch {
		case p.closed:
			err = ErrClosed
		case p.rules != rules:
			p.mu.Unlock()
			continue
		default:
			p.flows[f] = struct{}{}
		}
		p.mu.Unlock()
		return err
	}
}

func (f *flow) connect() error {
	ctx, cancel := context.WithTimeout(f.ctx, dialTime)
	defer cancel()
	out, address, err := f.p.config.Dial(ctx, f.asked.Name, f.asked.Port)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDial, err)
	}
	f.mu.Lock()
	f.out = out
	f.mu.Unlock()
	if f.ctx.Err() != nil { // a cut that came before there was something to close
		return context.Cause(f.ctx)
	}
	f.asked.Address, f.asked.Opened = netip.AddrPortFrom(address, f.asked.Port), time.Now()
	// Who goes away meanwhile does not leave it unknown whether this was recorded.
	recording, stop := context.WithTimeout(context.WithoutCancel(f.ctx), dialTime)
	defer stop()
	if err := f.p.config.Opened(recording, f.asked); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	f.mu.Lock()
	f.quiet = time.AfterFunc(f.p.idle, f.watch(0))
	f.mu.Unlock()
	return nil
}

// watch cuts a flow that moved nothing since it had moved so many bytes.
func (f *flow) watch(then int64) func() {
	return func() {
		now := f.sent.Load() + f.received.Load()
		if now == then {
			f.cut(ErrIdle)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.done {
			f.quiet = time.AfterFunc(f.p.idle, f.watch(now))
		}
	}
}

// cut ends a flow from elsewhere. When it returns nothing passes any more; its opener finishes it.
func (f *flow) cut(why error) {
	f.cancel(why)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return
	}
	if f.out != nil {
		abort(f.out)
	}
	if f.shared {
		f.client.SetDeadline(time.Now().Add(f.p.peer))
	} else {
		f.client.Close()
	}
}

// abort closes a connection without sending what still waits to be sent.
func abort(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

// finish closes what is outside and records the end.
func (f *flow) finish() {
	f.discard()
	c := f.asked
	c.Sent, c.Received = f.sent.Load(), f.received.Load()
	if cause := context.Cause(f.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		c.Why = cause
	}
	f.cancel(nil)
	f.p.config.Closed(c)
}

func (f *flow) discard() {
	f.p.mu.Lock()
	delete(f.p.flows, f)
	f.p.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = true
	if f.out != nil {
		f.out.Close()
	}
	if f.quiet != nil {
		f.quiet.Stop()
	}
}

// outside is a flow's far end, counted and within the budget.
type outside struct {
	net.Conn
	f *flow
}

func (f *flow) outside() outside { return outside{f.out, f} }

// Read implements [net.Conn]. What is over the budget was received, but goes no further.
func (o outside) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	if n > 0 {
		o.f.received.Add(int64(n))
		if !o.f.take(n) {
			return 0, ErrBudget
		}
	}
	return n, err
}

// Write implements [net.Conn]. It counts first: an answer, and with it the end, may come before Write returns.
func (o outside) Write(b []byte) (int, error) {
	if !o.f.take(len(b)) {
		return 0, ErrBudget
	}
	o.f.sent.Add(int64(len(b)))
	n, err := o.Conn.Write(b)
	o.f.sent.Add(int64(n - len(b)))
	return n, err
}

// take takes from the budget that the newest answer named, and cuts the flow that is over it.
func (f *flow) take(n int) bool {
	if b := f.budget.Load(); b != nil && !b.Take(n) {
		f.cut(ErrBudget)
		return false
	}
	return true
}

// sourceOf is the address of who connected. It is not valid for what is no TCP connection, which nothing is allowed.
func sourceOf(c net.Conn) netip.AddrPort {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	from := a.AddrPort()
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}
