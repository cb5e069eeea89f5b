package oci_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/driver/oci"
	"bawn.dev/internal/spec"
)

// starterArg makes the test binary a process that starts one workload, says
// so, and stays until it is killed: `bawn host` in small.
const starterArg = "starter-for-tests"

type order struct {
	Runsc, State string
	Workload     spec.Workload
	Resources    driver.Resources
}

func starter() error {
	var o order
	if err := json.UnmarshalRead(os.Stdin, &o); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	d, err := oci.New(oci.Config{Runsc: o.Runsc, State: o.State, Shim: []string{self, shimArg}})
	if err != nil {
		return err
	}
	if _, err := d.Start(context.Background(), o.Workload, o.Resources); err != nil {
		return err
	}
	os.Stdout.WriteString("started\n")
	select {}
}

// startAndDie starts a workload in a process of its own, which is killed.
func startAndDie(t *testing.T, h drivertest.Host, state string, args ...string) (spec.Workload, driver.Resources) {
	t.Helper()
	w, r := h.Prepare(t, args...)
	h.Forget(t, w.ID)
	in, err := json.Marshal(order{runsc, state, w, r})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, starterArg)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err := errors.Join(err, cmd.Process.Kill()); err != nil || said != "started\n" {
		t.Fatalf("%q, %v", said, err)
	}
	_ = cmd.Wait() // killed, as it should be
	return w, r
}

func TestWorkloadOutlivesItsStarter(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	h := machineAt(t, state)
	w, r := startAndDie(t, h, state, "wait")
	d := h.Open()
	if ids, err := d.List(t.Context()); err != nil || len(ids) != 1 || ids[0] != w.ID {
		t.Fatalf("found %q, %v", ids, err)
	}
	handle, err := d.Recover(t.Context(), w.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(t.Context(), w, r); !errors.Is(err, driver.ErrExists) {
		t.Errorf("it was started again: %v", err)
	}
	drivertest.Await(t, handle, "ready")
	exit, err := driver.Stop(t.Context(), handle, w.Stop)
	if err != nil || exit.Lost || exit.Code != 0 {
		t.Errorf("got %+v, %v", exit, err)
	}
	if got := drivertest.Lines(t, handle); len(got) != 2 || got[0] != "ready" || got[1] != "got 15" {
		t.Errorf("it said %q", got)
	}
}

// Who dies while he starts a workload, before anything of it runs, has started none:
// it can be started again, on the same volume.
func TestWorkloadThatWasNeverBorn(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	h := machineAt(t, state)
	w, r := h.Prepare(t, "wait")
	h.Forget(t, w.ID)
	stillborn, err := oci.New(oci.Config{Runsc: runsc, State: state, Shim: []string{"/bin/false"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stillborn.Start(t.Context(), w, r); err == nil {
		t.Fatal("it started without a shim")
	}
	d := h.Open()
	if _, err := d.Recover(t.Context(), w.ID); !errors.Is(err, driver.ErrNotFound) {
		t.Fatalf("what never ran was found: %v", err)
	}
	handle, err := d.Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.Recover(t.Context(), w.ID); err != nil || again.ID() != w.ID {
		t.Errorf("what runs was not found: %v", err)
	}
	drivertest.Await(t, handle, "ready")
	if exit, err := driver.Stop(t.Context(), handle, w.Stop); err != nil || exit.Lost || exit.Code != 0 {
		t.Errorf("got %+v, %v", exit, err)
	}
}

func TestWorkloadEndsWhileNobodyIsThere(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	h := machineAt(t, state)
	w, _ := startAndDie(t, h, state, "exit", "9")
	handle, err := h.Open().Recover(t.Context(), w.ID)
	if err != nil {
		t.Fatal(err)
	}
	if exit := drivertest.Wait(t, handle); exit.Code != 9 || exit.Lost || exit.Started.IsZero() {
		t.Errorf("got %+v", exit)
	}
}

// Who kills the shim does not set the workload free.
func TestShimKilled(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	h := machineAt(t, state)
	handle := h.Start(t, "stubborn")
	if err := syscall.Kill(shimOf(t, state, handle.ID()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exit := drivertest.Wait(t, handle)
	if !exit.Lost || exit.Code == 0 {
		t.Errorf("got %+v", exit)
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/bawn-" + handle.ID())
	if err != nil || len(groups) != 0 {
		t.Errorf("its control groups are still there: %q, %v", groups, err)
	}
	if err := handle.Signal(t.Context(), syscall.SIGTERM); !errors.Is(err, driver.ErrEnded) {
		t.Errorf("a signal to the lost: %v", err)
	}
	if again := drivertest.Wait(t, handle); !again.Finished.Equal(exit.Finished) {
		t.Errorf("a second Wait says %+v", again)
	}
}

// The signals that a service manager sends to everything do not reach a
// workload.
func TestShimIgnoresTheTerminal(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	h := machineAt(t, state)
	handle := h.Start(t, "wait")
	drivertest.Await(t, handle, "ready")
	pid := shimOf(t, state, handle.ID())
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	exit, err := driver.Stop(t.Context(), handle, spec.Stop{Signal: int(syscall.SIGTERM), GraceSeconds: 60})
	if err != nil || exit.Code != 0 || exit.Lost {
		t.Errorf("got %+v, %v", exit, err)
	}
}

// shimOf finds the process that holds a workload's lock.
func shimOf(t *testing.T, state, id string) int {
	t.Helper()
	fds, err := filepath.Glob("/proc/[0-9]*/fd/3")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && target == filepath.Join(state, id, "lock") {
			var pid int
			if _, err := fmt.Sscanf(strings.TrimPrefix(fd, "/proc/"), "%d", &pid); err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("nobody keeps the workload")
	return 0
}

// Of what may have run something is kept: a start that was interrupted so late leaves
// something that is reported as lost, and removed.
func TestInterruptedStart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	h := machineAt(t, state)
	d := h.Open()
	id := spec.NewID()
	h.Forget(t, id)
	if err := os.Mkdir(filepath.Join(state, id), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"lock": "", "born": "true"} {
		if err := os.WriteFile(filepath.Join(state, id, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	handle, err := d.Recover(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if exit := drivertest.Wait(t, handle); !exit.Lost || exit.Code == 0 {
		t.Errorf("got %+v", exit)
	}
}

// A process that is killed while it makes a state directory leaves nothing for long.
func TestHalfMadeStateIsSwept(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	if err := os.MkdirAll(filepath.Join(state, ".new-123"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := oci.New(oci.Config{Runsc: runsc, State: state, Shim: []string{"/bin/false"}}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(state); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
