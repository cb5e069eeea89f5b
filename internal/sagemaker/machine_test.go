package sagemaker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/driver/fake"
	"bawn.dev/internal/ec2"
	"bawn.dev/internal/host"
	"bawn.dev/internal/image"
	"bawn.dev/internal/spec"
)

const (
	testImage  = "registry.test/sample:1"
	testDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// A program runs with the directory that is its volume.
type program func(p drivertest.Process, volume string) int

// machine is a host in memory: workloads are goroutines and volumes directories,
// and the rules of phases are those of package host.
type machine struct {
	t    testing.TB
	dir  string
	fake fake.Host
	can  host.Capabilities

	mu        sync.Mutex
	orders    map[string]*ordering
	starts    map[string]int // by job name: never more than one
	removed   map[string]bool
	locked    map[string]bool
	prepares  int
	lastOrder host.Order
}

type ordering struct {
	host.Order
	phase             host.Phase
	stopped, timedOut bool
}

func newMachine(t testing.TB, programs map[string]program) *machine {
	m := &machine{
		t: t, dir: t.TempDir(), can: host.Capabilities{Isolated: true}, orders: map[string]*ordering{},
		starts: map[string]int{}, removed: map[string]bool{}, locked: map[string]bool{},
	}
	m.fake.Programs = map[string]fake.Program{}
	for name, run := range programs {
		m.fake.Programs[name] = func(p drivertest.Process) int { return run(p, m.volume(variable(p, "BAWN_TEST_ID"))) }
	}
	return m
}

func variable(p drivertest.Process, name string) string {
	for _, pair := range p.Env {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

func (m *machine) volume(id string) string { return filepath.Join(m.dir, id) }

func (m *machine) Capabilities(context.Context) (host.Capabilities, error) { return m.can, nil }

func (m *machine) Image(_ context.Context, ref string) (host.Image, error) {
	if ref != testImage {
		return host.Image{}, host.ErrNotFound
	}
	return host.Image{
		Digest: testDigest, User: spec.User{UID: 1000, GID: 1000},
		Config: image.Config{Env: []string{"PATH=/bin", "FROM=image"}, Entrypoint: []string{"program"}, WorkingDir: "/work"},
	}, nil
}

func (m *machine) Prepare(_ context.Context, o host.Order) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := o.Spec.Validate(); err != nil {
		return errors.Join(host.ErrInvalid, err)
	}
	if len(o.Key) != 32 || bytes.Equal(o.Key, make([]byte, 32)) {
		return host.ErrInvalid
	}
	if m.orders[o.Spec.ID] != nil {
		return host.ErrExists
	}
	m.prepares++
	m.lastOrder = o
	m.lastOrder.Key = bytes.Clone(o.Key)
	o.Key = nil
	m.orders[o.Spec.ID] = &ordering{Order: o, phase: host.Prepared}
	for _, mount := range o.Spec.Mounts {
		if err := os.MkdirAll(filepath.Join(m.volume(o.Spec.ID), mount.Source), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) Put(_ context.Context, id, path string, r io.Reader) error {
	o := m.order(id)
	if o == nil {
		return host.ErrNotFound
	}
	if o.phase != host.Prepared {
		return host.ErrPhase
	}
	root, err := os.OpenRoot(m.volume(id))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return errors.Join(host.ErrInvalid, err)
	}
	f, err := root.Create(path)
	if err != nil {
		return errors.Join(host.ErrInvalid, err)
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

func (m *machine) Start(ctx context.Context, id string) error {
	o := m.order(id)
	if o == nil {
		return host.ErrNotFound
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.phase != host.Prepared {
		return host.ErrExists
	}
	s := o.Spec
	env := map[string]string{"BAWN_TEST_ID": id}
	for name, value := range s.Env {
		env[name] = value
	}
	s.Env = env
	netns := ""
	if s.Network.Mode == spec.VPC {
		netns = "/run/netns/test"
	}
	o.phase = host.Running
	m.starts[s.Env["TRAINING_JOB_NAME"]]++
	_, err := m.fake.Driver().Start(ctx, s, driver.Resources{NetNS: netns, Volume: m.volume(id)})
	return err
}

func (m *machine) handle(ctx context.Context, id string) (driver.Handle, error) {
	return m.fake.Driver().Recover(ctx, id)
}

func (m *machine) order(id string) *ordering {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.orders[id]
}

func (m *machine) Stop(ctx context.Context, id string) error {
	o := m.order(id)
	if o == nil {
		return host.ErrNotFound
	}
	m.mu.Lock()
	o.stopped = true
	m.mu.Unlock()
	return m.terminate(ctx, id)
}

func (m *machine) terminate(ctx context.Context, id string) error {
	h, err := m.handle(ctx, id)
	if err != nil {
		return err
	}
	err = h.Signal(ctx, 15)
	if errors.Is(err, driver.ErrEnded) {
		return nil
	}
	return err
}

// expire does what the host does at MaxRuntimeSeconds.
func (m *machine) expire(id string) {
	m.mu.Lock()
	m.orders[id].timedOut = true
	m.mu.Unlock()
	if err := m.terminate(m.t.Context(), id); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) State(ctx context.Context, id string) (host.State, error) {
	o := m.order(id)
	if o == nil {
		return host.State{}, host.ErrNotFound
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := host.State{ID: id, Phase: o.phase, Stopped: o.stopped, TimedOut: o.timedOut}
	if o.phase == host.Running {
		h, err := m.handle(ctx, id)
		if err != nil {
			return s, err
		}
		now, cancel := context.WithCancel(ctx)
		cancel()
		if exit, err := h.Wait(now); err == nil {
			o.phase = host.Exited
			s.Phase, s.Exit = host.Exited, &exit
		}
	} else if o.phase == host.Exited {
		h, err := m.handle(ctx, id)
		if err != nil {
			return s, err
		}
		exit, err := h.Wait(ctx)
		if err != nil {
			return s, err
		}
		s.Exit = &exit
	}
	return s, nil
}

func (m *machine) Logs(ctx context.Context, id string, from int64, max int) (host.Lines, error) {
	out := host.Lines{Next: from}
	state, err := m.State(ctx, id)
	if err != nil || state.Phase == host.Prepared {
		return out, err
	}
	if state.Phase == host.Locked {
		return out, host.ErrPhase
	}
	h, err := m.handle(ctx, id)
	if err != nil {
		return out, err
	}
	if state.Phase == host.Running {
		return out, nil // all in good time: what is there is read at the end
	}
	for line, err := range h.Logs(ctx, from) {
		if err != nil {
			return out, err
		}
		if len(out.Lines) == max {
			return out, nil
		}
		out.Lines, out.Next = append(out.Lines, line), line.Next
	}
	out.End = true
	return out, nil
}

func (m *machine) exited(ctx context.Context, id string) error {
	state, err := m.State(ctx, id)
	if err == nil && state.Phase != host.Exited {
		err = host.ErrPhase
	}
	return err
}

func (m *machine) Archive(ctx context.Context, id, dir string) (io.ReadCloser, error) {
	if err := m.exited(ctx, id); err != nil {
		return nil, err
	}
	root := filepath.Join(m.volume(id), dir)
	if _, err := os.Stat(root); err != nil {
		return nil, host.ErrNotFound
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.AddFS(os.DirFS(root)); err != nil {
		return nil, err
	}
	return io.NopCloser(&b), errors.Join(w.Close(), z.Close())
}

func (m *machine) ReadFile(ctx context.Context, id, path string, max int64) ([]byte, error) {
	if err := m.exited(ctx, id); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(m.volume(id), path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, host.ErrNotFound
	}
	return b[:min(int64(len(b)), max)], err
}

func (m *machine) Lock(ctx context.Context, id string) error {
	o := m.order(id)
	if o == nil {
		return host.ErrNotFound
	}
	m.mu.Lock()
	o.phase = host.Locked
	m.locked[o.Spec.Env["TRAINING_JOB_NAME"]] = true
	m.mu.Unlock()
	if h, err := m.handle(ctx, id); err == nil {
		if err := h.Signal(ctx, 9); err != nil && !errors.Is(err, driver.ErrEnded) {
			return err
		}
	}
	return nil
}

func (m *machine) Remove(ctx context.Context, id string) error {
	m.mu.Lock()
	if o := m.orders[id]; o != nil {
		m.removed[o.Spec.Env["TRAINING_JOB_NAME"]] = true
	}
	delete(m.orders, id)
	m.mu.Unlock()
	return errors.Join(m.fake.Driver().Remove(ctx, id), os.RemoveAll(m.volume(id)))
}

// restart is the machine's: what ran is gone, and nobody saw how.
func (m *machine) restart() { m.fake.Crash() }

// What a server connects must fit.
var (
	_ Machines = (*machine)(nil)
	_ Machines = (*host.Client)(nil)
	_ Network  = (*ec2.Service)(nil)
)
