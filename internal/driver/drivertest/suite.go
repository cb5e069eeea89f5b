package drivertest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/spec"
)

// Host is a machine with a driver under test.
type Host struct {
	// Open returns a new driver on the same state: what a restarted process
	// has.
	Open func() driver.Driver
	// Prepare makes a workload that runs [Program] with args, and what it
	// needs. Its memory limit is small enough to be reached in a test.
	Prepare func(t testing.TB, args ...string) (spec.Workload, driver.Resources)
}

// Workload returns a valid workload that runs program with args.
func Workload(program string, args ...string) spec.Workload {
	return spec.Workload{
		ID: spec.NewID(), Account: "123456789012", Kind: spec.TrainingJob,
		Image:   spec.Image{Digest: "sha256:" + strings.Repeat("0", 64)},
		Command: []string{program}, Args: args,
		Env:        map[string]string{"HOME": "/tmp", "TRAINING_JOB_NAME": "suite"},
		User:       spec.User{UID: 1000, GID: 1000},
		WorkingDir: "/",
		Limits:     spec.Limits{MilliCPUs: 1000, MemoryBytes: 192 << 20, PIDs: 64, DiskBytes: 64 << 20, MaxRuntimeSeconds: 3600},
		Network:    spec.Network{Mode: spec.None},
		Stop:       spec.Stop{Signal: int(syscall.SIGTERM), GraceSeconds: 60},
	}
}

// Run runs the suite.
func Run(t *testing.T, h Host) {
	tests := []struct {
		name string
		test func(*testing.T, Host)
	}{
		{"exit code", testExit}, {"output", testOutput}, {"order and offsets", testOffsets},
		{"long lines", testLong}, {"bytes that are no text", testRaw}, {"environment", testEnv},
		{"obeys the signal", testStop}, {"is killed after its grace", testKill}, {"catches other signals", testSignal},
		{"runs once", testOnce}, {"refuses an invalid workload", testInvalid}, {"missing program", testMissing},
		{"is found again", testRecover}, {"ends while nobody looks", testUnseen},
		{"starting can be given up", testGiveUpStart}, {"list", testList}, {"remove", testRemove}, {"unknown", testUnknown},
		{"out of memory", testMemory}, {"waiting can be given up", testGiveUp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, h) })
	}
}

