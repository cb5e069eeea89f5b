package server_test

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

// A server that exports its record is killed again and again, and its file is renamed as
// logrotate does: the files have every event once, in order, the bytes that are proven.
func TestExportAcrossKills(t *testing.T) {
	binary, dir := build(t), t.TempDir()
	data, events := filepath.Join(dir, "data"), filepath.Join(dir, "events.jsonl")
	if out, err := exec.Command(binary, "init", "--data", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	var parts []string
	users := 0
	for round := range 5 {
		p := spawn(t, binary, "serve", "--data", data, "--listen", "127.0.0.1:0", "--export", events)
		c := newClient(t, data, p.serving(t))
		ctx, cancel := context.WithCancel(t.Context())
		var left atomic.Int64
		left.Store(20 + dice.Int64N(200))
		enough := make(chan struct{})
		var callers sync.WaitGroup
		for range 4 {
			users++
			name := strconv.Itoa(users)
			callers.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					if _, err := c.iam(ctx, "GetUser", "UserName", "u"+name+"-"+strconv.Itoa(n)); err == nil && left.Add(-1) == 0 {
						close(enough)
					}
				}
			})
		}
		<-enough
		if round%2 == 1 {
			part := events + "." + strconv.Itoa(round)
			if err := os.Rename(events, part); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, part)
			for { // it goes on under the old name
				if _, err := os.Stat(events); err == nil {
					break
				}
			}
		}
		p.stop(syscall.SIGKILL)
		cancel()
		callers.Wait()
	}
	p := spawn(t, binary, "serve", "--data", data, "--listen", "127.0.0.1:0", "--export", events)
	p.serving(t)
	for {
		out, err := exec.Command(binary, "verify", "status", "--data", data).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		// The question itself is recorded, and exported after the answer.
		if strings.Contains(string(out), events+": exported up to record ") && (strings.Contains(string(out), ", 1 to go") || strings.Contains(string(out), ", 0 to go")) {
			break
		}
	}
	p.stop(syscall.SIGTERM)

	copied := filepath.Join(dir, "copy")
	if out, err := exec.Command(binary, "verify", "export", "--data", data, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var text, want string
	for _, part := range append(parts, events) {
		raw, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		text += string(raw)
	}
	for _, level := range []string{filepath.Join(copied, "records", "[0-9][0-9][0-9]"), filepath.Join(copied, "records", "*.p", "*")} {
		bundles, err := filepath.Glob(level)
		if err != nil {
			t.Fatal(err)
		}
		for _, bundle := range bundles {
			raw, err := os.ReadFile(bundle)
			if err != nil {
				t.Fatal(err)
			}
			want += string(raw)
		}
	}
	if n := strings.Count(text, "\n"); n < 200 || !strings.HasPrefix(want, text) {
		t.Errorf("%d events were exported, %d are on record; they are not the same", n, strings.Count(want, "\n"))
	}
	if rest := strings.TrimPrefix(want, text); strings.Count(rest, "\n") > 8 || strings.Contains(rest, `"GetUser"`) {
		t.Errorf("not exported: %s", rest)
	}
}

// What was not exported yet is not pruned, and calls go on while nobody takes it.
func TestRetentionWaitsForTheExport(t *testing.T) {
	b := servertest.Start(t)
	socket := filepath.Join(t.TempDir(), "collector")
	b.Config.Retain, b.Config.Export = 1, "unix:"+socket
	b.Restart(t)
	b.Python(t, `client("iam").create_user(UserName="early")`)
	later := time.Now().AddDate(0, 0, 9)
	pass(t, b, later, 2*day)
	if gone, err := b.PruneAt(t.Context(), later); gone != 0 || err != nil {
		t.Errorf("%d pruned, %v", gone, err)
	}
	status := func() (*server.RecordMemories, error) {
		return b.RecordMemories(t.Context(), server.RememberedRequest{})
	}
	if said := b.Log.String(); !strings.Contains(said, `are kept" for="the export of the record"`) {
		t.Errorf("it said\n%s", said)
	}
	if m, err := status(); err != nil || m.Export == nil || m.Export.Seq != 0 || m.Export.Behind < 5 {
		t.Errorf("%+v, %v", m, err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 10_000)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		for lines := bufio.NewScanner(c); lines.Scan(); {
			heard <- lines.Text()
		}
	}()
	for !strings.Contains(<-heard, `"userName":"early"`) {
	}
	end, err := b.Trail().End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for m, err := status(); m.Export.Seq < end; m, err = status() { // which is on record itself
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := b.RetainAt(ctx, later); err != nil {
			t.Error(err)
		}
	})
	for line := range heard {
		if strings.Contains(line, `"eventName":"PruneRecord"`) {
			break
		}
	}
	stop()
	done.Wait()
	checked(t, b)
}
