package cloudtrail

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/store"
)

// look is how often Run looks for trails that are to deliver.
const look = 10 * time.Second

// patience is how long what a deleted trail left is tried again, as at AWS.
const patience = 30 * 24 * time.Hour

// Run delivers what trails select, until ctx ends. Among several copies of the server
// one does so. It may be killed at any moment: a file's name and content are fixed
// before it is put, so that it is put again under its name. What fails is told to
// problem and in the trail's status, and tried again in the next period.
func (s *Service) Run(ctx context.Context, st *store.Store, problem func(error)) error {
	pause := min(look, s.Period)
	for ctx.Err() == nil {
		err := st.Lead(ctx, "cloudtrail", func(ctx context.Context) error {
			for {
				if err := s.Tend(ctx); err != nil && ctx.Err() == nil {
					problem(err)
				}
				if !wait(ctx, pause) {
					return nil
				}
			}
		})
		if err != nil && ctx.Err() == nil {
			problem(err)
			wait(ctx, pause)
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Tend does once what is due now. That one trail fails keeps none of the others
// waiting.
func (s *Service) Tend(ctx context.Context) error {
	st := s.Door().Store
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return err
	}
	due, err := runRows(sn, "due <= ? ORDER BY due, id", s.Now().UnixMicro())
	sn.Close()
	if err != nil {
		return err
	}
	var failures []error
	for _, r := range due {
		if err := s.tend(ctx, st, r); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (s *Service) tend(ctx context.Context, st *store.Store, r *run) error {
	err := s.deliver(ctx, st, r)
	if r.validation {
		err = errors.Join(err, s.digest(ctx, st, r))
	}
	if ctx.Err() != nil {
		return err
	}
	now := s.Now()
	over := err == nil && r.ended != 0 || r.orphaned != 0 && now.Sub(moment(r.orphaned)) > patience
	return errors.Join(err, st.Update(ctx, func(tx *store.Tx) error {
		if over {
			return deleteRun(tx, r.id)
		}
		// A run that was ended meanwhile is due at once.
		_, err := tx.Exec("UPDATE cloudtrail_runs SET due = ? WHERE id = ? AND due = ?", now.Add(s.Period).UnixMicro(), r.id, r.due)
		return err
	}))
}
