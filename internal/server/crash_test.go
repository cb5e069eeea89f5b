package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bawn.dev/internal/config"
)

const kills = 15

// Writers and readers hammer the real server, which is killed again and again.
// What it acknowledged is there afterwards, and so is the record of it.
func TestKilledServer(t *testing.T) {
	binary, data := build(t), filepath.Join(t.TempDir(), "data")
	if out, err := exec.Command(binary, "init", "--data", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	world := &world{acknowledged: map[string]act{}}
	people := []worker{
		&writer{world: world, name: "a"}, &writer{world: world, name: "b"}, &writer{world: world, name: "c", large: true},
		&assembler{world: world}, &hirer{world: world}, &keeper{world: world}, &asker{world: world},
	}
	serve := func() (*process, *client) {
		p := spawn(t, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
		return p, newClient(t, data, p.serving(t))
	}

	p, c := serve()
	ok(t)(c.object(t.Context(), http.MethodPut, "/crash-bucket", nil))
	copied := filepath.Join(t.TempDir(), "copy")
	for range kills {
		ctx, cancel := context.WithCancel(t.Context())
		var left atomic.Int64
		left.Store(1 + dice.Int64N(250)) // answers until the kill; others are on their way then
		enough := make(chan struct{})
		world.tick = func() {
			if left.Add(-1) == 0 {
				close(enough)
			}
		}
		var done sync.WaitGroup
		for _, w := range people {
			done.Go(func() { w.work(ctx, t, c) })
		}
		<-enough
		p.stop(syscall.SIGKILL)
		cancel()
		done.Wait()
		interrupt(t, time.Duration(dice.Int64N(int64(100*time.Millisecond))), binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
		interrupt(t, time.Duration(dice.Int64N(int64(100*time.Millisecond))), binary, "fsck", "--data", data)
		p, c = serve()
		for _, w := range people {
			w.check(t, c)
		}
		// The copy takes only what extends it: no crash rewrote what was signed.
		if out, err := exec.Command(binary, "verify", "export", "--data", data, copied).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	fsck(t, binary, data) // through the running server
	p.stop(syscall.SIGTERM)
	if p.result != nil {
		t.Errorf("the server ended with %v\n%s", p.result, p.said)
	}
	fsck(t, binary, data)
	world.check(t, data)
}

// interrupt starts a process and kills it after so long, wherever it is then.
func interrupt(t *testing.T, after time.Duration, binary string, args ...string) {
	t.Helper()
	p := spawn(t, binary, args...)
	for end := time.Now().Add(after); time.Now().Before(end) && !p.over(); {
		runtime.Gosched()
	}
	p.stop(syscall.SIGKILL)
}

func fsck(t *testing.T, binary, data string) {
	t.Helper()
	out, err := exec.Command(binary, "fsck", "--data", data).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 problems") {
		t.Errorf("fsck: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// init is killed when each of its files appears and at moments between; run
// again, it ends with credentials that work.
func TestKilledInit(t *testing.T) {
	binary := build(t)
	began := time.Now()
	if out, err := exec.Command(binary, "init", "--data", filepath.Join(t.TempDir(), "data")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	takes := time.Since(began)
	moments := map[string]func(dir string) (reached func() bool){}
	for _, file := range []string{"run/lock", "keys/root.key", "ca.pem", "keys/ca.key", "bawn.db", "bawn.db-wal", "blobs", "aws/credentials", "aws/config", "bawn.json"} {
		moments["at "+file] = func(dir string) func() bool {
			return func() bool { _, err := os.Stat(filepath.Join(dir, file)); return err == nil }
		}
	}
	for i := range 6 {
		moments[fmt.Sprintf("after %d sixths", i)] = func(string) func() bool {
			at := time.Now().Add(takes * time.Duration(i) / 6)
			return func() bool { return !time.Now().Before(at) }
		}
	}
	unfinished := 0
	for name, moment := range moments {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			p := spawn(t, binary, "init", "--data", data)
			for reached := moment(data); !reached() && !p.over(); {
				runtime.Gosched()
			}
			p.stop(syscall.SIGKILL)
			if _, err := config.Load(data); errors.Is(err, config.ErrNotInitialized) {
				unfinished++
				if out, err := exec.Command(binary, "init", "--data", data).CombinedOutput(); err != nil {
					t.Fatalf("again: %v\n%s", err, out)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			s := spawn(t, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
			c := newClient(t, data, s.serving(t))
			ok(t)(c.identity(t.Context()))
			ok(t)(c.iam(t.Context(), "CreateUser", "UserName", "first"))
			fsck(t, binary, data)
		})
	}
	if unfinished == 0 {
		t.Error("init was never caught before its end")
	}
}
