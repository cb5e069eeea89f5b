package oci

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/driver"
)

// Files in a workload's state directory.
const (
	recordName = "workload.json"
	exitName   = "exit.json"
	lockName   = "lock"
	bornName   = "born" // a sandbox may have been started
)

// record is what Recover needs to know. It holds nothing of the workload's.
type record struct {
	Volume string `json:"volume"`
}

// handle is one workload: a directory. Its lock is held by the shim (and, until
// the shim runs, by Start), so that "the lock is free and there is no exit
// status" says that nobody saw the end.
type handle struct {
	id     string
	dir    string
	driver *Driver
}

func (h *handle) ID() string { return h.id }

// create makes the state directory and takes its lock. That the directory can
// be made only once is what keeps a workload from running twice.
func (h *handle) create() (*os.File, error) {
	// The lock exists before the directory has its name: a workload that is
	// visible and unlocked is one that nobody keeps.
	tmp, err := os.MkdirTemp(h.driver.config.State, unnamed)
	if err != nil {
		return nil, fmt.Errorf("oci: %w", err)
	}
	lock, err := tryLock(filepath.Join(tmp, lockName), os.O_CREATE)
	if err == nil {
		if err = os.Rename(tmp, h.dir); err == nil {
			return lock, nil
		}
		lock.Close()
	}
	if rerr := os.RemoveAll(tmp); rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	if errors.Is(err, os.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		return nil, driver.ErrExists
	}
	return nil, fmt.Errorf("oci: %w", err)
}

// How often a waiting handle looks. The shim's exit file appears at once; this
// is only how late we may notice.
const poll = 10 * time.Millisecond

// Wait implements [driver.Handle].
func (h *handle) Wait(ctx context.Context) (driver.Exit, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		exit, err := h.ended()
		if !errors.Is(err, errRunning) {
			return exit, err
		}
		select {
		case <-ctx.Done():
			return driver.Exit{}, ctx.Err()
		case <-tick.C:
		}
	}
}

var errRunning = errors.New("oci: still running")

// ended returns the exit status, or errRunning. A workload that lost its shim
// is killed here and reported as lost, once and for all.
func (h *handle) ended() (driver.Exit, error) {
	exit, err := h.exit()
	if !errors.Is(err, os.ErrNotExist) {
		return exit, err
	}
	lock, err := tryLock(filepath.Join(h.dir, lockName), 0)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return driver.Exit{}, errRunning
	}
	if errors.Is(err, os.ErrNotExist) {
		return driver.Exit{}, driver.ErrNotFound
	}
	if err != nil {
		return driver.Exit{}, fmt.Errorf("oci: %w", err)
	}
	defer lock.Close()
	// Between the first look and the lock the shim may have finished.
	if exit, err := h.exit(); !errors.Is(err, os.ErrNotExist) {
		return exit, err
	}
	// The processes first: what is reported as ended must not go on.
	if err := errors.Join(h.driver.groups.remove(context.Background(), h.id), unmountRoot(h.dir)); err != nil {
		return driver.Exit{}, err
	}
	exit = driver.Exit{Code: 128 + int(syscall.SIGKILL), Signal: syscall.SIGKILL, Lost: true, Finished: time.Now(),
		Reason: "the host or the workload's keeper was restarted; nobody saw how it ended"}
	return exit, h.write(exitName, exit)
}

// unborn says whether nobody keeps the workload and nothing of it can have run. What
// its start left on the volume is taken away, so that it can be started again.
func (h *handle) unborn() (bool, error) {
	for _, name := range []string{bornName, exitName} {
		if _, err := os.Stat(filepath.Join(h.dir, name)); !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
	}
	lock, err := tryLock(filepath.Join(h.dir, lockName), 0)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil // a shim is about to
	}
	if err != nil {
		return false, fmt.Errorf("oci: %w", err)
	}
	defer lock.Close()
	// Between the first look and the lock a shim may have come and gone.
	if _, err := os.Stat(filepath.Join(h.dir, bornName)); !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	r, err := h.record()
	if errors.Is(err, os.ErrNotExist) {
		return true, nil // and so the volume was not touched
	}
	if err != nil {
		return false, err
	}
	return true, os.RemoveAll(reserved(r.Volume))
}

