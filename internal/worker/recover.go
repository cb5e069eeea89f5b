package worker

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/volume"
)

// recover makes reality and the records agree.
func (w *Worker) recover(ctx context.Context) error {
	records, err := w.load()
	if err != nil {
		return err
	}
	for _, r := range records {
		w.workloads[r.ID] = w.newWorkload(r)
	}
	if err := w.applyAgain(ctx); err != nil {
		return err
	}
	if err := w.sweep(ctx); err != nil {
		return err
	}
	for _, r := range records {
		if err := w.adopt(ctx, w.workloads[r.ID]); err != nil {
			return err
		}
	}
	return nil
}

// sweep takes away what no record names: what was being made when an earlier worker
// was killed. Sandboxes first, as they hold the rest.
func (w *Worker) sweep(ctx context.Context) error {
	if w.config.Driver != nil {
		ids, err := w.config.Driver.List(ctx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if w.workloads[id] == nil {
				if err := w.config.Driver.Remove(ctx, id); err != nil {
					return err
				}
			}
		}
	}
	if len(w.config.Fabric.Missing()) == 0 {
		keep := fabric.Keep{VPCs: map[string]bool{}, Transits: map[string]bool{}, Attachments: map[string]bool{}}
		for id := range w.models {
			keep.VPCs[id] = true
		}
		for id := range w.transits {
			keep.Transits[id] = true
		}
		for _, x := range w.workloads {
			keep.Attachments[x.Interface] = true
		}
		if err := w.config.Fabric.Sweep(ctx, keep); err != nil {
			return err
		}
	}
	ids, err := volume.List(w.path(volumesName))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if w.workloads[id] == nil {
			if err := volume.Destroy(ctx, w.path(volumesName), id); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt goes on with a workload of an earlier worker.
func (w *Worker) adopt(ctx context.Context, x *workload) error {
	r := x.now() // before somebody watches it
	if r.Removing {
		return w.discard(ctx, x)
	}
	if r.Locking {
		x.end()
	}
	if err := w.resume(ctx, x, r); err != nil {
		return err
	}
	if r.Locking {
		return w.lock(ctx, x)
	}
	return nil
}

func (w *Worker) resume(ctx context.Context, x *workload, r record) error {
	open := readable(r.Volume)
	switch {
	case r.Phase == host.Locked:
		return nil
	case r.Phase == host.Exited || r.Phase == host.Prepared && !r.Starting:
		if !open { // the machine was restarted, and the key is gone
			return w.change(x, func(r *record) { r.Phase, r.Locking = host.Locked, false })
		}
		return nil
	}
	// It runs, ran, or was about to.
	if w.config.Driver == nil {
		return errors.New("worker: workloads may be running, and there is no driver to find them: " + joined(w.config.Capabilities.Sandbox))
	}
	handle, err := w.config.Driver.Recover(ctx, x.id)
	switch {
	case err == nil:
		if r.Starting {
			if err := w.change(x, func(r *record) { r.Phase, r.Starting = host.Running, false }); err != nil {
				return err
			}
		}
		w.follow(x, handle)
		return nil
	case !errors.Is(err, driver.ErrNotFound):
		return err
	case r.Starting && open:
		// The driver never heard of it, so nothing of it has run.
		return w.change(x, func(r *record) { r.Starting, r.Started = false, time.Time{} })
	}
	return w.finish(x, driver.Exit{Code: 137, Lost: true, Reason: "nothing is left of it", Finished: time.Now()})
}
