package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/ldap"
	"bawn.dev/internal/store"
)

const (
	// leaseTime is how long a copy of the server that was killed keeps the others out.
	leaseTime   = 5 * time.Minute
	readingTime = 4 * time.Minute
	renewAfter  = time.Minute
)

// Refusals of a run.
var (
	ErrSourceBusy = errors.New("identity: the directory is being read already")
	ErrSourceLoss = errors.New("identity: more than half of the people, or of the groups, are gone from the directory; nothing was changed")
	errLease      = errors.New("identity: the directory was given to another copy of the server")
)

// A run makes what is here what a directory says.
type run struct {
	s      *Service
	door   *api.Door
	call   *api.Call // as the service, for the source
	src    *Source
	store  string // id of the identity store
	lease  int64
	now    time.Time
	report *SourceReport

	people map[string]*known // by external id
	groups map[string]*known
}

// RunSources reads the directories when they are due, until ctx ends. What goes wrong
// with one is told.
func (s *Service) RunSources(ctx context.Context, door *api.Door, trouble func(source string, err error)) error {
	return door.Store.Lead(ctx, "identity sources", func(ctx context.Context) error {
		timer := time.NewTicker(sweep)
		defer timer.Stop()
		for {
			due, err := collect(ctx, door, scanSource, sourceColumns+` WHERE due <= ? ORDER BY name`, door.Now().UnixMicro())
			if err != nil && ctx.Err() == nil {
				return err
			}
			for _, src := range due {
				if _, err := s.Synchronize(ctx, door, src.Name, false); err != nil && ctx.Err() == nil {
					trouble(src.Name, err)
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
		}
	})
}

// Synchronize reads a directory whole and then makes what is here what it says: who
// vanished is disabled, and with that signed out. It can be repeated, and goes on
// where it was killed. An answer that lacks most of those who were there is not
// believed, unless forced. The report is kept, recorded and answered, with an error
// too.
func (s *Service) Synchronize(ctx context.Context, door *api.Door, name string, force bool) (*SourceReport, error) {
	r := &run{s: s, door: door, report: &SourceReport{Started: door.Now().UTC()}}
	secret, err := r.begin(ctx, name)
	if err != nil {
		return nil, err
	}
	err = r.do(ctx, secret, force)
	if err != nil {
		r.report.Error = short(err.Error())
	}
	if errors.Is(err, errLease) {
		return r.report, err
	}
	return r.report, errors.Join(err, r.end(context.WithoutCancel(ctx)))
}

// begin takes the lease.
func (r *run) begin(ctx context.Context, name string) (secret string, err error) {
	now := r.door.Now()
	r.now, r.lease = now, now.Add(leaseTime).UnixMicro()
	err = r.door.Store.Update(ctx, func(tx *store.Tx) error {
		if r.src, secret, err = r.s.source(tx, name); err != nil {
			return err
		}
		taken, err := tx.Exec(`UPDATE identity_sources SET lease = ?, due = ? WHERE name = ? AND lease <= ?`,
			r.lease, now.Add(r.src.interval()).UnixMicro(), name, now.UnixMicro())
		if err != nil {
			return err
		}
		if n, err := taken.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrSourceBusy)
		}
		i, err := r.s.instance(tx)
		r.store = i.store
		return err
	})
	return secret, err
}

// keep renews the lease, now and then. Whoever lost it stops.
func (r *run) keep(ctx context.Context) error {
	now := r.door.Now()
	if now.Sub(r.now) < renewAfter {
		return ctx.Err()
	}
	next := now.Add(leaseTime).UnixMicro()
	err := r.door.Store.Update(ctx, func(tx *store.Tx) error {
		kept, err := tx.Exec(`UPDATE identity_sources SET lease = ? WHERE name = ? AND lease = ?`, next, r.src.Name, r.lease)
		if err != nil {
			return err
		}
		if n, err := kept.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errLease)
		}
		return nil
	})
	r.now, r.lease = now, next
	return err
}

// end gives the lease back and keeps the report.
func (r *run) end(ctx context.Context) error {
	r.report.Ended = r.door.Now().UTC()
	raw, err := json.Marshal(r.report)
	if err != nil {
		return err
	}
	e := api.Event{Service: strings.TrimSuffix(SourcePrincipal, ".amazonaws.com"), Name: "DirectorySynchronized", Claim: r.claim(), Details: r.report.details(r.src.Name)}
	return r.door.Happened(ctx, e, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE identity_sources SET lease = 0, report = ? WHERE name = ? AND lease = ?`, raw, r.src.Name, r.lease)
		return err
	})
}

// claim is that of the service, for the source: the record says which.
func (r *run) claim() api.Claim {
	return api.Claim{Kind: api.KindService, ID: SourcePrincipal, Account: r.s.account, AccessKeyID: r.src.Name}
}

func (r *run) do(ctx context.Context, secret string, force bool) error {
	reading, cancel := context.WithTimeout(ctx, readingTime)
	defer cancel()
	there, err := r.src.Directory.Read(reading, secret)
	if err != nil {
		return fmt.Errorf("identity: the directory %s: %w", r.src.Name, err)
	}
	r.report.People, r.report.Groups = len(there.People), len(there.Groups)
	if err := r.load(ctx); err != nil {
		return err
	}
	lost := r.missing(there)
	if lost && !force {
		return ErrSourceLoss
	}
	if err := r.vanish(ctx); err != nil {
		return err
	}
	if err := r.takePeople(ctx, there.People); err != nil {
		return err
	}
	if err := r.takeGroups(ctx, there.Groups); err != nil {
		return err
	}
	return r.takeMembers(ctx, there)
}

// missing marks who is there, and says whether most are not.
func (r *run) missing(there *ldap.Contents) bool {
	for _, p := range there.People {
		if k := r.people[p.ID]; k != nil {
			k.there = true
		}
	}
	for _, g := range there.Groups {
		if k := r.groups[g.ID]; k != nil {
			k.there = true
		}
	}
	lost := func(all map[string]*known) bool {
		active, gone := 0, 0
		for _, k := range all {
			if k.active {
				active++
				if !k.there {
					gone++
				}
			}
		}
		return gone*2 > active
	}
	return lost(r.people) || lost(r.groups)
}

// RemoveSource disables all who came from a directory, and answers the change that
// forgets it. Its groups stay as they are. Should it be added again, its people come
// back with it.
func (s *Service) RemoveSource(ctx context.Context, door *api.Door, name string) (func(*store.Tx) error, error) {
	r := &run{s: s, door: door, report: &SourceReport{Started: door.Now().UTC()}}
	if _, err := r.begin(ctx, name); err != nil {
		return nil, err
	}
	err := r.load(ctx)
	if err == nil {
		err = r.vanish(ctx)
	}
	if err != nil {
		r.report.Error = short(err.Error())
		return nil, errors.Join(err, r.end(context.WithoutCancel(ctx)))
	}
	return func(tx *store.Tx) error { // the lease keeps others from it until then
		for _, k := range r.people {
			if err := tx.Touch(userKey(k.principal)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`DELETE FROM identity_sources WHERE name = ?`, name)
		return err
	}, nil
}
