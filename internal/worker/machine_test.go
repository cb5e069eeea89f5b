package worker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/driver/oci"
	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/image"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/worker"
)

// With one of these as its first argument the test binary is not a test.
const (
	hostArg = "host-for-tests" // `bawn host` in small
	shimArg = "shim-for-tests"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == shimArg {
		os.Exit(oci.ShimMain(nil))
	}
	if len(os.Args) > 1 && os.Args[1] == hostArg {
		if err := hostMain(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hostMain is what `bawn host` does.
func hostMain(dir, runsc, prefix string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	self, err := os.Executable()
	if err != nil {
		return err
	}
	d, err := oci.New(oci.Config{Runsc: runsc, State: filepath.Join(dir, "host", "sandboxes"), Shim: []string{self, shimArg}})
	if err != nil {
		return err
	}
	net, err := fabric.New(fabric.Config{StateDir: filepath.Join(dir, "net"), NamePrefix: prefix, Log: log})
	if err != nil {
		return err
	}
	w, err := worker.Open(ctx, worker.Config{
		Dir: filepath.Join(dir, "host"), Images: filepath.Join(dir, "images"), Driver: d, Fabric: net,
		Capabilities: host.Capabilities{Isolated: true}, Log: log,
	})
	if err != nil {
		return err
	}
	s, err := host.Listen(host.ServerConfig{Data: dir, User: 0, Machine: w, Log: log})
	if err != nil {
		return errors.Join(err, w.Close())
	}
	fmt.Println("ready")
	return errors.Join(s.Serve(ctx), w.Close())
}

// machine is a host in a process of its own, and a client of it.
type machine struct {
	*host.Client
	t          testing.TB
	dir, runsc string
	prefix     string
	image      string
	process    *exec.Cmd
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), runsc: findRunsc(t), prefix: fmt.Sprintf("m%d-%d", os.Getpid()%1000000, rigs.Add(1))}
	m.image = m.makeImage()
	if err := os.Mkdir(filepath.Join(m.dir, "host"), 0o700); err != nil {
		t.Fatal(err)
	}
	m.Client = host.NewClient(m.dir)
	m.start()
	t.Cleanup(func() {
		states, err := m.States(context.Background())
		if err != nil {
			t.Error(err)
		}
		for _, s := range states {
			if err := m.Remove(context.Background(), s.ID); err != nil {
				t.Error(err)
			}
		}
		vpcs, err := m.VPCs(context.Background())
		if err != nil {
			t.Error(err)
		}
		for _, id := range vpcs {
			if err := m.RemoveVPC(context.Background(), id); err != nil {
				t.Error(err)
			}
		}
		if err := errors.Join(m.process.Process.Signal(syscall.SIGTERM), m.process.Wait()); err != nil {
			t.Error(err)
		}
		nothingLeft(t, m.dir)
	})
	return m
}

// findRunsc takes the one that the tests are given, or that was built.
func findRunsc(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, candidate := range []string{os.Getenv("RUNSC"), filepath.Join(root, "bin", "runsc"), filepath.Join(root, ".build", "runsc"), "runsc"} {
		if path, err := exec.LookPath(candidate); err == nil && candidate != "" {
			return path
		}
	}
	t.Fatal("these tests need runsc: sh internal/driver/oci/build-runsc.sh bin")
	return ""
}

// makeImage imports an image that holds nothing but the job.
func (m *machine) makeImage() string {
	m.t.Helper()
	rootfs := m.t.TempDir()
	if err := os.Chmod(rootfs, 0o755); err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(rootfs, "job"), "./testdata/job")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("building the job: %v: %s", err, out)
	}
	store, err := image.Open(filepath.Join(m.dir, "images"))
	if err != nil {
		m.t.Fatal(err)
	}
	img, err := store.Import(m.t.Context(), image.Directory(rootfs))
	if err != nil {
		m.t.Fatal(err)
	}
	if err := store.Tag("job", img.Digest); err != nil {
		m.t.Fatal(err)
	}
	return img.Digest
}

func (m *machine) start() {
	m.t.Helper()
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	m.process = exec.Command(self, hostArg, m.dir, m.runsc, m.prefix)
	m.process.Stderr = os.Stderr
	out, err := m.process.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	if said, err := bufio.NewReader(out).ReadString('\n'); err != nil || said != "ready\n" {
		m.t.Fatalf("the host says %q, %v", said, err)
	}
}

// kill is kill -9 of the host.
func (m *machine) kill() {
	m.t.Helper()
	if err := m.process.Process.Kill(); err != nil {
		m.t.Fatal(err)
	}
	_ = m.process.Wait() // killed, as it should be
}

// job is an order for the job, with SageMaker's mounts.
func (m *machine) job(args ...string) host.Order {
	s := drivertest.Workload("/job", args...)
	s.Image.Digest = m.image
	s.Env["SECRET"] = secret
	s.Mounts = []spec.Mount{
		{Source: "input", Target: "/opt/ml/input", ReadOnly: true},
		{Source: "model", Target: "/opt/ml/model"},
		{Source: "output", Target: "/opt/ml/output"},
	}
	return host.Order{Spec: s, Key: []byte("thirty-two-bytes-of-a-volume-key")}
}

// run prepares, stages and starts a job.
func (m *machine) run(o host.Order) string {
	m.t.Helper()
	id := o.Spec.ID
	if err := m.Prepare(m.t.Context(), o); err != nil {
		m.t.Fatal(err)
	}
	if err := m.Put(m.t.Context(), id, "input/data/train/set.csv", strings.NewReader("1,2,3\n")); err != nil {
		m.t.Fatal(err)
	}
	if err := m.Start(m.t.Context(), id); err != nil {
		m.t.Fatal(err)
	}
	return id
}

func (m *machine) eventually(id string, want func(host.State) bool) host.State {
	m.t.Helper()
	return eventually(m.t, func() (host.State, error) { return m.State(context.Background(), id) }, want)
}

// said is the whole log of a workload that has ended.
func (m *machine) said(id string) string {
	m.t.Helper()
	lines, err := m.Logs(m.t.Context(), id, 0, host.MaxLines)
	if err != nil || !lines.End {
		m.t.Fatalf("the log: %v, whole: %v", err, lines.End)
	}
	var text strings.Builder
	for _, l := range lines.Lines {
		text.WriteString(l.Text + "\n")
	}
	return text.String()
}

func (m *machine) says(id, text string) {
	m.t.Helper()
	m.eventually(id, func(host.State) bool {
		lines, err := m.Logs(context.Background(), id, 0, 1000)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, l := range lines.Lines {
			if l.Text == text {
				return true
			}
		}
		return false
	})
}

// archived is a directory of a workload, by name.
func (m *machine) archived(id, dir string) map[string]string {
	m.t.Helper()
	r, err := m.Archive(m.t.Context(), id, dir)
	if err != nil {
		m.t.Fatal(err)
	}
	defer r.Close()
	return unpack(m.t, r)
}
