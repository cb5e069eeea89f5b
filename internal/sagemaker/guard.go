package sagemaker

import (
	"context"
	"errors"
	"time"
)

// guarded does something that may take long with a job's open volume, and breaks it
// off when the job may no longer go on.
func (w *worker) guarded(ctx context.Context, j *job, do func(context.Context) error) error {
	if err := w.mayGoOn(ctx, j); err != nil {
		return err
	}
	within, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	own := *j // do may change it
	go func() {
		defer close(ended)
		tick := time.NewTicker(max(w.keys, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-within.Done():
				return
			case <-tick.C:
			}
			// Trouble of ours breaks nothing off: the next look may find out.
			err := w.mayGoOn(ctx, &own)
			if _, over := errors.AsType[*failure](err); over {
				cancel(err)
				return
			}
		}
	}()
	err := do(within)
	cancel(nil)
	<-ended
	if f, over := errors.AsType[*failure](context.Cause(within)); over {
		return f
	}
	return err
}

// mayGoOn asks again, every few seconds, whether the role, the person and the key
// of the volume are what the job needs. If not, the volume is locked at once.
func (w *worker) mayGoOn(ctx context.Context, j *job) error {
	now := time.Now()
	if now.Sub(w.checked) < w.keys {
		return nil
	}
	w.checked = now
	key, err := w.openVolumeKey(ctx, j)
	clear(key)
	if f, ok := errors.AsType[*failure](err); ok {
		if err := w.Machines.Lock(ctx, j.id); err != nil {
			return errors.Join(err, errors.New("sagemaker: the volume of a job that may not go on is not locked: "+f.kind))
		}
	}
	return err
}
