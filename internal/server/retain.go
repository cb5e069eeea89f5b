package server

import (
	"context"
	"fmt"
	"math"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// When the server looks for records that are old enough to go. It does not begin at once:
// a machine's clock may be set right only after its start.
const (
	retainFirst = 10 * time.Minute
	retainEvery = time.Hour
)

const day = 24 * time.Hour

// quietShare is how much of the time that records are kept a silence counts for at most. A
// clock that jumps ahead lets no more go at once.
const quietShare = 10

// A hold says what of the record must stay though it is old.
type hold struct {
	name string
	// of gives the Seq after which records stay (everything: none do), and the time from
	// which on they do (zero: none).
	of func(q store.Querier) (after int64, since time.Time, err error)
}

// everything is after all records.
const everything = math.MaxInt64

// holds lists who must still read the record.
func (s *Server) holds() []hold {
	list := []hold{
		{"a trail of CloudTrail", func(q store.Querier) (int64, time.Time, error) {
			after, err := s.cloudtrail.Unread(q)
			return after, time.Time{}, err
		}},
		{"an event data store", func(q store.Querier) (int64, time.Time, error) {
			since, err := s.cloudtrail.Holds(q)
			return everything, since, err
		}},
	}
	if s.export != nil {
		list = append(list, hold{"the export of the record", func(q store.Querier) (int64, time.Time, error) {
			after, err := s.export.Handed(q)
			return after, time.Time{}, err
		}})
	}
	return list
}

// retaining prunes records that are older than the configuration keeps them, until ctx
// ends. Among several copies one does at a time.
func (s *Server) retaining(ctx context.Context, first time.Duration, now func() time.Time) error {
	if s.cfg.Retain == 0 {
		return nil
	}
	wait := time.NewTimer(first)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wait.C:
		}
		err := s.store.Lead(ctx, "retention", func(ctx context.Context) error {
			_, err := s.prune(ctx, now())
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.log.Warn("the record could not be pruned and it is tried again", "err", err)
		}
		wait.Reset(retainEvery)
	}
}

// prune lets records of whole days go. It says how many went.
func (s *Server) prune(ctx context.Context, now time.Time) (gone int64, err error) {
	r := trail.Retention{Last: everything}
	if r.Before, err = s.aged(ctx, now); err != nil {
		return 0, err
	}
	r.State = func(p ledger.Pruning, statement []byte) (*trail.Record, error) {
		return s.own(ledger.PruneEvent, map[string]any{
			"leaves": p.Leaves, "newest": p.Newest.UTC().Format(time.RFC3339), "retainDays": s.cfg.Retain, "statement": string(statement),
		})
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer sn.Close()
	for _, h := range s.holds() {
		after, since, err := h.of(sn)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", h.name, err)
		}
		if next, err := s.trail.Next(sn, after); err != nil {
			return 0, err
		} else if !next.IsZero() && next.Before(r.Before) {
			s.log.Warn("records that are old enough to go are kept", "for", h.name, "since", next)
		}
		if r.Last = min(r.Last, after); !since.IsZero() && since.Before(r.Before) {
			r.Before = since.Truncate(time.Second) // events tell no finer time
		}
	}
	if err := sn.Close(); err != nil {
		return 0, err
	}
	if gone, err = s.trail.Prune(ctx, r); gone > 0 {
		s.log.Info("the record was pruned", "records", gone, "before", r.Before)
	}
	return gone, err
}

// aged is the day before which records are old enough to go: by the clock, and by what the
// record itself bears out.
func (s *Server) aged(ctx context.Context, now time.Time) (time.Time, error) {
	keep := time.Duration(s.cfg.Retain) * day
	before := now.UTC().Truncate(day).Add(-keep)
	since, err := s.trail.Passed(ctx, now, keep, keep/quietShare)
	if err != nil {
		return time.Time{}, err
	}
	if since = since.Truncate(day); !since.Before(before) {
		return before, nil
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer sn.Close()
	oldest, err := s.trail.Next(sn, 0)
	if err == nil && !oldest.IsZero() && oldest.Before(before.Add(-keep/quietShare)) {
		s.log.Warn("records that are old by the clock are kept: for long nothing was recorded. Is the clock right? Then they go later; otherwise set it",
			"clock", now.UTC(), "oldest", oldest.UTC())
	}
	return since, err
}

// notePruned says in a report what is not in the record any more.
func (s *Server) notePruned(ctx context.Context, r *Report) error {
	p, err := s.trail.Pruned(ctx)
	if err == nil && p.Leaves > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("the first %d records were pruned, the newest of them of %s", p.Leaves, p.Newest.Format(time.RFC3339)))
	}
	return err
}
