package sagemaker

import (
	"context"
	"sync"
	"time"

	"bawn.dev/internal/store"
)

const (
	// sweep is how often Run looks for jobs that nobody told it of: another copy of
	// the server wrote them.
	sweep = 5 * time.Second
	// again is how long a step waits that failed for reasons of ours.
	again = time.Second

	logGroup = "/aws/sagemaker/TrainingJobs"
)

// notify wakes Run.
func (s *Service) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run leads jobs through their phases until ctx ends. Among several copies of the
// server one runs them. It may be killed at any moment: every phase begins by
// finding out how far the one before had come.
func (s *Service) Run(ctx context.Context) error {
	if s.Machines == nil {
		<-ctx.Done()
		return nil
	}
	err := s.Door().Store.Lead(ctx, "sagemaker", s.lead)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lead keeps a goroutine for each job that is not done.
func (s *Service) lead(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	timer := time.NewTicker(sweep)
	defer timer.Stop()
	led := map[string]chan struct{}{} // to wake each
	finished := make(chan string)
	for {
		ids, err := s.unfinished(ctx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			wake := led[id]
			if wake == nil {
				wake = make(chan struct{}, 1)
				led[id] = wake
				all.Go(func() {
					s.drive(ctx, id, wake)
					select {
					case finished <- id:
					case <-ctx.Done():
					}
				})
			}
			select {
			case wake <- struct{}{}:
			default:
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case id := <-finished:
			delete(led, id)
		case <-s.wake:
		case <-timer.C:
		}
	}
}

func (s *Service) unfinished(ctx context.Context) ([]string, error) {
	sn, err := s.Door().Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	return store.Collect(sn, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		"SELECT id FROM sagemaker_jobs WHERE phase <> ? ORDER BY created", string(done))
}

// drive takes one job to its end.
func (s *Service) drive(ctx context.Context, id string, wake <-chan struct{}) {
	w := &worker{Service: s}
	for ctx.Err() == nil {
		wait, err := w.step(ctx, id)
		if err != nil {
			s.Trouble(id, err)
			wait = again
		}
		if wait < 0 {
			return
		}
		if wait == 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}
