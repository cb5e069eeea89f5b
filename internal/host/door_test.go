package host_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/driver/fake"
	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/image"
	"bawn.dev/internal/worker"
)

// serverUser is who may connect besides root.
const serverUser = 65534

// door is a host behind its sockets: real volumes and networks, and the fake
// driver.
type door struct {
	*host.Client
	t      testing.TB
	dir    string
	image  string
	worker *worker.Worker
	cancel context.CancelFunc
	ended  chan error
	log    bytes.Buffer
}

var doors atomic.Int32

func newDoor(t testing.TB) *door {
	t.Helper()
	d := &door{t: t, dir: t.TempDir()}
	log := slog.New(slog.NewTextHandler(&d.log, nil))
	store, err := image.Open(filepath.Join(d.dir, "images"))
	if err != nil {
		t.Fatal(err)
	}
	rootfs := t.TempDir()
	if err := os.WriteFile(filepath.Join(rootfs, "probe"), []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	img, err := store.Import(t.Context(), image.Directory(rootfs))
	if err != nil {
		t.Fatal(err)
	}
	d.image = img.Digest
	network, err := fabric.New(fabric.Config{
		StateDir: filepath.Join(d.dir, "net"), NamePrefix: fmt.Sprintf("d%d-%d", os.Getpid()%1000000, doors.Add(1)), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	programs := &fake.Host{Programs: map[string]fake.Program{"/probe": drivertest.Program}}
	d.worker, err = worker.Open(t.Context(), worker.Config{
		Dir: filepath.Join(d.dir, "host"), Images: filepath.Join(d.dir, "images"), Driver: programs.Driver(), Fabric: network,
		Capabilities: host.Capabilities{Runtime: "fake"}, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Client = host.NewClient(d.dir)
	d.listen(d.worker, log)
	t.Cleanup(func() {
		states, err := d.worker.States()
		if err != nil {
			t.Error(err)
		}
		for _, s := range states {
			if err := d.worker.Remove(context.Background(), s.ID); err != nil {
				t.Error(err)
			}
		}
		d.hangUp()
		if err := d.worker.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *door) listen(m host.Machine, log *slog.Logger) {
	d.t.Helper()
	s, err := host.Listen(host.ServerConfig{Data: d.dir, User: serverUser, Machine: m, Log: log})
	if err != nil {
		d.t.Fatal(err)
	}
	var ctx context.Context
	ctx, d.cancel = context.WithCancel(context.Background())
	d.ended = make(chan error, 1)
	go func() { d.ended <- s.Serve(ctx) }()
}

// hangUp ends the server; it may be repeated.
func (d *door) hangUp() {
	d.t.Helper()
	if d.cancel == nil {
		return
	}
	d.cancel()
	d.cancel = nil
	if err := <-d.ended; err != nil {
		d.t.Error(err)
	}
}

func (d *door) order(args ...string) host.Order {
	s := drivertest.Workload("/probe", args...)
	s.Image.Digest = d.image
	s.Limits.DiskBytes = 24 << 20
	return host.Order{Spec: s, Key: make([]byte, 32)}
}

func (d *door) prepare(args ...string) string {
	d.t.Helper()
	o := d.order(args...)
	if err := d.Prepare(d.t.Context(), o); err != nil {
		d.t.Fatal(err)
	}
	return o.Spec.ID
}

// An error is the same on both sides.
func TestErrorsCross(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	id := d.prepare("exit", "0")
	again := d.order()
	again.Spec.ID = id
	_, noState := d.State(ctx, strings.Repeat("a", 26))
	_, noPath := d.State(ctx, "../workloads")
	_, noImage := d.Image(ctx, "missing")
	_, early := d.ReadFile(ctx, id, "x", 1)
	_, archive := d.Archive(ctx, id, "x")
	_, listener := d.Listen(ctx, "vpc-none", netip.MustParseAddrPort("169.254.170.2:80"))
	for _, tt := range []struct {
		what      string
		got, want error
	}{
		{"prepared twice", d.Prepare(ctx, again), host.ErrExists},
		{"a file upwards", d.Put(ctx, id, "../x", strings.NewReader("x")), host.ErrInvalid},
		{"a file for nobody", d.Put(ctx, strings.Repeat("a", 26), "x", strings.NewReader("x")), host.ErrNotFound},
		{"a volume that is full", d.Put(ctx, id, "x", io.LimitReader(zeros{}, 256<<20)), host.ErrTooLarge},
		{"no workload", noState, host.ErrNotFound},
		{"a path for an id", noPath, host.ErrNotFound},
		{"no image", noImage, host.ErrNotFound},
		{"read too early", early, host.ErrPhase},
		{"archived too early", archive, host.ErrPhase},
		{"stopped too early", d.Stop(ctx, id), host.ErrPhase},
		{"a listener nowhere", listener, host.ErrNotFound},
		{"nothing to remove", d.Remove(ctx, strings.Repeat("a", 26)), nil},
	} {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, tt.got, tt.want)
		}
	}
	if c, err := d.Capabilities(ctx); err != nil || c.Runtime != "fake" {
		t.Errorf("got %+v, %v", c, err)
	}
	d.hangUp()
	if _, err := d.States(ctx); !errors.Is(err, host.ErrUnavailable) {
		t.Errorf("a socket that nobody listens on: %v", err)
	}
	if _, err := d.Listen(ctx, "vpc-a", netip.AddrPort{}); !errors.Is(err, host.ErrUnavailable) {
		t.Errorf("the other one: %v", err)
	}
	if _, err := host.NewClient(t.TempDir()).States(ctx); !errors.Is(err, host.ErrUnavailable) {
		t.Errorf("no socket: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The client's own failure leaves nothing and is told as it is.
func TestPutBreaks(t *testing.T) {
	d := newDoor(t)
	id := d.prepare("exit", "0")
	broken := errors.New("the object's seal is broken")
	r, w := io.Pipe()
	go func() {
		io.WriteString(w, "half")
		w.CloseWithError(broken)
	}()
	if err := d.Put(t.Context(), id, "file", r); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := d.Put(t.Context(), id, "file", strings.NewReader("whole")); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for s := (host.State{}); s.Phase != host.Exited; {
		var err error
		if s, err = d.State(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := d.ReadFile(t.Context(), id, "file", 100); err != nil || string(got) != "whole" {
		t.Errorf("got %q, %v", got, err)
	}
}

// What comes in is read strictly.
func TestStrict(t *testing.T) {
	d := newDoor(t)
	id := strings.Repeat("a", 26)
	vpc := `{"id":"vpc-a","account":"123456789012","cidrs":["10.0.0.0/16"],"subnets":[],"routeTables":[],"securityGroups":[]`
	for _, tt := range []struct {
		method, target, body string
		want                 int
	}{
		{"PUT", "/workloads/" + id, `{"spec":{},"key":""}`, 400},
		{"PUT", "/workloads/" + id, `{"spec":{"id":"x","id":"y"},"key":""}`, 400},
		{"PUT", "/workloads/" + id, `{"Spec":{},"key":""}`, 400},
		{"PUT", "/workloads/" + id, `{"spec":{},"key":"","command":"sh"}`, 400},
		{"PUT", "/workloads/" + id, `{"spec":{},"key":""}{}`, 400},
		{"PUT", "/workloads/" + id, strings.Repeat(" ", 11<<20), 400},
		{"PUT", "/workloads/..%2f..%2fetc", `{}`, 404},
		{"PUT", "/vpcs/vpc-a", vpc + `,"id":"vpc-a"}`, 400},
		{"PUT", "/vpcs/vpc-a", vpc + `,"Endpoints":[]}`, 400},
		{"PUT", "/vpcs/vpc-b", vpc + `}`, 400},
		{"PUT", "/vpcs/vpc-a", vpc + `,"hostLink":"eth0"}`, 400},
		{"PUT", "/transits/tgw-a", `{"id":"tgw-b","account":"123456789012"}`, 400},
		{"PUT", "/transits/tgw-a", `{"id":"tgw-a","account":"123456789012","device":"eth0"}`, 400},
		{"PUT", "/transits/tgw-a", `{"id":"tgw-a","account":"123456789012","id":"tgw-a"}`, 400},
		{"DELETE", "/transits/..%2f..%2fetc", "", 400},
		{"GET", "/vpcs/..%2f..%2fetc/queries", "", 404},
		{"GET", "/workloads/" + id + "/logs?from=-1&max=1", "", 400},
		{"GET", "/workloads/" + id + "/logs?from=1", "", 400},
		{"GET", "/workloads/" + id + "/file?path=x&max=99999999999999999999", "", 400},
		{"POST", "/workloads/" + id, "", 404},
		{"GET", "/workloads/" + id + "/start", "", 404},
		{"GET", "/etc/passwd", "", 404},
	} {
		if got := d.raw(tt.method + " " + tt.target + " HTTP/1.1\r\nHost: host\r\nContent-Length: " + fmt.Sprint(len(tt.body)) + "\r\n\r\n" + tt.body); got != tt.want {
			t.Errorf("%s %s %.40q: %d, want %d", tt.method, tt.target, tt.body, got, tt.want)
		}
	}
	if all, err := d.States(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("got %v, %v", all, err)
	}
	if ids, err := d.VPCs(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("got %q, %v", ids, err)
	}
	if ids, err := d.Transits(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("got %q, %v", ids, err)
	}
}

// raw sends bytes and returns the answer's status.
func (d *door) raw(request string) int {
	d.t.Helper()
	c, err := net.Dial("unix", d.socket("host.sock"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func (d *door) socket(name string) string { return filepath.Join(d.dir, "run", name) }

// Only root and the server's user get in, even where modes have become loose.
func TestPeers(t *testing.T) {
	d := newDoor(t)
	for _, name := range []string{"host.sock", "host-fd.sock"} {
		var st unix.Stat_t
		if err := unix.Lstat(d.socket(name), &st); err != nil {
			t.Fatal(err)
		}
		if st.Uid != serverUser || st.Mode&0o777 != 0o600 {
			t.Errorf("%s is of %d with mode %o", name, st.Uid, st.Mode&0o777)
		}
		if err := os.Chmod(d.socket(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(d.dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	const request = "GET /workloads HTTP/1.1\r\nHost: host\r\n\r\n"
	for uid, want := range map[int]bool{0: true, serverUser: true, 65533: false, 1000: false} {
		if got := speaks(t, d, uid, unix.SOCK_STREAM, "host.sock", request); got != want {
			t.Errorf("user %d: answered %v", uid, got)
		}
		if got := speaks(t, d, uid, unix.SOCK_SEQPACKET, "host-fd.sock", "{}"); got != want {
			t.Errorf("user %d, descriptors: answered %v", uid, got)
		}
	}
}

// speaks reports whether a user who sends a request gets an answer.
func speaks(t *testing.T, d *door, uid, kind int, name, request string) bool {
	t.Helper()
	dir, err := unix.Open(filepath.Join(d.dir, "run"), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	type result struct {
		n   int
		err error
	}
	said := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its user
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			said <- result{0, errno}
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(fd)
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir, name)})
		}
		if err != nil {
			said <- result{0, err}
			return
		}
		unix.Write(fd, []byte(request)) // who was hung up on gets an error or no answer
		n, _ := unix.Read(fd, make([]byte, 4096))
		said <- result{n, nil}
	}()
	r := <-said
	if r.err != nil {
		t.Fatalf("user %d cannot even try: %v", uid, r.err)
	}
	return r.n > 0
}

// Somebody who connects and says nothing, or nonsense, keeps nobody else waiting.
func TestSilentPeers(t *testing.T) {
	d := newDoor(t)
	for range 20 {
		for network, name := range map[string]string{"unix": "host.sock", "unixpacket": "host-fd.sock"} {
			c, err := net.Dial(network, d.socket(name))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
	}
	if _, err := d.Listen(t.Context(), "vpc-none", netip.MustParseAddrPort("169.254.170.2:80")); !errors.Is(err, host.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	c, err := net.Dial("unixpacket", d.socket("host-fd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, `{"vpc":"vpc-a","vpc":"vpc-b","address":"127.0.0.1:1"}`)
	answer := make([]byte, 4096)
	if n, err := c.Read(answer); err != nil || !strings.Contains(string(answer[:n]), "Invalid") {
		t.Errorf("got %q, %v", answer[:n], err)
	}
}

// A stream that the host cannot finish does not look finished.
func TestStreamIsCut(t *testing.T) {
	d := newDoor(t)
	id := d.prepare("exit", "0")
	if err := d.Put(t.Context(), id, "model/first", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for s := (host.State{}); s.Phase != host.Exited; {
		var err error
		if s, err = d.State(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	// More than any buffer, and then a file that claims too much.
	noise := make([]byte, 4<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 9)
	}
	model := filepath.Join(d.dir, "host", "volumes", id, "sealed", "model")
	if err := os.WriteFile(filepath.Join(model, "a"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(model, "b"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(model, "b"), 1<<40); err != nil {
		t.Fatal(err)
	}
	r, err := d.Archive(t.Context(), id, "model")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, r)
	r.Close()
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v", err)
	}
	r, err = d.Archive(t.Context(), id, "model")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d.hangUp()
	if _, err := io.Copy(io.Discard, r); err == nil {
		t.Error("an archive of a host that was stopped seems whole")
	}
}

// A machine that can isolate nothing says why, and refuses the rest.
func TestUnable(t *testing.T) {
	d := newDoor(t)
	d.hangUp()
	why := []string{"it needs root"}
	d.listen(worker.Unable{Network: why, Volumes: why, Sandbox: why}, slog.New(slog.DiscardHandler))
	c, err := d.Capabilities(t.Context())
	if err != nil || c.Isolated || len(c.Sandbox) != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
	if err := d.Prepare(t.Context(), d.order()); !errors.Is(err, host.ErrUnsupported) || !strings.Contains(err.Error(), why[0]) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkState(b *testing.B) {
	b.ReportAllocs()
	d := newDoor(b)
	o := d.order("exit", "0")
	if err := d.Prepare(context.Background(), o); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := d.State(context.Background(), o.Spec.ID); err != nil {
			b.Fatal(err)
		}
	}
}
