package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"bawn.dev/internal/host"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/volume"
)

// workload is one that was ordered and not removed.
type workload struct {
	id string
	// turn is held by whoever takes it from one phase to another.
	turn chan struct{}
	// life ends when its volume is about to go: whoever has a file of it open
	// lets go.
	life context.Context
	end  context.CancelFunc
	// stopping ends when it should end by itself.
	stopping context.Context
	stop     context.CancelFunc
	// watched is closed when nobody waits for its end any more. It is nil before
	// the start.
	watched chan struct{}

	mu sync.Mutex // guards what follows; never held during I/O but for the record's
	record
	volume  *volume.Volume // of this process's own making, else nil
	putting int            // files being put
}

func (w *Worker) newWorkload(r record) *workload {
	x := &workload{id: r.ID, turn: make(chan struct{}, 1), record: r}
	x.life, x.end = context.WithCancel(w.ctx)
	x.stopping, x.stop = context.WithCancel(w.ctx)
	return x
}

// now is the record as it is.
func (x *workload) now() record {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.record
}

// take waits for the workload's turn.
func (x *workload) take(ctx context.Context) error {
	select {
	case x.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (x *workload) pass() { <-x.turn }

func (x *workload) state() host.State {
	r := x.now()
	return host.State{ID: r.ID, Phase: r.Phase, Exit: r.Exit, TimedOut: r.TimedOut, Stopped: r.Stopped, Started: r.Started}
}

// change changes the record on disk and, if that succeeds, in memory.
func (w *Worker) change(x *workload, edit func(*record)) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	next := x.record
	edit(&next)
	if err := w.save(next); err != nil {
		return err
	}
	x.record = next
	return nil
}

// within is ctx as long as the workload lives.
func (x *workload) within(ctx context.Context) (context.Context, func()) {
	both, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(x.life, cancel)
	return both, func() { stop(); cancel() }
}

// hold keeps a file open until it is released or the workload's life ends,
// whichever is first.
func (x *workload) hold(f interface{ Close() error }) (release func() error) {
	stop := context.AfterFunc(x.life, func() { f.Close() })
	return func() error {
		if !stop() {
			return errGone
		}
		return f.Close()
	}
}

var errGone = fmt.Errorf("%w: its volume was taken away", host.ErrPhase)

// ours begins the names on a volume that are not the workload's: the driver's and
// our own.
const ours = spec.Reserved

// specName is where the specification lies on the volume. It also tells whether the
// volume's key is there: without, there is no such name.
const specName = ours + ".spec"

// theirs reports whether a path in a volume is the workload's.
func theirs(path string) bool {
	return path == "." || filepath.IsLocal(path) && filepath.Clean(path) == path && len(path) < 4096 &&
		!strings.ContainsRune(path, 0) && !strings.HasPrefix(path, ours)
}

// checkMounts keeps a workload from its own specification, which the driver does
// not know of.
func checkMounts(s spec.Workload) error {
	for i, m := range s.Mounts {
		if !theirs(m.Source) || m.Source == "." {
			return fmt.Errorf("%w: mounts[%d].source is not the workload's", host.ErrInvalid, i)
		}
	}
	return nil
}

func keepSpec(dir string, s spec.Workload) error {
	data, err := spec.Encode(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, specName), data, 0o600); err != nil {
		return fmt.Errorf("worker: keeping the specification: %w", err)
	}
	return nil
}

func keptSpec(dir string) (spec.Workload, error) {
	data, err := os.ReadFile(filepath.Join(dir, specName))
	if err != nil {
		return spec.Workload{}, fmt.Errorf("worker: the specification: %w", err)
	}
	return spec.Decode(data)
}

// readable reports whether a volume is open.
func readable(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, specName))
	return err == nil
}

// lockVolume takes the key away. A volume whose key an earlier process brought
// cannot be closed without that key, but destroyed; nobody reads it again either
// way.
func (w *Worker) lockVolume(ctx context.Context, x *workload) error {
	x.mu.Lock()
	v := x.volume
	x.mu.Unlock()
	if v == nil {
		return volume.Destroy(ctx, w.path(volumesName), x.id)
	}
	if err := v.Lock(ctx); err != nil && !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	return nil
}
