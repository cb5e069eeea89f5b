package worker_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/host"
)

// The server drives a job to its end whatever becomes of the host meanwhile, by
// asking again. However often it asks, the job runs at most once; and once, unless
// it was killed in the very moment of starting, which is then said.
func TestHostKilledAnywhere(t *testing.T) {
	m := newMachine(t)
	for step := range 8 {
		o := m.job("train", "4")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.pursue(ctx, o)
		}()
		<-time.After(time.Duration(step) * 45 * time.Millisecond) // any moment will do
		m.kill()
		cancel()
		<-done
		m.start()
		for !m.pursue(t.Context(), o) {
			t.Log("asking again")
		}
		s, err := m.State(t.Context(), o.Spec.ID)
		if err != nil {
			t.Fatal(err)
		}
		if s.Exit.Lost {
			t.Logf("killed after %d ms, it was lost while it started", step*45)
			continue
		}
		runs, err := m.ReadFile(t.Context(), o.Spec.ID, "model/runs", 100)
		if err != nil || string(runs) != "run\n" || s.Exit.Code != 4 {
			t.Errorf("killed after %d ms: %+v, runs %q, %v", step*45, s, runs, err)
		}
	}
}

// pursue is a reconciler in small: it reports whether the job has ended.
func (m *machine) pursue(ctx context.Context, o host.Order) bool {
	id := o.Spec.ID
	if err := m.Prepare(ctx, o); err != nil && !errors.Is(err, host.ErrExists) {
		return m.forgiven(ctx, err)
	}
	if err := m.Put(ctx, id, "input/data/train/set.csv", strings.NewReader("1\n")); err != nil && !errors.Is(err, host.ErrPhase) {
		return m.forgiven(ctx, err)
	}
	if err := m.Start(ctx, id); err != nil && !errors.Is(err, host.ErrExists) {
		return m.forgiven(ctx, err)
	}
	for ctx.Err() == nil {
		s, err := m.State(ctx, id)
		if err != nil {
			return m.forgiven(ctx, err)
		}
		if s.Phase == host.Exited {
			return true
		}
	}
	return false
}

// forgiven is false: while the host is being killed any error may come, and after
// it none.
func (m *machine) forgiven(ctx context.Context, err error) bool {
	if ctx == m.t.Context() {
		m.t.Fatal(err)
	}
	return false
}

// No byte of a job's data, log or environment is on the host's disk in clear, in
// any spelling.
func TestNothingInClear(t *testing.T) {
	m := newMachine(t)
	const data = "patient-4711-has-a-malignant-tumour"
	o := m.job("train", "wait", "0")
	if err := m.Prepare(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := m.Put(t.Context(), o.Spec.ID, "input/data/train/set.csv", strings.NewReader(strings.Repeat(data+"\n", 1000))); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context(), o.Spec.ID); err != nil {
		t.Fatal(err)
	}
	m.says(o.Spec.ID, "ready")
	if found := m.search(data, secret, "trained\n", string(o.Key)); len(found) > 0 {
		t.Errorf("while it runs: %q", found)
	}
	if err := m.Stop(t.Context(), o.Spec.ID); err != nil {
		t.Fatal(err)
	}
	m.eventually(o.Spec.ID, exited)
	if found := m.search(data, secret, "trained\n", string(o.Key)); len(found) > 0 {
		t.Errorf("after its end: %q", found)
	}
	// And it would have been found.
	canary := filepath.Join(m.dir, "host", "canary")
	if err := os.WriteFile(canary, []byte("x"+hex.EncodeToString([]byte(data))), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := m.search(data); len(found) != 1 || found[0] != canary {
		t.Errorf("the canary: %q", found)
	}
}

// search looks through every file below the machine's directory but the inside of
// open volumes, whose images it does look through, and returns those that hold a
// needle.
func (m *machine) search(needles ...string) (found []string) {
	m.t.Helper()
	unix.Sync()
	var spellings [][]byte
	for _, n := range needles {
		spellings = append(spellings, []byte(n), []byte(hex.EncodeToString([]byte(n))), []byte(base64.StdEncoding.EncodeToString([]byte(n))[:len(n)]))
	}
	err := filepath.WalkDir(m.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			for _, open := range []string{"host/volumes/*", "host/sandboxes/*/root", "images", "net"} {
				if is, err := filepath.Match(filepath.Join(m.dir, open), p); err != nil {
					return err
				} else if is {
					return fs.SkipDir
				}
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(p)
		if slices.ContainsFunc(spellings, func(s []byte) bool { return bytes.Contains(content, s) }) {
			found = append(found, p)
		}
		return err
	})
	if err != nil {
		m.t.Error(err)
	}
	return found
}
