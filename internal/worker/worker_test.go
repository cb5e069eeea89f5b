package worker_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bawn.dev/internal/host"
	"bawn.dev/internal/spec"
)

func TestLifeOfAWorkload(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	id := r.prepare(r.order("say", "hello", "oh"))
	if s, err := r.State(id); err != nil || s.Phase != host.Prepared || s.Exit != nil {
		t.Fatalf("got %+v, %v", s, err)
	}
	if err := r.Put(ctx, id, "input/data/train/set.csv", strings.NewReader("a,b\n")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"input", "input/data/train", "input/data/train/set.csv"} {
		info, err := os.Lstat(r.inVolume(id, name))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 1000 || st.Gid != 1000 || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v of %d:%d", name, info.Mode(), st.Uid, st.Gid)
		}
	}
	if _, err := r.ReadFile(ctx, id, "input/data/train/set.csv", 10); !errors.Is(err, host.ErrPhase) {
		t.Errorf("read before the end: %v", err)
	}
	if err := r.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	s := r.eventually(id, exited)
	if s.Exit.Code != 0 || s.TimedOut || s.Stopped || s.Started.IsZero() {
		t.Errorf("got %+v", s)
	}
	lines, err := r.Logs(ctx, id, 0, 100)
	if err != nil || len(lines.Lines) != 2 || !lines.End {
		t.Fatalf("got %+v, %v", lines, err)
	}
	if again, err := r.Logs(ctx, id, lines.Next, 100); err != nil || len(again.Lines) != 0 || !again.End {
		t.Errorf("after the end: %+v, %v", again, err)
	}
	first, err := r.Logs(ctx, id, 0, 1)
	if err != nil || len(first.Lines) != 1 || first.End || first.Next != first.Lines[0].Next {
		t.Errorf("the first line: %+v, %v", first, err)
	}
	if got, err := r.ReadFile(ctx, id, "input/data/train/set.csv", 3); err != nil || string(got) != "a,b" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := r.Stop(ctx, id); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
	for range 2 {
		if err := r.Remove(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.State(id); !errors.Is(err, host.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	nothingLeft(t, filepath.Join(r.dir, "host"))
}

func TestRunsOnce(t *testing.T) {
	r := newRig(t)
	id := r.run("wait")
	if err := r.Start(t.Context(), id); !errors.Is(err, host.ErrExists) {
		t.Errorf("while it runs: %v", err)
	}
	if err := r.Prepare(t.Context(), host.Order{Spec: func() spec.Workload { s := r.order().Spec; s.ID = id; return s }(), Key: make([]byte, 32)}); !errors.Is(err, host.ErrExists) {
		t.Errorf("prepared again: %v", err)
	}
	r.says(id, "ready")
	if err := r.Stop(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if s := r.eventually(id, exited); !s.Stopped || s.TimedOut || s.Exit.Code != 0 {
		t.Errorf("got %+v", s)
	}
	r.restart()
	if err := r.Start(t.Context(), id); !errors.Is(err, host.ErrExists) {
		t.Errorf("after its end and a restart: %v", err)
	}
}

func TestFoundAgain(t *testing.T) {
	r := newRig(t)
	running, ended := r.run("wait"), r.run("exit", "9")
	prepared := r.prepare(r.order("exit", "3"))
	r.says(running, "ready")
	r.restart()
	if s, err := r.State(running); err != nil || s.Phase != host.Running {
		t.Errorf("the running one: %+v, %v", s, err)
	}
	if s := r.eventually(ended, exited); s.Exit.Code != 9 || s.Exit.Lost {
		t.Errorf("the one that ended: %+v", s)
	}
	if err := r.Put(t.Context(), prepared, "x", strings.NewReader("y")); err != nil {
		t.Error(err)
	}
	if err := r.Start(t.Context(), prepared); err != nil {
		t.Fatal(err)
	}
	if s := r.eventually(prepared, exited); s.Exit.Code != 3 {
		t.Errorf("the prepared one: %+v", s)
	}
	if err := r.Stop(t.Context(), running); err != nil {
		t.Fatal(err)
	}
	r.eventually(running, exited)
}

// The time that a workload has is counted from its start, not from the host's.
func TestTimeIsUpAcrossARestart(t *testing.T) {
	r := newRig(t)
	id := r.run("wait")
	r.says(id, "ready")
	s, err := r.State(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	stamp := s.Started.Format(time.RFC3339Nano)
	r.edit(id, stamp, s.Started.Add(-time.Hour).Format(time.RFC3339Nano))
	r.open()
	if s := r.eventually(id, exited); !s.TimedOut || s.Stopped || s.Exit.Code != 0 {
		t.Errorf("got %+v", s)
	}
}

// Who ignores the signal is killed, also by a worker that finds it in its grace.
func TestGraceAcrossARestart(t *testing.T) {
	r := newRig(t)
	id := r.run("stubborn")
	r.says(id, "ready")
	if err := r.Stop(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.says(id, "ignored 15")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.edit(id, `"graceSeconds":60`, `"graceSeconds":0`)
	r.open()
	if s := r.eventually(id, exited); !s.Stopped || s.Exit.Signal != syscall.SIGKILL {
		t.Errorf("got %+v", s)
	}
}

func TestMaxRuntime(t *testing.T) {
	r := newRig(t)
	o := r.order("wait")
	o.Spec.Limits.MaxRuntimeSeconds = 1
	id := r.prepare(o)
	if err := r.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s := r.eventually(id, exited)
	if !s.TimedOut || s.Exit.Finished.Sub(s.Started) < time.Second {
		t.Errorf("got %+v", s)
	}
}

func TestMachineRestarted(t *testing.T) {
	r := newRig(t)
	id := r.run("wait")
	r.host.Crash()
	if s := r.eventually(id, exited); !s.Exit.Lost {
		t.Errorf("got %+v", s)
	}
}

// A start that the driver never heard of may be made again; one that it did hear of
// is never.
func TestKilledBeforeTheDriverKnew(t *testing.T) {
	r := newRig(t)
	id := r.prepare(r.order("exit", "4"))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.edit(id, `"phase":"prepared"`, `"phase":"prepared","starting":true`)
	r.open()
	if s, err := r.State(id); err != nil || s.Phase != host.Prepared {
		t.Fatalf("got %+v, %v", s, err)
	}
	if err := r.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.eventually(id, exited)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.edit(id, `"phase":"exited"`, `"phase":"prepared","starting":true`)
	r.open()
	if s := r.eventually(id, exited); s.Exit.Code != 4 {
		t.Errorf("got %+v", s)
	}
}

func TestStartFails(t *testing.T) {
	r := newRig(t)
	o := r.order()
	o.Spec.Command = []string{"/missing"}
	id := r.prepare(o)
	if err := r.Start(t.Context(), id); err == nil {
		t.Error("it started")
	}
	if s, err := r.State(id); err != nil || s.Phase != host.Exited || s.Exit.Reason == "" || s.Exit.Code == 0 {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := r.Start(t.Context(), id); !errors.Is(err, host.ErrExists) {
		t.Errorf("a second start: %v", err)
	}
}

func TestLock(t *testing.T) {
	r := newRig(t)
	id := r.prepare(r.order("stubborn"))
	if err := r.Put(t.Context(), id, "model/weights", strings.NewReader("weights")); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Lock(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	s, err := r.State(id)
	if err != nil || s.Phase != host.Locked || s.Exit == nil || s.Exit.Signal != syscall.SIGKILL {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := os.ReadFile(r.inVolume(id, "model/weights")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it can still be read: %v", err)
	}
	locked := map[string]error{
		"Archive": r.Archive(t.Context(), id, "model", new(bytes.Buffer)),
		"Put":     r.Put(t.Context(), id, "x", strings.NewReader("x")),
		"Start":   r.Start(t.Context(), id),
	}
	_, locked["ReadFile"] = r.ReadFile(t.Context(), id, "model/weights", 10)
	_, locked["Logs"] = r.Logs(t.Context(), id, 0, 10)
	for name, err := range locked {
		if !errors.Is(err, host.ErrPhase) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.restart()
	if s, err := r.State(id); err != nil || s.Phase != host.Locked {
		t.Errorf("after a restart: %+v, %v", s, err)
	}
}

// A worker that did not open a volume itself locks it all the same, and one that
// was interrupted finishes.
func TestLockAcrossARestart(t *testing.T) {
	r := newRig(t)
	found, interrupted := r.run("wait"), r.run("wait")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.edit(interrupted, `"phase":"running"`, `"phase":"running","locking":true`)
	r.open()
	if err := r.Lock(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{found, interrupted} {
		if s, err := r.State(id); err != nil || s.Phase != host.Locked || s.Exit == nil {
			t.Errorf("got %+v, %v", s, err)
		}
		if _, err := os.Lstat(r.inVolume(id, "")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is still open: %v", err)
		}
	}
}

// A slow upload does not keep a volume from being locked.
func TestLockDuringPut(t *testing.T) {
	r := newRig(t)
	id := r.prepare(r.order("wait"))
	source := &stalled{reached: make(chan struct{}), go_on: make(chan struct{})}
	done := make(chan error)
	go func() { done <- r.Put(context.Background(), id, "big", source) }()
	<-source.reached
	if err := r.Start(t.Context(), id); !errors.Is(err, host.ErrPhase) {
		t.Errorf("it started on half of a file: %v", err)
	}
	if err := r.Lock(t.Context(), id); err != nil {
		t.Error(err)
	}
	close(source.go_on)
	if err := <-done; !errors.Is(err, host.ErrPhase) {
		t.Errorf("got %v", err)
	}
}

// stalled gives some bytes, and more only when it is told to.
type stalled struct{ reached, go_on chan struct{} }

func (s *stalled) Read(p []byte) (int, error) {
	select {
	case <-s.reached:
		<-s.go_on
	default:
		close(s.reached)
	}
	return copy(p, "bytes"), nil
}

// What was being made when a worker was killed has no record, and goes.
func TestSweep(t *testing.T) {
	r := newRig(t)
	running, prepared := r.run("wait"), r.prepare(r.order("wait"))
	removing := r.run("wait")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{running, prepared} {
		if err := os.Remove(filepath.Join(r.dir, "host/workloads", id+".json")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "host/workloads/.new-123"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.edit(removing, `"phase":"running"`, `"phase":"running","removing":true`)
	r.open()
	if s, err := r.States(); err != nil || len(s) != 0 {
		t.Errorf("got %+v, %v", s, err)
	}
	if ids, err := r.host.Driver().List(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("still run: %q, %v", ids, err)
	}
	nothingLeft(t, r.dir)
}

func TestTwoWorkersNeverShare(t *testing.T) {
	r := newRig(t)
	before := r.Worker
	defer func() { r.Worker = before }()
	if err := openAgain(r); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("got %v", err)
	}
}

// What lies on the host's disk tells nothing of what was ordered in confidence.
func TestNoSecretIsWrittenDown(t *testing.T) {
	r := newRig(t)
	id := r.run("wait")
	r.says(id, "ready")
	err := filepath.WalkDir(r.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if p == filepath.Join(r.dir, "host", "volumes", id) {
				return fs.SkipDir // the open volume; its image is beside it
			}
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil || p == filepath.Join(r.dir, "net") {
			return err
		}
		for _, s := range []string{secret, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", strings.Repeat("\x07", 32)} {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds a secret", p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRefusedOrders(t *testing.T) {
	r := newRig(t)
	for name, break_ := range map[string]func(*host.Order){
		"root":            func(o *host.Order) { o.Spec.User.UID = 0 },
		"a short key":     func(o *host.Order) { o.Key = o.Key[:31] },
		"no key":          func(o *host.Order) { o.Key = nil },
		"our own files":   func(o *host.Order) { o.Spec.Mounts[0].Source = ".bawn.spec" },
		"driver's files":  func(o *host.Order) { o.Spec.Mounts[0].Source = ".bawn" },
		"a path upwards":  func(o *host.Order) { o.Spec.Mounts[0].Source = "../x" },
		"an id as a path": func(o *host.Order) { o.Spec.ID = "../../../../../../etc/shado" },
	} {
		o := r.order("wait")
		break_(&o)
		if err := r.Prepare(t.Context(), o); !errors.Is(err, host.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := r.order("wait")
	o.Spec.Image.Digest = "sha256:" + strings.Repeat("0", 64)
	if err := r.Prepare(t.Context(), o); !errors.Is(err, host.ErrNotFound) {
		t.Errorf("an image that is not here: %v", err)
	}
	nothingLeft(t, r.dir)
}

// When the disk is too small nothing remains.
func TestPrepareFails(t *testing.T) {
	r := newRig(t)
	o := r.order("wait")
	o.Spec.Limits.DiskBytes = 1 << 45
	if err := r.Prepare(t.Context(), o); err == nil {
		t.Fatal("32 TiB were found")
	}
	nothingLeft(t, r.dir)
	o.Spec.Limits.DiskBytes = 24 << 20
	r.prepare(o)
}
