package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/host"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/volume"
)

// startPatience bounds a start. gVisor needs a tenth of a second.
const startPatience = 2 * time.Minute

// Prepare implements [host.Workloads].
func (w *Worker) Prepare(ctx context.Context, o host.Order) error {
	s := o.Spec
	missing := slices.Concat(w.config.Capabilities.Volumes, w.config.Capabilities.Sandbox)
	if s.Network.Mode == spec.VPC {
		missing = append(missing, w.config.Capabilities.Network...)
	}
	if err := unsupported(missing); err != nil {
		return err
	}
	if err := s.Validate(); err != nil {
		return fmt.Errorf("%w: %w", host.ErrInvalid, err)
	}
	if err := checkMounts(s); err != nil {
		return err
	}
	if len(o.Key) != volume.KeySize {
		return fmt.Errorf("%w: want a key of %d bytes", host.ErrInvalid, volume.KeySize)
	}
	if _, err := w.image(s.Image.Digest); err != nil {
		return err
	}
	x := w.newWorkload(record{
		ID: s.ID, Image: s.Image.Digest, User: s.User, DiskBytes: s.Limits.DiskBytes, Runtime: s.Limits.MaxRuntimeSeconds, Stop: s.Stop,
	})
	x.turn <- struct{}{}
	defer x.pass()
	w.mu.Lock()
	if w.workloads[s.ID] != nil {
		w.mu.Unlock()
		return fmt.Errorf("%w: workload %s", host.ErrExists, s.ID)
	}
	w.workloads[s.ID] = x
	w.mu.Unlock()
	within, release := x.within(ctx)
	defer release()
	if err := w.prepare(within, x, s, o.Key); err != nil {
		return errors.Join(err, w.discard(context.WithoutCancel(ctx), x))
	}
	return nil
}

// prepare ends with the record: until that is written, nothing counts.
func (w *Worker) prepare(ctx context.Context, x *workload, s spec.Workload, key []byte) error {
	v, err := volume.Create(ctx, w.path(volumesName), s.ID, key, s.Limits.DiskBytes)
	if err != nil {
		return err
	}
	if err := keepSpec(v.Path(), s); err != nil {
		return err
	}
	if s.Network.Mode == spec.VPC {
		if err := w.attach(ctx, s.Network); err != nil {
			return err // which may be that another workload has the interface
		}
		x.mu.Lock()
		x.Interface = s.Network.Interface.ID
		x.mu.Unlock()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	x.mu.Lock()
	x.volume = v
	x.mu.Unlock()
	return w.change(x, func(r *record) { r.Phase, r.Volume = host.Prepared, v.Path() })
}

// attach joins a workload to its VPC, by the interface that the VPC has for it.
func (w *Worker) attach(ctx context.Context, n spec.Network) error {
	w.networks.Lock()
	v := w.models[n.VPCID]
	w.networks.Unlock()
	if v == nil {
		return fmt.Errorf("%w: %s was not applied", host.ErrNotFound, n.VPCID)
	}
	ifc := v.InterfaceAt(n.Interface.Address)
	if ifc == nil || ifc.ID != n.Interface.ID || ifc.Subnet != n.Interface.SubnetID || !sameGroups(ifc, n.Interface.SecurityGroups) {
		return fmt.Errorf("%w: %s, as applied, has no such interface", host.ErrInvalid, n.VPCID)
	}
	_, err := w.config.Fabric.Attach(ctx, n.VPCID, *ifc)
	return foreign(err)
}

func sameGroups(i *netmodel.Interface, groups []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(i.Groups)), slices.Sorted(slices.Values(groups)))
}