// Start starts a workload, which is removed with the test.
func (h Host) Start(t testing.TB, args ...string) driver.Handle {
	t.Helper()
	w, r := h.Prepare(t, args...)
	handle, err := h.Open().Start(t.Context(), w, r)
	h.Forget(t, w.ID)
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

// Forget removes a workload when the test ends.
func (h Host) Forget(t testing.TB, id string) {
	t.Cleanup(func() {
		if err := h.Open().Remove(context.Background(), id); err != nil {
			t.Errorf("Remove: %v", err)
		}
	})
}

// Wait waits for the end of a workload.
func Wait(t testing.TB, h driver.Handle) driver.Exit {
	t.Helper()
	exit, err := h.Wait(t.Context())
	if err != nil {
		t.Fatalf("Wait: %v", err)
	}
	return exit
}

// Lines returns all that a workload wrote, once it has ended.
func Lines(t testing.TB, h driver.Handle, streams ...driver.Stream) []string {
	t.Helper()
	var lines []string
	for line, err := range h.Logs(t.Context(), 0) {
		if err != nil {
			t.Fatalf("Logs: %v", err)
		}
		if len(streams) == 0 || slices.Contains(streams, line.Stream) {
			lines = append(lines, line.Text)
		}
	}
	return lines
}

// Await follows the log until a line is text, and returns where it ends.
func Await(t testing.TB, h driver.Handle, text string) int64 {
	t.Helper()
	for line, err := range h.Logs(t.Context(), 0) {
		if err != nil {
			t.Fatalf("Logs: %v", err)
		}
		if line.Text == text {
			return line.Next
		}
	}
	t.Fatalf("the workload ended without saying %q", text)
	return 0
}

func testExit(t *testing.T, h Host) {
	for _, code := range []int{0, 3, 125} {
		before := time.Now()
		handle := h.Start(t, "exit", strconv.Itoa(code))
		exit := Wait(t, handle)
		if exit.Code != code || exit.Signal != 0 || exit.OOM || exit.Lost || exit.Reason != "" {
			t.Errorf("exit %d: got %+v", code, exit)
		}
		if exit.Started.Before(before.Add(-time.Second)) || exit.Finished.Before(exit.Started) {
			t.Errorf("started %v, finished %v", exit.Started, exit.Finished)
		}
		if again := Wait(t, handle); !again.Finished.Equal(exit.Finished) || again.Code != code {
			t.Errorf("a second Wait says %+v", again)
		}
	}
}

func testOutput(t *testing.T, h Host) {
	handle := h.Start(t, "say", "to out", "to err")
	Wait(t, handle)
	if got := Lines(t, handle, driver.Stdout); !slices.Equal(got, []string{"to out"}) {
		t.Errorf("stdout: %q", got)
	}
	if got := Lines(t, handle, driver.Stderr); !slices.Equal(got, []string{"to err"}) {
		t.Errorf("stderr: %q", got)
	}
}

func testOffsets(t *testing.T, h Host) {
	const n = 2000
	handle := h.Start(t, "count", strconv.Itoa(n))
	var offset int64
	var last time.Time
	for i := 0; i < n; {
		begun := i
		for line, err := range handle.Logs(t.Context(), offset) {
			if err != nil {
				t.Fatal(err)
			}
			if line.Text != strconv.Itoa(i) || line.Next <= offset || line.Time.Before(last) {
				t.Fatalf("line %d: got %+v after %d", i, line, offset)
			}
			offset, last = line.Next, line.Time
			// The rest is fetched anew, as after a restart.
			if i++; i%300 == 0 {
				break
			}
		}
		if i == begun {
			t.Fatalf("the log ends after %d lines", i)
		}
	}
}

func testLong(t *testing.T, h Host) {
	const n = driver.MaxLine + 1000
	handle := h.Start(t, "long", strconv.Itoa(n))
	Wait(t, handle)
	lines := Lines(t, handle)
	if len(lines) != 2 || len(lines[0]) > driver.MaxLine || len(lines[0])+len(lines[1]) != n {
		t.Errorf("got %d lines", len(lines))
	}
}

func testRaw(t *testing.T, h Host) {
	handle := h.Start(t, "raw")
	if got := Lines(t, handle); !slices.Equal(got, []string{"caf\uFFFD", "next"}) {
		t.Errorf("got %q", got)
	}
}

func testEnv(t *testing.T, h Host) {
	t.Setenv("BAWN_HOST_SECRET", "must not be seen")
	handle := h.Start(t, "env")
	if got := Lines(t, handle); !slices.Equal(got, []string{"HOME=/tmp", "TRAINING_JOB_NAME=suite"}) {
		t.Errorf("the environment is %q", got)
	}
}

func testStop(t *testing.T, h Host) {
	handle := h.Start(t, "wait")
	Await(t, handle, "ready")
	exit, err := driver.Stop(t.Context(), handle, spec.Stop{Signal: int(syscall.SIGTERM), GraceSeconds: 60})
	if err != nil || exit.Code != 0 || exit.Signal != 0 {
		t.Errorf("got %+v, %v", exit, err)
	}
	Await(t, handle, "got 15")
	if err := handle.Signal(t.Context(), syscall.SIGTERM); !errors.Is(err, driver.ErrEnded) {
		t.Errorf("a signal to the dead: %v", err)
	}
}

func testKill(t *testing.T, h Host) {
	handle := h.Start(t, "stubborn")
	Await(t, handle, "ready")
	exit, err := driver.Stop(t.Context(), handle, spec.Stop{Signal: int(syscall.SIGTERM), GraceSeconds: 1})
	if err != nil || exit.Signal != syscall.SIGKILL || exit.Code != 137 || exit.OOM || exit.Lost {
		t.Errorf("got %+v, %v", exit, err)
	}
	Await(t, handle, "ignored 15")
}

func testSignal(t *testing.T, h Host) {
	handle := h.Start(t, "wait")
	Await(t, handle, "ready")
	if err := handle.Signal(t.Context(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	Await(t, handle, "got 10")
	for _, sig := range []syscall.Signal{0, -1, 64} {
		if err := handle.Signal(t.Context(), sig); err == nil {
			t.Errorf("signal %d was sent", int(sig))
		}
	}
	// A signal that could not be sent is not made up for by a stronger one.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := handle.Signal(ctx, syscall.SIGTERM); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := handle.Signal(t.Context(), syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if exit := Wait(t, handle); exit.Code != 0 {
		t.Errorf("it ended with %+v", exit)
	}
}

func testOnce(t *testing.T, h Host) {
	w, r := h.Prepare(t, "say", "once", "")
	h.Forget(t, w.ID)
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open().Start(t.Context(), w, r); !errors.Is(err, driver.ErrExists) {
		t.Errorf("while it runs: %v", err)
	}
	Wait(t, handle)
	if _, err := h.Open().Start(t.Context(), w, r); !errors.Is(err, driver.ErrExists) {
		t.Errorf("after its end: %v", err)
	}
	if got := Lines(t, handle, driver.Stdout); !slices.Equal(got, []string{"once"}) {
		t.Errorf("it said %q", got)
	}
}

func testInvalid(t *testing.T, h Host) {
	w, r := h.Prepare(t, "exit", "0")
	w.User.UID = 0
	if _, err := h.Open().Start(t.Context(), w, r); err == nil {
		h.Forget(t, w.ID)
		t.Error("root was started")
	}
	if _, err := h.Open().Recover(t.Context(), w.ID); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("it left a trace: %v", err)
	}
}

func testMissing(t *testing.T, h Host) {
	w, r := h.Prepare(t)
	w.Command = []string{"/no/such/program"}
	h.Forget(t, w.ID)
	if _, err := h.Open().Start(t.Context(), w, r); err == nil {
		t.Fatal("what does not exist was started")
	}
	handle, err := h.Open().Recover(t.Context(), w.ID)
	if errors.Is(err, driver.ErrNotFound) {
		return
	}
	if exit := Wait(t, handle); exit.Code == 0 {
		t.Errorf("it is said to have ended well: %+v", exit)
	}
}

func testRecover(t *testing.T, h Host) {
	id := h.Start(t, "wait").ID()
	handle, err := h.Open().Recover(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if handle.ID() != id {
		t.Errorf("found %s, want %s", handle.ID(), id)
	}
	Await(t, handle, "ready")
	exit, err := driver.Stop(t.Context(), handle, spec.Stop{Signal: int(syscall.SIGTERM), GraceSeconds: 60})
	if err != nil || exit.Code != 0 || exit.Lost {
		t.Errorf("got %+v, %v", exit, err)
	}
}

func testUnseen(t *testing.T, h Host) {
	w, r := h.Prepare(t, "exit", "7")
	h.Forget(t, w.ID)
	if _, err := h.Open().Start(t.Context(), w, r); err != nil {
		t.Fatal(err)
	}
	handle, err := h.Open().Recover(t.Context(), w.ID)
	if err != nil {
		t.Fatal(err)
	}
	if exit := Wait(t, handle); exit.Code != 7 || exit.Lost {
		t.Errorf("got %+v", exit)
	}
}

func testGiveUpStart(t *testing.T, h Host) {
	w, r := h.Prepare(t, "stubborn")
	h.Forget(t, w.ID)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Open().Start(ctx, w, r); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if handle, err := h.Open().Recover(t.Context(), w.ID); err == nil {
		if exit := Wait(t, handle); exit.Code == 0 {
			t.Errorf("it ended with %+v", exit)
		}
	} else if !errors.Is(err, driver.ErrNotFound) {
		t.Error(err)
	}
}

func testList(t *testing.T, h Host) {
	want := []string{h.Start(t, "exit", "0").ID(), h.Start(t, "wait").ID()}
	slices.Sort(want)
	got, err := h.Open().List(t.Context())
	if err != nil || !slices.IsSorted(got) {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, id := range want {
		if !slices.Contains(got, id) {
			t.Errorf("%s is not listed", id)
		}
	}
}

func testRemove(t *testing.T, h Host) {
	handle := h.Start(t, "stubborn")
	Await(t, handle, "ready")
	for range 2 {
		if err := h.Open().Remove(t.Context(), handle.ID()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Open().Recover(t.Context(), handle.ID()); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Recover: %v", err)
	}
	if _, err := handle.Wait(t.Context()); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Wait: %v", err)
	}
	if ids, err := h.Open().List(t.Context()); err != nil || slices.Contains(ids, handle.ID()) {
		t.Errorf("List: %q, %v", ids, err)
	}
}

func testUnknown(t *testing.T, h Host) {
	for _, id := range []string{spec.NewID(), "", "../../etc", strings.Repeat("a", 300)} {
		if _, err := h.Open().Recover(t.Context(), id); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("Recover(%.20q): %v", id, err)
		}
		if err := h.Open().Remove(t.Context(), id); err != nil {
			t.Errorf("Remove(%.20q): %v", id, err)
		}
	}
}

func testMemory(t *testing.T, h Host) {
	handle := h.Start(t, "eat")
	exit := Wait(t, handle)
	if !exit.OOM || exit.Signal != syscall.SIGKILL || exit.Code != 137 || exit.Lost {
		t.Errorf("got %+v", exit)
	}
	if got := Lines(t, handle, driver.Stdout); !slices.Equal(got, []string{"eating"}) {
		t.Errorf("it said %q", got)
	}
}

func testGiveUp(t *testing.T, h Host) {
	handle := h.Start(t, "wait")
	ctx, cancel := context.WithCancel(t.Context())
	Await(t, handle, "ready")
	cancel()
	if _, err := handle.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	var got error
	for _, err := range handle.Logs(ctx, 0) {
		got = err
	}
	if !errors.Is(got, context.Canceled) {
		t.Errorf("Logs: %v", got)
	}
}
