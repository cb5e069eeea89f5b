package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// A Visit is a browser's request to one of Bawn's own pages. Nobody is proved by it:
// what it can call are open operations, each of which proves its caller by what the
// browser brought.
type Visit struct {
	door    *Door
	request *http.Request
}

// Visit lets a page call operations for a request that came by the front listener.
func (d *Door) Visit(r *http.Request) *Visit { return &Visit{d, r} }

// Visited calls an open operation as if the browser had called it by itself: from its
// address and in its name, counted as that would be, the input held to
// the constraints of the API model, and with a record of its own.
func Visited[Out any](ctx context.Context, v *Visit, action string, in any) (*Out, error) {
	out, err := v.door.visited(ctx, v.request, action, in)
	if err != nil {
		return nil, err
	}
	typed, ok := out.(*Out)
	if !ok {
		return nil, fmt.Errorf("api: %s answers %T", action, out)
	}
	return typed, nil
}

func (d *Door) visited(ctx context.Context, r *http.Request, action string, in any) (any, error) {
	e := d.byAction[action]
	if e == nil || e.op.credential.kind != open {
		return nil, fmt.Errorf("api: a page cannot call %s", action)
	}
	c := d.receive(r, visitOrigin(r))
	defer c.close()
	c.service, c.op, c.model, c.match = e.service, e.op, e.model, e.inside
	if !d.admitted(c) {
		return nil, throttled()
	}
	if err := e.inside.Check(in); err != nil {
		return nil, d.refuse(ctx, c, err)
	}
	c.in = in
	var err error
	if c.Snapshot, err = d.Store.Snapshot(ctx); err != nil {
		return nil, d.refuse(ctx, c, err)
	}
	return d.run(ctx, c)
}

// visitOrigin is how a request came by the front listener.
func visitOrigin(r *http.Request) *Origin {
	o := &Origin{TLS: r.TLS != nil, Referer: r.Referer()}
	o.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	return o
}

// TurnedAway records that a page refused a request before it called anything. It
// answers whether it did: if not, the browser is to be told to wait.
func (v *Visit) TurnedAway(ctx context.Context, service, name, reason string) (bool, error) {
	return v.door.TurnedAway(ctx, Stranger{
		Service: service, Name: name, Agent: v.request.UserAgent(), Origin: visitOrigin(v.request), Reason: reason,
	})
}