// Start implements [host.Workloads]. It does not depend on ctx: who asked may be
// killed while it runs.
func (w *Worker) Start(ctx context.Context, id string) error {
	x, err := w.find(id)
	if err != nil {
		return err
	}
	if err := x.take(ctx); err != nil {
		return err
	}
	defer x.pass()
	x.mu.Lock()
	r, putting := x.record, x.putting
	x.mu.Unlock()
	switch {
	case r.Phase == host.Running || r.Phase == host.Exited:
		return fmt.Errorf("%w: it was started before", host.ErrExists)
	case r.Phase != host.Prepared || r.Locking || r.Removing:
		return host.ErrPhase
	case putting > 0:
		return fmt.Errorf("%w: files are still being put", host.ErrPhase)
	}
	s, err := keptSpec(r.Volume)
	if err != nil {
		return err
	}
	img, err := w.image(s.Image.Digest)
	if err != nil {
		return err
	}
	resources := driver.Resources{Rootfs: img.Rootfs, Volume: r.Volume}
	if s.Network.Mode == spec.VPC {
		var ok bool
		if resources.NetNS, ok = w.config.Fabric.NetNS(r.Interface); !ok {
			return fmt.Errorf("worker: the network namespace of %s is gone", r.Interface)
		}
	}
	if err := w.change(x, func(r *record) { r.Starting, r.Started = true, time.Now() }); err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(x.life, startPatience)
	defer cancel()
	handle, err := w.config.Driver.Start(patience, s, resources)
	if err != nil && w.ctx.Err() != nil {
		return err // we are being closed; the next worker looks what became of it
	}
	if err != nil {
		return errors.Join(fmt.Errorf("worker: starting: %w", err), w.change(x, notStarted))
	}
	err = w.change(x, func(r *record) { r.Phase, r.Starting = host.Running, false })
	if err != nil {
		// It runs; that it is only said to be starting is put right by whoever
		// reads the record.
		x.mu.Lock()
		x.Phase, x.Starting = host.Running, false
		x.mu.Unlock()
	}
	w.follow(x, handle)
	return err
}

// notStarted is the end of a workload that the driver could not start, with the
// code that container engines give to their own failures.
func notStarted(r *record) {
	now := time.Now()
	r.Phase, r.Starting = host.Exited, false
	r.Exit = &driver.Exit{Code: 125, Reason: "the sandbox did not start", Started: now, Finished: now}
}

// Lock implements [host.Workloads].
func (w *Worker) Lock(ctx context.Context, id string) error {
	x, err := w.find(id)
	if err != nil {
		return err
	}
	x.end()
	if err := x.take(ctx); err != nil {
		return err
	}
	defer x.pass()
	return w.lock(ctx, x)
}

// lock kills and locks. The caller has the turn.
func (w *Worker) lock(ctx context.Context, x *workload) error {
	switch r := x.now(); {
	case r.Phase == host.Locked:
		return nil
	case r.Phase == "" || r.Removing:
		return host.ErrNotFound
	}
	if err := w.change(x, func(r *record) { r.Locking = true }); err != nil {
		return err
	}
	if err := w.kill(ctx, x); err != nil {
		return err
	}
	if err := w.lockVolume(ctx, x); err != nil {
		return err
	}
	return w.change(x, func(r *record) { r.Phase, r.Locking = host.Locked, false })
}

// kill ends a workload that may be running and waits until its end is recorded.
func (w *Worker) kill(ctx context.Context, x *workload) error {
	if x.watched == nil {
		return nil
	}
	handle, err := w.config.Driver.Recover(ctx, x.id)
	if err == nil {
		err = handle.Signal(ctx, syscall.SIGKILL)
	}
	if err != nil && !errors.Is(err, driver.ErrEnded) && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	select {
	case <-x.watched:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Remove implements [host.Workloads].
func (w *Worker) Remove(ctx context.Context, id string) error {
	w.mu.Lock()
	x := w.workloads[id]
	w.mu.Unlock()
	if x == nil {
		return nil
	}
	x.end()
	if err := x.take(ctx); err != nil {
		return err
	}
	defer x.pass()
	return w.discard(ctx, x)
}

// discard leaves nothing of a workload, however far it came. The caller has the
// turn. The record goes last, so that an interrupted removal is finished.
func (w *Worker) discard(ctx context.Context, x *workload) error {
	w.mu.Lock()
	known := w.workloads[x.id] == x
	w.mu.Unlock()
	if !known {
		return nil
	}
	r := x.now()
	if r.Phase != "" {
		if err := w.change(x, func(r *record) { r.Removing = true }); err != nil {
			return err
		}
	}
	if err := w.clear(ctx, r.ID, r.Interface); err != nil {
		return err
	}
	if x.watched != nil {
		select {
		case <-x.watched:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := removeFile(w.recordPath(x.id)); err != nil {
		return err
	}
	w.mu.Lock()
	delete(w.workloads, x.id)
	w.mu.Unlock()
	return nil
}

// clear takes away the sandbox, the network and the volume. Each may be gone.
func (w *Worker) clear(ctx context.Context, id, ifc string) error {
	if w.config.Driver != nil {
		if err := w.config.Driver.Remove(ctx, id); err != nil {
			return err
		}
	}
	if ifc != "" {
		if err := w.config.Fabric.Detach(ctx, ifc); err != nil {
			return err
		}
	}
	return volume.Destroy(ctx, w.path(volumesName), id)
}
