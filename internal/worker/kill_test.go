package worker_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/host"
)

// unpack reads an archive: files by name with their content, directories by name
// and slash.
func unpack(t testing.TB, r io.Reader) map[string]string {
	t.Helper()
	packed, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(packed); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir || h.Uid != 0 || h.Gid != 0 || h.Linkname != "" {
			t.Errorf("a strange header: %+v", h)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
	}
	if _, err := io.Copy(io.Discard, packed); err != nil {
		t.Fatal(err)
	}
	return files
}

func TestJob(t *testing.T) {
	m := newMachine(t)
	img, err := m.Image(t.Context(), "job")
	if err != nil || img.Digest != m.image || img.User.UID == 0 {
		t.Fatalf("got %+v, %v", img, err)
	}
	id := m.run(m.job("train", "5"))
	s := m.eventually(id, exited)
	if s.Exit.Code != 5 || s.Exit.Lost {
		t.Errorf("got %+v, it said %q", s, m.said(id))
	}
	if got := m.said(id); got != "trained\n" {
		t.Errorf("it said %q", got)
	}
	want := map[string]string{"runs": "run\n", "deep/": "", "deep/er/": "", "deep/er/weights": "1,2,3\n"}
	if got := m.archived(id, "model"); !maps.Equal(got, want) {
		t.Errorf("the model is %q", got)
	}
	if got, err := m.ReadFile(t.Context(), id, "output/failure", 4); err != nil || string(got) != "none" {
		t.Errorf("the failure is %q, %v", got, err)
	}
}

// A job outlives its host, and is neither lost nor run twice.
func TestHostKilledWhileItRuns(t *testing.T) {
	m := newMachine(t)
	id := m.run(m.job("train", "wait", "7"))
	m.says(id, "ready")
	m.kill()
	if _, err := m.State(t.Context(), id); !errors.Is(err, host.ErrUnavailable) {
		t.Errorf("without a host: %v", err)
	}
	m.start()
	if s, err := m.State(t.Context(), id); err != nil || s.Phase != host.Running {
		t.Fatalf("got %+v, %v", s, err)
	}
	if err := m.Start(t.Context(), id); !errors.Is(err, host.ErrExists) {
		t.Errorf("it was started again: %v", err)
	}
	if err := m.Stop(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if s := m.eventually(id, exited); s.Exit.Code != 7 || !s.Stopped || s.Exit.Lost {
		t.Errorf("got %+v", s)
	}
	if got := m.said(id); got != "trained\nready\nstopped\n" {
		t.Errorf("it said %q", got)
	}
	if runs := m.archived(id, "model")["runs"]; runs != "run\n" {
		t.Errorf("it ran %d times", strings.Count(runs, "run"))
	}
}

// A job that ends while no host runs is reported by the next one.
func TestJobEndsWhileTheHostIsDown(t *testing.T) {
	m := newMachine(t)
	id := m.run(m.job("train", "6"))
	m.kill()
	m.start()
	if s := m.eventually(id, exited); s.Exit.Code != 6 || s.Exit.Lost || s.Exit.Started.IsZero() {
		t.Errorf("got %+v", s)
	}
	if runs := m.archived(id, "model")["runs"]; runs != "run\n" {
		t.Errorf("it ran %d times", strings.Count(runs, "run"))
	}
}

// Between the order and the start nothing is in memory only.
func TestHostKilledBeforeTheStart(t *testing.T) {
	m := newMachine(t)
	o := m.job("train", "2")
	if err := m.Prepare(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	m.kill()
	m.start()
	if err := m.Put(t.Context(), o.Spec.ID, "input/data/train/set.csv", strings.NewReader("4\n")); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context(), o.Spec.ID); err != nil {
		t.Fatal(err)
	}
	if s := m.eventually(o.Spec.ID, exited); s.Exit.Code != 2 {
		t.Errorf("got %+v", s)
	}
}

func TestJobLocked(t *testing.T) {
	m := newMachine(t)
	id := m.run(m.job("train", "wait"))
	m.says(id, "ready")
	m.kill()
	m.start()
	if err := m.Lock(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if s, err := m.State(t.Context(), id); err != nil || s.Phase != host.Locked || s.Exit == nil {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := m.Archive(t.Context(), id, "model"); !errors.Is(err, host.ErrPhase) {
		t.Errorf("its model: %v", err)
	}
	if err := m.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// What a job leaves behind leads nowhere.
func TestJobLeavesTraps(t *testing.T) {
	m := newMachine(t)
	id := m.run(m.job("train", "traps", "0"))
	if s := m.eventually(id, exited); s.Exit.Code != 0 {
		t.Fatalf("got %+v, it said %q", s, m.said(id))
	}
	got := slices.Sorted(maps.Keys(m.archived(id, "model")))
	if want := []string{"deep/", "deep/er/", "deep/er/weights", "runs"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got, err := m.ReadFile(t.Context(), id, "output/failure", 100); !errors.Is(err, host.ErrNotFound) {
		t.Errorf("through a link: %q, %v", got, err)
	}
	for _, dir := range []string{"model/self", "model/up", "model/proc", "model/missing", "model/runs", ".bawn", ".bawn.spec", "..", ".", "", "/etc", "model/../.bawn"} {
		if r, err := m.Archive(t.Context(), id, dir); err == nil {
			r.Close()
			t.Errorf("%q was archived", dir)
		}
	}
	for _, file := range []string{"model/pipe", "model/socket", "model/spec", "model/passwd", "model", ".bawn.spec", ".bawn/log", "../" + id + ".img", "/etc/passwd", ""} {
		if got, err := m.ReadFile(t.Context(), id, file, 100); err == nil {
			t.Errorf("%q was read: %q", file, got)
		}
	}
}
