package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"bawn.dev/internal/sigv4"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
	"bawn.dev/internal/uuid"
	"bawn.dev/internal/wire"
)

// attempts bounds how often a write is decided again because what the decision
// read has changed.
const attempts = 4

// Handler serves requests that one listener accepted. via says which: the peer's
// address is added for each connection, all else is the listener's word.
func (d *Door) Handler(via Origin) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := via
		origin.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
		origin.TLS = r.TLS != nil
		origin.Referer = r.Referer()
		d.serve(w, r, &origin)
	})
}

// serve leads one request through the pipeline.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, origin *Origin) {
	ctx := context.WithoutCancel(r.Context()) // a caller who hangs up must not lose the record
	c := d.receive(r, origin)
	defer c.close()

	// What is asked for?
	from, err := waiting(w, r)
	if err != nil {
		d.Log.Error("a listener cannot bound how long a sender takes", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	sig, sigErr := sigv4.Parse(r)
	if d.preflight(ctx, w, r, c, sig) {
		return
	}
	match, err := d.router.Match(r, scope(sig))
	if err != nil {
		c.match = match
		d.reject(ctx, w, c, cmp.Or(sigErr, err)) // who shows no credentials learns of no routes
		return
	}
	e := d.byModel[match.Service.Package+"."+match.Operation.Name]
	c.service, c.op, c.model, c.match = e.service, e.op, e.model, match

	if err := d.share(ctx, w, r, c); err != nil {
		d.answer(w, c, d.refuse(ctx, c, err))
		return
	}
	if !d.admitted(c) {
		d.answer(w, c, throttled())
		return
	}

	// With what? It is read before anything is held for whoever sends it.
	doc, err := c.document(r, from, sig, sigErr)
	if err != nil {
		d.reject(ctx, w, c, err)
		return
	}

	// Who asks? From here on everything is read on one snapshot.
	var body io.Reader
	begin := d.Store.Glance
	for i := range attempts {
		if i == attempts-1 {
			begin = d.Store.Snapshot
		}
		c.release()
		if c.Snapshot, err = begin(ctx); err != nil {
			d.answer(w, c, d.refuse(ctx, c, err))
			return
		}
		if body, err = d.authenticate(ctx, c, r, sig, doc); !errors.Is(err, store.ErrChanged) {
			break
		}
	}
	if err != nil {
		d.reject(ctx, w, c, err)
		return
	}

	// What does it say?
	c.in = c.op.newInput()
	if err := match.Decode(r, body, c.in); err != nil && d.crowded(c) {
		d.answer(w, c, throttled())
		return
	} else if err != nil {
		d.answer(w, c, d.refuse(ctx, c, err))
		return
	}

	// May she? Then do it, and record it.
	out, err := d.run(ctx, c)
	if err != nil {
		d.answer(w, c, err)
		return
	}
	d.send(ctx, w, c, out)
}

// run authorizes, handles and records a call, whether it came by a listener or
// from inside. When it returns, the record is durable, or waits with those of the
// outer call that will write it before it answers.
func (d *Door) run(ctx context.Context, c *Call) (any, error) {
	var finish commit
	for range attempts {
		out, err := d.attempt(ctx, c, &finish)
		if errors.Is(err, ErrAgain) || errors.Is(err, store.ErrChanged) {
			if err = c.renew(ctx, d.Store.Snapshot); err == nil {
				continue
			}
		}
		if errors.Is(err, errCrowd) || err != nil && d.crowded(c) {
			return nil, throttled()
		}
		if err != nil {
			return nil, d.refuse(ctx, c, err)
		}
		return out, nil
	}
	return nil, d.refuse(ctx, c, &Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable,
		Message: "The resource is being changed by others. Please try again."})
}

// attempt decides a call on its snapshot and does it. finish is what an earlier
// attempt prepared; a stream can be read once, so that is what its later attempts
// commit.
func (d *Door) attempt(ctx context.Context, c *Call, finish *commit) (any, error) {
	resource, err := d.authorize(ctx, c)
	if err != nil {
		return nil, err
	}
	if d.crowded(c) {
		return nil, errCrowd
	}
	if c.op.ReadOnly() {
		out, err := c.op.read(ctx, c, c.in, resource)
		if err != nil {
			return nil, err
		}
		if err := d.record(ctx, c, nil); err != nil {
			discard(out)
			return nil, err
		}
		return out, nil
	}
	if *finish == nil || !c.op.streams {
		*finish, err = c.op.prepare(ctx, c, c.in, resource)
		if errors.Is(err, ErrAgain) && c.op.streams {
			return nil, fmt.Errorf("api: %s cannot read its stream again", c)
		}
		if err != nil {
			return nil, err
		}
	}
	return d.commit(ctx, c, *finish)
}

