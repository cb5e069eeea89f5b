package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bawn.dev/internal/server/servertest"
)

// The benchmarks of whole calls: signed, over TLS 1.3 on connections that are kept,
// decided, recorded durably, answered. Client and server share the process and the
// cores, and the allocations of both are counted.

// asServe sets the collector and the scheduler as bawn serve does.
func asServe(b *testing.B) {
	percent, threads := debug.SetGCPercent(400), runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(threads + 2)
	b.Cleanup(func() {
		debug.SetGCPercent(percent)
		runtime.GOMAXPROCS(threads)
	})
}

// atOnce lets so many clients, with a connection each, make b.N calls.
func atOnce(b *testing.B, call func(i int64) (*answer, error)) {
	b.Helper()
	asServe(b)
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			var next atomic.Int64
			var done sync.WaitGroup
			share := func(n int64) {
				for range clients {
					done.Go(func() {
						for i := next.Add(1); i <= n; i = next.Add(1) {
							if a, err := call(i); err != nil || a.status/100 != 2 {
								b.Errorf("%+v, %v", a, err)
								return
							}
						}
					})
				}
				done.Wait()
			}
			share(int64(4 * clients)) // connections are made, caches warm
			next.Store(0)
			b.ReportAllocs()
			before := processorTime(b)
			b.ResetTimer()
			share(int64(b.N))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "µs-of-processor/call")
		})
	}
}

// processorTime is what this process has used of it: on a machine that does other
// things too it says more than the clock.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkGetCallerIdentity(b *testing.B) {
	s := servertest.Start(b)
	c := newClient(b, s.Config.Data, s.URL)
	atOnce(b, func(int64) (*answer, error) { return c.identity(b.Context()) })
}

func BenchmarkPutObject4K(b *testing.B) {
	s := servertest.Start(b)
	c := newClient(b, s.Config.Data, s.URL)
	ok(b)(c.object(b.Context(), http.MethodPut, "/bench", nil))
	body := bytes.Repeat([]byte("0123456789abcdef"), 256)
	atOnce(b, func(i int64) (*answer, error) {
		return c.object(b.Context(), http.MethodPut, "/bench/"+strconv.FormatInt(i, 10), body)
	})
}

func BenchmarkGetObject4K(b *testing.B) {
	s := servertest.Start(b)
	c := newClient(b, s.Config.Data, s.URL)
	ok(b)(c.object(b.Context(), http.MethodPut, "/bench", nil))
	ok(b)(c.object(b.Context(), http.MethodPut, "/bench/k", bytes.Repeat([]byte("0123456789abcdef"), 256)))
	atOnce(b, func(int64) (*answer, error) { return c.object(b.Context(), http.MethodGet, "/bench/k", nil) })
}

// BenchmarkServe is the real binary, from its start to the first healthy answer,
// and the memory that it holds after its first authenticated call.
func BenchmarkServe(b *testing.B) {
	binary, data := build(b), filepath.Join(b.TempDir(), "data")
	if out, err := exec.Command(binary, "init", "--data", data).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	var healthy time.Duration
	var resident int
	for range b.N {
		began := time.Now()
		p := spawn(b, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
		c := newClient(b, data, p.serving(b))
		resp, err := c.http.Get(c.url + "/healthz")
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp, err)
		}
		resp.Body.Close()
		healthy += time.Since(began)
		ok(b)(c.identity(b.Context()))
		resident += rss(b, p.cmd.Process.Pid)
		p.stop(syscall.SIGTERM)
	}
	b.ReportMetric(float64(healthy.Milliseconds())/float64(b.N), "ms-to-healthy")
	b.ReportMetric(float64(resident)/1024/float64(b.N), "MiB-idle")
	b.ReportMetric(0, "ns/op") // the stop is in it: it says nothing
}

// rss is what a process holds in memory, in KiB.
func rss(b *testing.B, pid int) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				b.Fatal(err)
			}
			return kib
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
