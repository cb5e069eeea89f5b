package ec2

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// Machines obey networks: the host's client.
type Machines interface {
	ApplyVPC(ctx context.Context, v *netmodel.VPC) error
	RemoveVPC(ctx context.Context, id string) error
	VPCs(ctx context.Context) ([]string, error)

	ApplyTransit(ctx context.Context, g *netmodel.TransitGateway) error
	RemoveTransit(ctx context.Context, id string) error
	Transits(ctx context.Context) ([]string, error)
}

// How Run waits: for changes of another copy of the server and for machines that
// forgot; and after a failure.
const (
	sweep      = 30 * time.Second
	firstRetry = 250 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// notify wakes Run.
func (s *Service) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run has the machine obey what the store says, until ctx ends. What fails is told
// to problem (which may be nil) and tried again; nothing is lost, since all that
// counts is the difference between the store and the machine. Beside that it gives
// new accounts their default VPC.
func (s *Service) Run(ctx context.Context, st *store.Store, m Machines, problem func(error)) error {
	if s.Accounts != nil && s.Happened != nil {
		var tended sync.WaitGroup
		defer tended.Wait()
		tended.Go(func() { s.tendDefaults(ctx, st, problem) })
	}
	retry := firstRetry
	for {
		wait := sweep
		if err := s.reconcile(ctx, st, m); err != nil && ctx.Err() == nil {
			if problem != nil {
				problem(err)
			}
			wait, retry = retry, min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// reconcile makes the machine's networks those of the store: a transit gateway comes
// after the VPCs that it joins, and goes before them. That one network fails keeps
// none of the others waiting.
func (s *Service) reconcile(ctx context.Context, st *store.Store, m Machines) error {
	vpcs, err := m.VPCs(ctx)
	var transits []string
	if err == nil {
		transits, err = m.Transits(ctx)
	}
	if err != nil {
		s.applied.unreachable(err)
		return fmt.Errorf("ec2: the machine does not answer: %w", err)
	}
	s.applied.keep(vpcs)
	s.transits.keep(transits)
	w, err := s.behind(ctx, st)
	if err != nil {
		return err
	}
	var failures []error
	failed := func(id string, err error) bool {
		if err != nil {
			failures = append(failures, fmt.Errorf("ec2: %s: %w", id, err))
		}
		return err != nil
	}
	for _, id := range transits {
		if !w.wants(id) && !failed(id, m.RemoveTransit(ctx, id)) {
			s.transits.forget(id)
		}
	}
	for _, id := range vpcs {
		if !w.wants(id) && !failed(id, m.RemoveVPC(ctx, id)) {
			s.applied.forget(id)
		}
	}
	for _, v := range w.vpcs {
		err := m.ApplyVPC(ctx, v)
		s.applied.set(v.ID, w.versions[v.ID], err)
		failed(v.ID, err)
	}
	for _, g := range w.transits {
		err := m.ApplyTransit(ctx, g)
		s.transits.set(g.ID, w.versions[g.ID], err)
		failed(g.ID, err)
	}
	return errors.Join(failures...)
}

// A wish is what the store has, and of that what the machine does not obey as it is
// now.
type wish struct {
	versions map[string]int64 // of all VPCs and transit gateways, by id
	vpcs     []*netmodel.VPC
	transits []*netmodel.TransitGateway
}

func (w *wish) wants(id string) bool {
	_, ok := w.versions[id]
	return ok
}

// behind lists all networks, and describes those that the machine does not obey. The
// snapshot is given back before anything slow begins.
func (s *Service) behind(ctx context.Context, st *store.Store) (*wish, error) {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	vpcs, err := s.VPCs(sn)
	if err != nil {
		return nil, err
	}
	transits, err := s.Transits(sn)
	if err != nil {
		return nil, err
	}
	w := &wish{versions: map[string]int64{}}
	again := map[string]bool{}
	for _, v := range vpcs {
		w.versions[v.ID] = v.Version
		before := s.applied.version(v.ID)
		if before == v.Version {
			continue
		}
		m, err := s.Model(sn, v.ID)
		if err != nil {
			return nil, err
		}
		w.vpcs = append(w.vpcs, m)
		// What joined a VPC that the machine lost to its gateways was lost too.
		for _, a := range m.Attachments {
			again[a.Gateway] = again[a.Gateway] || before == 0
		}
	}
	for _, g := range transits {
		w.versions[g.ID] = g.Version
		if s.transits.version(g.ID) == g.Version && !again[g.ID] {
			continue
		}
		m, err := s.TransitModel(sn, g.ID)
		if err != nil {
			return nil, err
		}
		w.transits = append(w.transits, m)
	}
	return w, nil
}

// Version is the version of a VPC with everything in it: what Ready waits for. 0
// says that there never was one.
func (s *Service) Version(q store.Querier, vpcID string) (int64, error) {
	return q.Version(networkKey(vpcID))
}

// Ready waits until the machine obeys a VPC as it is in a version, or a later one.
// The error says what the machine last answered.
func (s *Service) Ready(ctx context.Context, vpcID string, version int64) error {
	s.notify()
	for {
		done, changed, why := s.applied.ready(vpcID, version)
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ec2: %s is not ready: %w", vpcID, errors.Join(ctx.Err(), why))
		case <-changed:
		}
	}
}

// Again has a VPC applied once more, though nothing of it changed: what the machine
// had of it was lost.
func (s *Service) Again(vpcID string) {
	s.applied.again(vpcID)
	s.notify()
}

// Applied says whether the machine obeys some version of a VPC.
func (s *Service) Applied(vpcID string) bool { return s.applied.version(vpcID) != 0 }
