// Package driver is the contract between the worker, which knows what should
// run, and whatever runs it: driver/oci (gVisor's runsc) and driver/fake.
// driver/drivertest is the contract as a test suite, which both pass.
//
// A driver trusts the worker: the root file system is the one that the digest
// names, the volume is sealed and the namespace is fenced before Start is
// called. It does not trust the workload: everything that a handle returns
// about it (lines, exit codes) is data that an attacker may have chosen, within
// the bounds stated here. What a workload cannot choose is to run twice, to
// outlive Remove, or to be reported as finished when nobody saw it finish.
package driver

import (
	"context"
	"errors"
	"iter"
	"syscall"
	"time"

	"bawn.dev/internal/spec"
)

// Driver runs workloads. Its methods may be called concurrently for different
// workloads. It keeps nothing in memory that it needs: a new Driver on the
// same state finds what an older one started.
type Driver interface {
	// Start starts w, once. A second Start of the same id fails with
	// [ErrExists], even after the workload ended and until it is removed.
	// When Start fails, also because ctx ended, nothing of w runs, and Remove
	// clears what it left. A workload that runs does not depend on ctx.
	Start(ctx context.Context, w spec.Workload, r Resources) (Handle, error)

	// Recover returns the handle of a workload that was started earlier, by
	// this process or one before it, whether it still runs or not. It fails
	// with [ErrNotFound] for an id that was never started or was removed.
	Recover(ctx context.Context, id string) (Handle, error)

	// List returns the ids of all workloads that were started and not removed,
	// sorted.
	List(ctx context.Context) ([]string, error)

	// Remove kills the workload if it runs and forgets it. Removing what does
	// not exist is no error: Remove may be repeated until it succeeds. After
	// it nothing of the workload holds a file of its volume open.
	Remove(ctx context.Context, id string) error
}

// Resources is what the worker prepared for one workload.
type Resources struct {
	// Rootfs is the directory that becomes the root, read-only.
	Rootfs string
	// NetNS is the path of the network namespace; empty with mode none.
	NetNS string
	// Volume is the directory of the encrypted volume. A driver that writes to
	// disk refuses one that is neither encrypted nor in memory.
	Volume string
}

// Handle is one started workload.
type Handle interface {
	ID() string

	// Wait returns how the workload ended, waiting for it if it still runs.
	// It may be called any number of times, at any time until Remove.
	Wait(ctx context.Context) (Exit, error)

	// Signal sends sig to the workload's first process; SIGKILL ends all of
	// it. It fails with [ErrEnded] when the workload has ended.
	Signal(ctx context.Context, sig syscall.Signal) error

	// Logs yields what the workload wrote, line by line in the order written,
	// from the given offset (0, or the Next of an earlier line) on. It follows
	// a running workload and ends after the last line of an ended one. An
	// error, also ctx's, is yielded last.
	Logs(ctx context.Context, from int64) iter.Seq2[Line, error]
}

// Exit is how a workload ended.
type Exit struct {
	// Code is the exit status, 0 to 255. After death by a signal it is 128
	// and the signal's number, as shells have it.
	Code int `json:"code"`
	// Signal is the signal that ended the workload, or 0. A driver that sees
	// only a status above 128 reports the signal that it stands for, so that
	// a program which exits with 137 is told from a killed one by nobody.
	Signal syscall.Signal `json:"signal,omitzero"`
	// OOM says that the kernel killed the workload at its memory limit.
	OOM bool `json:"oom,omitzero"`
	// Lost says that the workload is gone and nobody saw how: its host
	// restarted, or its keeper was killed. It is never run again.
	Lost bool `json:"lost,omitzero"`
	// Reason says in one line why the sandbox, rather than the program, ended;
	// it is empty otherwise. It holds nothing that the workload wrote.
	Reason string `json:"reason,omitzero"`
	// Started and Finished are by the host's clock. Of a lost workload Started
	// is zero and Finished is when the loss was found.
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
}

// Failures that a caller tells apart with errors.Is.
var (
	ErrExists   = errors.New("driver: the workload was started before")
	ErrNotFound = errors.New("driver: no such workload")
	ErrEnded    = errors.New("driver: the workload has ended")
)

// Stop asks a workload to end as s says: the signal, the grace, then SIGKILL.
// It returns how the workload ended. When ctx ends first, the workload is left
// as it is.
func Stop(ctx context.Context, h Handle, s spec.Stop) (Exit, error) {
	if err := h.Signal(ctx, syscall.Signal(s.Signal)); err != nil && !errors.Is(err, ErrEnded) {
		return Exit{}, err
	}
	grace, cancel := context.WithTimeout(ctx, s.Grace())
	defer cancel()
	exit, err := h.Wait(grace)
	if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return exit, err
	}
	if err := h.Signal(ctx, syscall.SIGKILL); err != nil && !errors.Is(err, ErrEnded) {
		return Exit{}, err
	}
	return h.Wait(ctx)
}