// commit makes the change and its record one transaction, if what the decision
// read is still so.
func (d *Door) commit(ctx context.Context, c *Call, finish commit) (any, error) {
	seen := c.dependencies()
	var out any
	err := d.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Unchanged(seen); err != nil {
			return err
		}
		var err error
		if out, err = finish(tx); err != nil {
			return err
		}
		return d.Trail.Append(tx, c.records(c.shared(c.event(nil, out)))...)
	})
	if err != nil {
		return nil, err
	}
	c.flushed()
	return out, nil
}

// errCrowd says that too many strangers ask at once.
var errCrowd = errors.New("api: too many calls of nobody in particular")

// receive begins a call.
func (d *Door) receive(r *http.Request, origin *Origin) *Call {
	c := &Call{
		RequestID: uuid.New(),
		Now:       d.Now(),
		Region:    d.Region,
		door:      d,
		origin:    origin,
		agent:     r.UserAgent(),
		pending:   new([]*trail.Record),
		Scheme:    "http",
	}
	c.Host, _, _ = net.SplitHostPort(r.Host)
	if c.Host == "" {
		c.Host = r.Host
	}
	if r.TLS != nil {
		c.Scheme = "https"
		c.tls = trail.TLS{
			Version:     strings.Replace(tls.VersionName(r.TLS.Version), "TLS ", "TLSv", 1), // as AWS writes it
			CipherSuite: d.suites[r.TLS.CipherSuite],
			Host:        r.Host,
		}
	}
	return c
}

func scope(sig *sigv4.Signature) string {
	if sig == nil {
		return ""
	}
	return sig.Service
}

// renew takes a new snapshot after the old one was overtaken, and asks again who
// the caller is and what she may: her key, her role or her permissions may be what
// changed.
func (c *Call) renew(ctx context.Context, begin func(context.Context) (*store.Snapshot, error)) error {
	c.release()
	sn, err := begin(ctx)
	if err != nil {
		return err
	}
	c.Snapshot, c.seen, c.borrowed = sn, nil, false
	if c.op.credential.kind == open && c.parent == "" {
		c.subject = nil // its resolve step proves the caller anew
		return nil
	}
	claim := c.subject.Claim
	c.subject, c.suspect = nil, claim
	if c.signature != nil {
		if _, claim, err = c.door.credential(ctx, c, c.signature); err != nil {
			return err
		}
	}
	c.subject, err = c.door.Authorizer.Subject(ctx, sn, claim)
	return err
}

// Release gives the snapshot back before a handler does something long, such as
// reading a stream. What was read stays a condition of the commit.
func (c *Call) Release() { c.release() }

func (c *Call) release() {
	if c.Snapshot == nil {
		return
	}
	if c.op == nil || !c.op.ReadOnly() { // whose commit they are a condition of
		c.seen = c.Snapshot.Dependencies()
	}
	if !c.borrowed {
		c.Snapshot.Close()
	}
	c.Snapshot = nil
}

func (c *Call) dependencies() store.Dependencies {
	if c.Snapshot != nil {
		return c.Snapshot.Dependencies()
	}
	return c.seen
}

func (c *Call) close() { c.release() }

// answer tells the world of a failure.
func (d *Door) answer(w http.ResponseWriter, c *Call, err error) {
	c.release() // whoever reads slowly must not hold the snapshot
	c.match.EncodeError(w, c.RequestID, asError(err))
}

func throttled() *Error {
	return &Error{Code: wire.CodeThrottling, Status: http.StatusServiceUnavailable, Message: "Please reduce your request rate."}
}

// reject answers a request whose caller is not known.
func (d *Door) reject(ctx context.Context, w http.ResponseWriter, c *Call, err error) {
	if !d.limit.allow(c.origin.SourceIP, c.Now) {
		err = throttled()
	} else {
		err = d.refuse(ctx, c, err)
	}
	d.answer(w, c, err)
}
