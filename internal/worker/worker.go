// Package worker keeps what should run on one host and what does run there
// together. It prepares a workload's encrypted volume and its network, starts it
// once, ends it when its time is up or somebody says so, and takes everything away
// in the end.
//
// It trusts the door (package host) to say what should run, the driver to isolate
// it, and root's own directory, of which [Trusted] makes sure that nobody else can
// replace it. It trusts nothing that a workload leaves behind: files are read
// below the volume only, without following a link, and within bounds. Whoever
// controls what a worker is asked can start workloads and read their volumes while
// their keys are there; whoever controls a workload can fill its own volume and
// name its own files, and no more.
//
// A worker may be killed at any moment. What it did is in the kernel (mounts,
// namespaces), with the driver, and in one small file per workload, which holds no
// secret; a new worker on the same directory goes on from there. Every change is
// ordered so that what has no file yet is swept, and what has one is finished: a
// workload never runs twice, and its end is never lost. The rest of a
// specification, which may hold secrets, lies on the encrypted volume.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/image"
	"bawn.dev/internal/netmodel"
)

// Config is what a worker works with.
type Config struct {
	// Dir holds volumes and what must outlive the process; it is made, mode 0700,
	// and must pass [Trusted].
	Dir string
	// Images is the directory of the host's images, which must pass too.
	Images string
	// Driver runs workloads. Without one none can be prepared, and Capabilities
	// says why.
	Driver driver.Driver
	// Fabric makes networks; its Missing is part of what Capabilities is told. The
	// worker closes it.
	Fabric *fabric.Fabric
	// Capabilities is what this machine can enforce, as whoever built the parts
	// found it. What it says is missing is refused.
	Capabilities host.Capabilities
	// Log hears what has no caller to be told to. It hears no content.
	Log *slog.Logger
}

// Worker is the work on one host. It implements [host.Machine].
type Worker struct {
	config Config
	images *image.Store
	held   *os.File        // the lock on Config.Dir
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	watch  sync.WaitGroup

	mu        sync.Mutex
	workloads map[string]*workload
	networks  sync.Mutex // held while one is changed
	models    map[string]*netmodel.VPC
	transits  map[string]*netmodel.TransitGateway
}

// Names in Config.Dir.
const (
	volumesName  = "volumes"
	recordsName  = "workloads"
	modelsName   = "vpcs"
	transitsName = "transits"
)

// Open takes over what an earlier worker on the same directory left: networks are
// made again, running workloads are watched on, ended ones noted, half-made ones
// removed, and everything that nobody ordered is swept away. It fails with
// [ErrInUse] while another worker has the directory.
func Open(ctx context.Context, c Config) (*Worker, error) {
	if c.Log == nil || c.Fabric == nil || c.Dir == "" || c.Images == "" {
		return nil, errors.New("worker: want a directory, images, a fabric and a log")
	}
	for _, dir := range []string{c.Dir, filepath.Join(c.Dir, volumesName), filepath.Join(c.Dir, recordsName), filepath.Join(c.Dir, modelsName), filepath.Join(c.Dir, transitsName), c.Images} {
		if err := own(dir); err != nil {
			return nil, err
		}
	}
	images, err := image.Open(c.Images)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(c.Dir)
	if err != nil {
		return nil, err
	}
	w := &Worker{config: c, images: images, held: lock, workloads: map[string]*workload{}, models: map[string]*netmodel.VPC{}, transits: map[string]*netmodel.TransitGateway{}}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if err := w.recover(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close stops watching. Workloads run on, and are found again by the next worker.
func (w *Worker) Close() error {
	w.cancel()
	w.watch.Wait()
	return errors.Join(w.config.Fabric.Close(), w.held.Close())
}

// ErrInUse says that another worker works in the directory.
var ErrInUse = errors.New("worker: `bawn host` runs on this directory already")

// lockDir takes a directory for this process, until it ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, fmt.Errorf("worker: %w", err)
	}
	return f, nil
}

// Capabilities implements [host.Networks].
func (w *Worker) Capabilities() host.Capabilities { return w.config.Capabilities }

// unsupported refuses what this machine cannot enforce.
func unsupported(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", host.ErrUnsupported, joined(missing))
}

func (w *Worker) path(parts ...string) string {
	return filepath.Join(append([]string{w.config.Dir}, parts...)...)
}

// find returns a workload that was prepared and is not being removed.
func (w *Worker) find(id string) (*workload, error) {
	w.mu.Lock()
	x := w.workloads[id]
	w.mu.Unlock()
	if x == nil {
		return nil, host.ErrNotFound
	}
	if r := x.now(); r.Phase == "" || r.Removing {
		return nil, host.ErrNotFound
	}
	return x, nil
}

// State implements [host.Workloads].
func (w *Worker) State(id string) (host.State, error) {
	x, err := w.find(id)
	if err != nil {
		return host.State{}, err
	}
	return x.state(), nil
}

// States implements [host.Workloads].
func (w *Worker) States() ([]host.State, error) {
	w.mu.Lock()
	ids := make([]string, 0, len(w.workloads))
	for id := range w.workloads {
		ids = append(ids, id)
	}
	w.mu.Unlock()
	slices.Sort(ids)
	states := []host.State{}
	for _, id := range ids {
		s, err := w.State(id)
		if errors.Is(err, host.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		states = append(states, s)
	}
	return states, nil
}

// own makes a directory of root's alone, or makes sure that it is one.
func own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("worker: %s: want a directory with mode 0700", dir)
	}
	return Trusted(dir)
}