func (h *handle) exit() (driver.Exit, error) {
	var exit driver.Exit
	data, err := os.ReadFile(filepath.Join(h.dir, exitName))
	if err != nil {
		return exit, err
	}
	if err := json.Unmarshal(data, &exit); err != nil {
		return exit, fmt.Errorf("oci: %s: %w", exitName, err)
	}
	return exit, nil
}

// Signal implements [driver.Handle].
func (h *handle) Signal(ctx context.Context, sig syscall.Signal) error {
	if sig <= 0 || sig >= 32 {
		return fmt.Errorf("oci: signal %d: want 1 to 31", int(sig))
	}
	if _, err := h.ended(); err == nil {
		return driver.ErrEnded
	} else if !errors.Is(err, errRunning) {
		return err
	}
	r, err := h.record()
	if err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = runsc{path: h.driver.config.Runsc, volume: r.Volume}.run(ask, "kill", h.id, strconv.Itoa(int(sig)))
	switch {
	case err == nil:
		return nil
	case h.hasEnded():
		return driver.ErrEnded
	case sig == syscall.SIGKILL && ctx.Err() == nil:
		// A sandbox whose kernel does not answer dies by the host's hand.
		return h.driver.groups.kill(ctx, h.id)
	default:
		return err
	}
}

// patience is how long gVisor's kernel may take to deliver a signal.
const patience = 5 * time.Second

func (h *handle) hasEnded() bool {
	_, err := h.ended()
	return err == nil
}

// Logs implements [driver.Handle]. It fails once the volume is locked: the log
// lies there.
func (h *handle) Logs(ctx context.Context, from int64) iter.Seq2[driver.Line, error] {
	return func(yield func(driver.Line, error) bool) {
		r, err := h.record()
		if err != nil {
			yield(driver.Line{}, err)
			return
		}
		// The shim made the log before it said that the workload runs. A start
		// that failed, or was interrupted, may have left none.
		log, err := os.Open(reserved(r.Volume, logName))
		if err != nil {
			yield(driver.Line{}, fmt.Errorf("oci: %w", err))
			return
		}
		defer log.Close()
		// It is read until somebody saw the end, with a watcher of its
		// own that lives no longer than this loop.
		watch, cancel := context.WithCancel(ctx)
		defer cancel()
		ended := make(chan struct{})
		go func() {
			if _, err := h.Wait(watch); err == nil || errors.Is(err, driver.ErrNotFound) {
				close(ended)
			}
		}()
		for line, err := range driver.ReadFrames(ctx, log, from, ended) {
			if !yield(line, err) {
				return
			}
		}
	}
}

func (h *handle) record() (record, error) {
	var r record
	data, err := os.ReadFile(filepath.Join(h.dir, recordName))
	if errors.Is(err, os.ErrNotExist) {
		return r, driver.ErrNotFound
	}
	if err != nil {
		return r, fmt.Errorf("oci: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("oci: %s: %w", recordName, err)
	}
	return r, nil
}

func (h *handle) write(name string, v any) error { return writeDurably(h.dir, name, v) }

// writeDurably replaces a file whole: a reader sees the old content or the new,
// also after a crash.
func writeDurably(dir, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("oci: %s: %w", name, err)
	}
	f, err := os.CreateTemp(dir, "."+name+"-")
	if err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("oci: %s: %w", name, err)
	}
	return nil
}

// awaitLock takes the lock of a workload whose processes were killed.
func (h *handle) awaitLock(ctx context.Context) (*os.File, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		lock, err := tryLock(filepath.Join(h.dir, lockName), 0)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
			// A shim that was still starting its sandbox has more to kill.
			if err := h.driver.groups.kill(ctx, h.id); err != nil {
				return nil, err
			}
		}
	}
}

// tryLock takes an exclusive flock(2), which belongs to the open file and so
// passes to a child that inherits it. flag is os.O_CREATE or 0.
func tryLock(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
