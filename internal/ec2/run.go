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

// reconcile makes the machine's networks those of the store. That one VPC fails
// keeps none of the others waiting.
func (s *Service) reconcile(ctx context.Context, st *store.Store, m Machines) error {
	there, err := m.VPCs(ctx)
	if err != nil {
		s.applied.unreachable(err)
		return fmt.Errorf("ec2: the machine does not answer: %w", err)
	}
	s.applied.keep(there)
	wanted, models, err := s.behind(ctx, st)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, v := range wanted {
		known[v.ID] = true
	}
	var failures []error
	for _, id := range there {
		if known[id] {
			continue
		}
		if err := m.RemoveVPC(ctx, id); err != nil {
			failures = append(failures, fmt.Errorf("ec2: %s: %w", id, err))
			continue
		}
		s.applied.forget(id)
	}
	for _, v := range wanted {
		if models[v.ID] == nil {
			continue
		}
		err := m.ApplyVPC(ctx, models[v.ID])
		s.applied.set(v.ID, v.Version, err)
		if err != nil {
			failures = append(failures, fmt.Errorf("ec2: %s: %w", v.ID, err))
		}
	}
	return errors.Join(failures...)
}

// behind lists all VPCs, and describes those that the machine does not obey as they
// are now. The snapshot is given back before anything slow begins.
func (s *Service) behind(ctx context.Context, st *store.Store) ([]VPC, map[string]*netmodel.VPC, error) {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer sn.Close()
	all, err := s.VPCs(sn)
	if err != nil {
		return nil, nil, err
	}
	models := map[string]*netmodel.VPC{}
	for _, v := range all {
		if s.applied.version(v.ID) == v.Version {
			continue
		}
		if models[v.ID], err = s.Model(sn, v.ID); err != nil {
			return nil, nil, err
		}
	}
	return all, models, nil
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
