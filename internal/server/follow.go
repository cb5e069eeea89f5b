package server

import (
	"context"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/fabric"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// How what the host tells is gathered before it is delivered, and how soon a reader
// that was interrupted begins again.
const (
	followBatch = 500
	followWait  = time.Second
	followRetry = time.Second
)

// follow reads a VPC's flows and its name server's queries while somebody wants them
// logged.
func (p *places) follow(v *netmodel.VPC, here *place) {
	if v.FlowLogs == (here.reading != nil) {
		return
	}
	if here.reading != nil {
		here.reading()
		here.reading = nil
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	here.reading = cancel
	id := v.ID
	go p.persist(ctx, "flows", id, func() error {
		return gather(ctx, func(emit func(fabric.FlowRecord) error) error { return p.host.Flows(ctx, id, emit) },
			func(batch []fabric.FlowRecord) error { return p.flows(ctx, id, batch) }, p.lost("flow records", id))
	})
	go p.persist(ctx, "queries", id, func() error {
		return gather(ctx, func(emit func(fabric.Query) error) error { return p.host.Queries(ctx, id, emit) },
			func(batch []fabric.Query) error { return p.queries(ctx, id, batch) }, p.lost("queries", id))
	})
}

// persist reads until ctx ends, and again after whatever interrupted it.
func (p *places) persist(ctx context.Context, what, id string, read func() error) {
	for ctx.Err() == nil {
		if err := read(); ctx.Err() == nil && err != nil {
			p.log.Warn("what the host tells of a network was interrupted", "what", what, "network", id, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(followRetry):
		}
	}
}

func (p *places) lost(what, id string) func(int, error) {
	return func(n int, err error) { p.log.Warn(what+" were not delivered", "vpc", id, "count", n, "err", err) }
}

// gather hands on what a stream tells, many at a time, until the stream ends. What
// could not be delivered is lost, and said.
func gather[T any](ctx context.Context, stream func(emit func(T) error) error, deliver func([]T) error, lost func(int, error)) error {
	told := make(chan T, followBatch)
	var ended error
	go func() {
		defer close(told)
		ended = stream(func(x T) error {
			select {
			case told <- x:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var batch []T
	tick := time.NewTicker(followWait)
	defer tick.Stop()
	flush := func() {
		if len(batch) == 0 {
			return
		}
		if err := deliver(batch); err != nil && ctx.Err() == nil {
			lost(len(batch), err)
		}
		batch = batch[:0]
	}
	for {
		select {
		case x, ok := <-told:
			if !ok {
				flush()
				return ended
			}
			if batch = append(batch, x); len(batch) >= followBatch {
				flush()
			}
		case <-tick.C:
			flush()
		}
	}
}

// drifting records what the host found to be other than the model says: somebody who
// is root on the machine, or a program, changed a network by hand.
func (s *Server) drifting(ctx context.Context) error {
	s.places.persist(ctx, "drift", "all", func() error {
		return s.places.host.Events(ctx, func(e fabric.Event) error { return s.drifted(ctx, e) })
	})
	return nil
}

func (s *Server) drifted(ctx context.Context, e fabric.Event) error {
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return err
	}
	account, arn, kind, err := s.ec2.OwnerOf(sn, e.Network)
	sn.Close()
	if err != nil {
		return err
	}
	if account == "" { // it is gone: the record is the operator's
		account = s.cfg.AccountID
	}
	s.log.Warn("a network was changed by hand", "network", e.Network, "what", e.What, "repaired", e.Repaired, "why", e.Why)
	event := api.Event{
		Service: "ec2", Name: "NetworkDrift", Claim: api.Claim{Kind: api.KindService, Account: account},
		Details: map[string]any{"networkId": e.Network, "found": e.Time.UTC().Format(time.RFC3339), "what": e.What, "repaired": e.Repaired},
	}
	if e.Why != "" {
		event.Details["why"] = e.Why
	}
	if arn != "" {
		event.Resources = []api.Resource{{ARN: arn, Account: account, Type: kind}}
	}
	return s.door.Happened(ctx, event, func(*store.Tx) error { return nil })
}
