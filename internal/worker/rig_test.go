package worker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/driver/fake"
	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/image"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/worker"
)

// rig is a machine whose worker can be restarted. Volumes and networks are real;
// workloads run in the fake driver.
type rig struct {
	*worker.Worker
	t      testing.TB
	dir    string
	prefix string
	image  image.Image
	host   *fake.Host
	log    *bytes.Buffer
}

var rigs atomic.Int32

// secret is in every environment, and must be nowhere else.
const secret = "s3cr3t-of-the-environment"

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{
		t: t, dir: t.TempDir(), prefix: fmt.Sprintf("w%d-%d", os.Getpid()%1000000, rigs.Add(1)),
		host: &fake.Host{Programs: map[string]fake.Program{"/probe": drivertest.Program}}, log: new(bytes.Buffer),
	}
	store, err := image.Open(filepath.Join(r.dir, "images"))
	if err != nil {
		t.Fatal(err)
	}
	rootfs := t.TempDir()
	if err := os.WriteFile(filepath.Join(rootfs, "probe"), []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r.image, err = store.Import(t.Context(), image.Directory(rootfs)); err != nil {
		t.Fatal(err)
	}
	if err := store.Tag("probe:1", r.image.Digest); err != nil {
		t.Fatal(err)
	}
	r.open()
	t.Cleanup(r.leaveNothing)
	return r
}

func (r *rig) open() {
	r.t.Helper()
	net, err := fabric.New(fabric.Config{StateDir: filepath.Join(r.dir, "net"), NamePrefix: r.prefix, Log: r.logger()})
	if err != nil {
		r.t.Fatal(err)
	}
	w, err := worker.Open(context.Background(), worker.Config{
		Dir: filepath.Join(r.dir, "host"), Images: filepath.Join(r.dir, "images"),
		Driver: r.host.Driver(), Fabric: net, Capabilities: host.Capabilities{Network: net.Missing()}, Log: r.logger(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Worker = w
}

func (r *rig) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r.log, nil)) }

// restart is what becomes of a host process that is stopped and started.
func (r *rig) restart() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

// leaveNothing removes everything that was made, and looks.
func (r *rig) leaveNothing() {
	states, err := r.States()
	if err != nil {
		r.t.Error(err)
	}
	for _, s := range states {
		if err := r.Remove(context.Background(), s.ID); err != nil {
			r.t.Error(err)
		}
	}
	vpcs, err := r.VPCs()
	if err != nil {
		r.t.Error(err)
	}
	for _, id := range vpcs {
		if err := r.RemoveVPC(context.Background(), id); err != nil {
			r.t.Error(err)
		}
	}
	transits, err := r.Transits()
	if err != nil {
		r.t.Error(err)
	}
	for _, id := range transits {
		if err := r.RemoveTransit(context.Background(), id); err != nil {
			r.t.Error(err)
		}
	}
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
	nothingLeft(r.t, r.dir)
}

// nothingLeft looks for mounts, volumes, records and namespaces below a directory.
func nothingLeft(t testing.TB, dir string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), dir) {
		t.Errorf("mounts were left: %s", mounts)
	}
	for _, kind := range []string{"host/volumes", "host/workloads", "host/vpcs", "host/sandboxes", "net"} {
		entries, err := os.ReadDir(filepath.Join(dir, kind))
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		for _, e := range entries {
			t.Errorf("%s/%s was left", kind, e.Name())
		}
	}
}

// order is a workload that runs the probe with args.
func (r *rig) order(args ...string) host.Order {
	s := drivertest.Workload("/probe", args...)
	s.Image.Digest = r.image.Digest
	s.Limits.DiskBytes = 24 << 20
	s.Env["SECRET"] = secret
	s.Mounts = []spec.Mount{{Source: "model", Target: "/opt/ml/model"}}
	return host.Order{Spec: s, Key: bytes.Repeat([]byte{7}, 32)}
}

func (r *rig) prepare(o host.Order) string {
	r.t.Helper()
	if err := r.Prepare(context.Background(), o); err != nil {
		r.t.Fatal(err)
	}
	return o.Spec.ID
}

// run starts a workload.
func (r *rig) run(args ...string) string {
	r.t.Helper()
	id := r.prepare(r.order(args...))
	if err := r.Start(context.Background(), id); err != nil {
		r.t.Fatal(err)
	}
	return id
}

// eventually waits for a state that must come; the test's own deadline bounds it.
func (r *rig) eventually(id string, want func(host.State) bool) host.State {
	r.t.Helper()
	return eventually(r.t, func() (host.State, error) { return r.State(id) }, want)
}

func eventually(t testing.TB, ask func() (host.State, error), want func(host.State) bool) host.State {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	hope := time.After(time.Minute)
	for {
		s, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		if want(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-hope:
			t.Fatalf("it stays %+v", s)
		}
	}
}

func exited(s host.State) bool { return s.Phase == host.Exited }

// says waits until the workload has said a line.
func (r *rig) says(id, text string) {
	r.t.Helper()
	r.eventually(id, func(host.State) bool {
		lines, err := r.Logs(context.Background(), id, 0, 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, l := range lines.Lines {
			if l.Text == text {
				return true
			}
		}
		return false
	})
}

// inVolume is where the workload's own view of its volume lies on the host.
func (r *rig) inVolume(id, name string) string {
	return filepath.Join(r.dir, "host", "volumes", id, "sealed", name)
}

// record changes what is written down of a workload, while no worker runs.
func (r *rig) edit(id, old, new string) {
	r.t.Helper()
	file := filepath.Join(r.dir, "host", "workloads", id+".json")
	data, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		r.t.Fatalf("no %s in %s", old, data)
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte(old), []byte(new), 1), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// openAgain opens a second worker on a rig's directory.
func openAgain(r *rig) error {
	net, err := fabric.New(fabric.Config{StateDir: filepath.Join(r.dir, "net"), NamePrefix: r.prefix, Log: r.logger()})
	if err != nil {
		return err
	}
	w, err := worker.Open(context.Background(), worker.Config{
		Dir: filepath.Join(r.dir, "host"), Images: filepath.Join(r.dir, "images"), Driver: r.host.Driver(), Fabric: net, Log: r.logger(),
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// forget deletes a file of the worker's, while none runs.
func (r *rig) forget(name string) {
	r.t.Helper()
	if err := os.Remove(filepath.Join(r.dir, "host", name)); err != nil {
		r.t.Fatal(err)
	}
}
