package server_test

import (
	"context"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bawn.dev/internal/server/servertest"
)

// callers call until the context ends or all of b.N calls are made, and tell of each
// answer.
func callers(ctx context.Context, t testing.TB, c *client, calls int64, answered func(*answer)) *sync.WaitGroup {
	var all sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		all.Go(func() {
			for ctx.Err() == nil && next.Add(1) <= calls {
				a, err := c.identity(context.WithoutCancel(ctx))
				if err != nil || a.status != 200 {
					t.Errorf("%+v, %v", a, err)
					return
				}
				answered(a)
			}
		})
	}
	return &all
}

// While calls never cease, heads are signed that cover what was answered, and nobody has
// to ask for them.
func TestHeadsAreSignedUnderTraffic(t *testing.T) {
	s := servertest.Start(t)
	c := newClient(t, s.Config.Data, s.URL)
	ctx, stop := context.WithCancel(t.Context())
	calls := callers(ctx, t, c, 1<<40, func(*answer) {})
	defer calls.Wait()
	defer stop()
	for range 4 {
		ok(t)(c.identity(t.Context()))
		sn, err := s.Door().Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		last, err := s.Trail().Last(sn)
		sn.Close()
		if err != nil {
			t.Fatal(err)
		}
		for covered := int64(0); covered < last && !t.Failed(); runtime.Gosched() {
			head, err := s.Trail().Checkpoint(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			signed, err := s.Trail().Public().Open(head)
			if err != nil {
				t.Fatal(err)
			}
			covered = signed.Size
		}
	}
}

var requestID = regexp.MustCompile(`"requestID":"([^"]+)"`)

// BenchmarkCheckpointLag is how long after its answer a call is under a signed head, with
// 16 clients that never pause.
func BenchmarkCheckpointLag(b *testing.B) {
	asServe(b)
	s := servertest.Start(b)
	c := newClient(b, s.Config.Data, s.URL)
	ctx := b.Context()
	callers(ctx, b, c, 200, func(*answer) {}).Wait() // connections are made, caches warm
	size := func() int64 {
		head, err := s.Trail().Checkpoint(ctx)
		if err != nil {
			b.Fatal(err)
		}
		signed, err := s.Trail().Public().Open(head)
		if err != nil {
			b.Fatal(err)
		}
		return signed.Size
	}
	if err := s.Trail().Seal(ctx); err != nil {
		b.Fatal(err)
	}
	before := size()

	// When each head was seen first, until all calls are under one.
	type seen struct {
		size int64
		at   time.Time
	}
	heads := []seen{{before, time.Now()}}
	var looking sync.WaitGroup
	looking.Go(func() {
		for heads[len(heads)-1].size < before+int64(b.N) {
			if n := size(); n > heads[len(heads)-1].size {
				heads = append(heads, seen{n, time.Now()})
			}
			time.Sleep(time.Millisecond)
		}
	})
	var mu sync.Mutex
	answers := map[string]time.Time{}
	b.ResetTimer()
	callers(ctx, b, c, int64(b.N), func(a *answer) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		answers[a.id] = now
	}).Wait()
	b.StopTimer()
	looking.Wait()

	var lags []time.Duration
	leaf := int64(0)
	for from, more := int64(0), true; more; {
		lines, err := s.Trail().After(ctx, from, 1000)
		if err != nil {
			b.Fatal(err)
		}
		for _, l := range lines {
			from = l.Seq
			if m := requestID.FindSubmatch(l.Event); m != nil {
				if at, ok := answers[string(m[1])]; ok {
					i, _ := slices.BinarySearchFunc(heads, leaf+1, func(h seen, size int64) int { return int(h.size - size) })
					lags = append(lags, max(0, heads[i].at.Sub(at)))
				}
			}
			leaf++
		}
		more = len(lines) > 0
	}
	if len(lags) != b.N {
		b.Fatalf("%d of %d calls are in the record", len(lags), b.N)
	}
	slices.Sort(lags)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(len(heads)-1)/b.Elapsed().Seconds(), "heads/s")
	b.ReportMetric(ms(lags[len(lags)/2]), "ms-lag-p50")
	b.ReportMetric(ms(lags[len(lags)*99/100]), "ms-lag-p99")
	b.ReportMetric(ms(lags[len(lags)-1]), "ms-lag-max")
	b.ReportMetric(0, "ns/op") // it is what the clients make of it
}
