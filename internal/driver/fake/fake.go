// Package fake is a driver that runs workloads as goroutines of this process,
// for tests of what stands above drivers. It isolates nothing, and so refuses
// nothing but what every driver refuses; it must never meet a tenant. It passes
// the suite of driver/drivertest.
package fake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/spec"
)

// Program is what a workload runs, found by the first word of its command. It
// returns an exit status. It ends when its Signals channel is closed, which is
// how a goroutine is killed.
type Program func(drivertest.Process) int

// Host is a machine that fake drivers share; it outlives them as a real host
// does its worker. The zero value knows no programs.
type Host struct {
	// Programs by name. It must not change once a workload was started.
	Programs map[string]Program

	mu        sync.Mutex
	workloads map[string]*workload
}

// Driver returns a driver on the host. All of them see the same workloads.
func (h *Host) Driver() driver.Driver { return drv{h} }

// Crash ends every running workload the way a restarted machine does: nobody
// saw how.
func (h *Host) Crash() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.workloads {
		w.end(driver.Exit{Code: 137, Signal: syscall.SIGKILL, Lost: true, Reason: "the host was restarted"})
	}
}

type drv struct{ host *Host }

// Start implements [driver.Driver].
func (d drv) Start(ctx context.Context, s spec.Workload, r driver.Resources) (driver.Handle, error) {
	if err := errors.Join(ctx.Err(), s.Validate()); err != nil {
		return nil, err
	}
	if (s.Network.Mode == spec.None) != (r.NetNS == "") {
		return nil, errors.New("fake: mode none takes no network namespace, and mode vpc one")
	}
	h := d.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.workloads[s.ID] != nil {
		return nil, driver.ErrExists
	}
	program := h.Programs[s.Command[0]]
	if program == nil {
		return nil, fmt.Errorf("fake: no program %q", s.Command[0])
	}
	if h.workloads == nil {
		h.workloads = make(map[string]*workload)
	}
	w := &workload{
		id: s.ID, memory: s.Limits.MemoryBytes, started: time.Now(),
		signals: make(chan os.Signal, 64), done: make(chan struct{}), gone: make(chan struct{}),
	}
	w.frames = driver.NewLogWriter(&w.log, 0, driver.MaxLog)
	h.workloads[s.ID] = w
	go w.run(program, s)
	return w, nil
}

// Recover implements [driver.Driver].
func (d drv) Recover(_ context.Context, id string) (driver.Handle, error) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	if w := d.host.workloads[id]; w != nil {
		return w, nil
	}
	return nil, driver.ErrNotFound
}

// List implements [driver.Driver].
func (d drv) List(context.Context) ([]string, error) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	return slices.Sorted(maps.Keys(d.host.workloads)), nil
}

// Remove implements [driver.Driver].
func (d drv) Remove(_ context.Context, id string) error {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	if w := d.host.workloads[id]; w != nil {
		w.end(driver.Exit{Code: 137, Signal: syscall.SIGKILL})
		close(w.gone)
		delete(d.host.workloads, id)
	}
	return nil
}

// workload is one goroutine and its log.
type workload struct {
	id      string
	memory  int64
	started time.Time

	mu      sync.Mutex
	log     bytes.Buffer
	frames  *driver.LogWriter
	used    int64
	exit    *driver.Exit
	signals chan os.Signal
	done    chan struct{} // closed when exit is set
	gone    chan struct{} // closed when it was removed
}

func (w *workload) run(program Program, s spec.Workload) {
	// Whatever ends the program without a status is the program's crash.
	code := 134
	defer func() { w.end(driver.Exit{Code: code}) }()
	var env []string
	for name, value := range s.Env {
		env = append(env, name+"="+value)
	}
	out := &lines{w: w, stream: driver.Stdout}
	errs := &lines{w: w, stream: driver.Stderr}
	defer errs.flush()
	defer out.flush()
	code = program(drivertest.Process{
		Args: s.Argv()[1:], Env: env, Stdout: out, Stderr: errs, Signals: w.signals, Allocate: w.allocate,
	})
}

// allocate kills the workload at its limit, and its goroutine with it.
func (w *workload) allocate(n int) {
	w.mu.Lock()
	w.used += int64(n)
	over := w.used > w.memory
	w.mu.Unlock()
	if over {
		w.end(driver.Exit{Code: 137, Signal: syscall.SIGKILL, OOM: true})
	}
	select {
	case <-w.done:
		runtime.Goexit()
	default:
	}
}

// end sets how the workload ended, unless it has.
func (w *workload) end(e driver.Exit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.exit != nil {
		return
	}
	e.Finished = time.Now()
	if !e.Lost {
		e.Started = w.started
	}
	w.exit = &e
	close(w.signals)
	close(w.done)
}

// ID implements [driver.Handle].
func (w *workload) ID() string { return w.id }

// Wait implements [driver.Handle].
func (w *workload) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-w.gone:
		return driver.Exit{}, driver.ErrNotFound
	default:
	}
	select {
	case <-w.done:
		return *w.exit, nil
	case <-ctx.Done():
		return driver.Exit{}, ctx.Err()
	}
}

// Signal implements [driver.Handle].
func (w *workload) Signal(ctx context.Context, sig syscall.Signal) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if sig <= 0 || sig >= 32 {
		return fmt.Errorf("fake: signal %d: want 1 to 31", int(sig))
	}
	if sig == syscall.SIGKILL {
		select {
		case <-w.done:
			return driver.ErrEnded
		default:
		}
		w.end(driver.Exit{Code: 137, Signal: sig})
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.exit != nil {
		return driver.ErrEnded
	}
	select {
	case w.signals <- sig:
	default: // as the kernel, which merges what is not taken
	}
	return nil
}

// Logs implements [driver.Handle].
func (w *workload) Logs(ctx context.Context, from int64) iter.Seq2[driver.Line, error] {
	return driver.ReadFrames(ctx, (*source)(w), from, w.done)
}

// source reads a workload's log while it grows.
type source workload

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.NewReader(s.log.Bytes()).ReadAt(p, off)
}

// lines cuts what a program writes into lines, as the pipe of a real driver.
type lines struct {
	w      *workload
	stream driver.Stream
	rest   []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	if end := bytes.LastIndexByte(l.rest, '\n'); end >= 0 {
		whole := l.rest[:end+1]
		l.rest = slices.Clone(l.rest[end+1:])
		return len(p), l.frame(whole)
	}
	return len(p), nil
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		_ = l.frame(l.rest) // a write to memory
	}
}

func (l *lines) frame(text []byte) error {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.w.exit != nil {
		return nil // the dead do not speak
	}
	return l.w.frames.Copy(l.stream, bytes.NewReader(text))
}
