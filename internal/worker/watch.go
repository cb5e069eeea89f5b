package worker

import (
	"context"
	"errors"
	"syscall"
	"time"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/host"
	"bawn.dev/internal/spec"
)

// askAgain is how long a watcher waits before it asks a driver again that failed.
const askAgain = time.Second

// Stop implements [host.Workloads].
func (w *Worker) Stop(ctx context.Context, id string) error {
	x, err := w.find(id)
	if err != nil {
		return err
	}
	if err := x.take(ctx); err != nil { // a start that is under way
		return err
	}
	defer x.pass()
	switch x.now().Phase {
	case host.Exited, host.Locked:
		return nil
	case host.Prepared:
		return host.ErrPhase
	}
	err = w.change(x, func(r *record) {
		if r.StopAt.IsZero() && r.Phase == host.Running {
			r.StopAt, r.Stopped = time.Now(), true
		}
	})
	if err != nil {
		return err
	}
	x.stop()
	return nil
}

// follow waits for a workload's end in the background. The caller has the turn.
func (w *Worker) follow(x *workload, h driver.Handle) {
	x.watched = make(chan struct{})
	w.watch.Go(func() {
		defer close(x.watched)
		for {
			err := w.attend(x, h)
			if err == nil || w.ctx.Err() != nil || errors.Is(err, driver.ErrNotFound) {
				return
			}
			w.config.Log.Error("watching a workload", "workload", x.id, "error", err)
			select {
			case <-w.ctx.Done():
				return
			case <-time.After(askAgain):
			}
		}
	})
}

// attend waits until the workload has ended, makes it end when it is time, and
// records how it did.
func (w *Worker) attend(x *workload, h driver.Handle) error {
	if r := x.now(); r.StopAt.IsZero() {
		ctx, cancel := context.WithDeadline(x.stopping, r.deadline())
		exit, err := h.Wait(ctx)
		over := ctx.Err() != nil
		cancel()
		if err == nil {
			return w.finish(x, exit)
		}
		if w.ctx.Err() != nil || !over {
			return err
		}
	}
	err := w.change(x, func(r *record) {
		if r.StopAt.IsZero() {
			r.StopAt, r.TimedOut = time.Now(), true
		}
	})
	if err != nil {
		return err
	}
	exit, err := w.wind(x, h)
	if err != nil {
		return err
	}
	return w.finish(x, exit)
}

// wind makes a workload end within what is left of its grace, which began when it
// was first asked, by whichever process.
func (w *Worker) wind(x *workload, h driver.Handle) (driver.Exit, error) {
	r := x.now()
	if left := r.grace(time.Now()); left > 0 {
		return driver.Stop(w.ctx, h, spec.Stop{Signal: r.Stop.Signal, GraceSeconds: int64((left + time.Second - 1) / time.Second)})
	}
	if err := h.Signal(w.ctx, syscall.SIGKILL); err != nil && !errors.Is(err, driver.ErrEnded) {
		return driver.Exit{}, err
	}
	return h.Wait(w.ctx)
}

// finish records the end. A workload that ended before it was asked to did so by
// itself.
func (w *Worker) finish(x *workload, exit driver.Exit) error {
	before := x.now()
	if before.Removing {
		return nil // its record is about to go, and must not come back
	}
	open := readable(before.Volume)
	return w.change(x, func(r *record) {
		r.Phase, r.Starting, r.Exit = host.Exited, false, &exit
		if !open {
			r.Phase = host.Locked
		}
		if exit.Finished.Before(r.StopAt) {
			r.Stopped, r.TimedOut = false, false
		}
	})
}
