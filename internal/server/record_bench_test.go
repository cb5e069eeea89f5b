package server_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// halfLoad is half of the calls a second that the record must bear.
const halfLoad = 5_000

// forgotten is a record that keeps nothing: what is left is a call without it.
type forgotten struct{}

func (forgotten) Append(*store.Tx, ...*trail.Record) error      { return nil }
func (forgotten) Write(context.Context, ...*trail.Record) error { return nil }

// BenchmarkRecordLatency asks GetCallerIdentity 5,000 times a second from 64 clients,
// a second with the record and a second without it in turns. A call's time begins when
// it is due, whether or not the answers before have come, so that one that waits for
// others counts with what it waited. ms-p99-added is what recording adds.
func BenchmarkRecordLatency(b *testing.B) {
	asServe(b)
	s := servertest.Start(b)
	c := newClient(b, s.Config.Data, s.URL)
	took := map[string][]time.Duration{}
	second := func(calls int) (took []time.Duration) {
		const clients = 64
		var next atomic.Int64
		var mu sync.Mutex
		var askers sync.WaitGroup
		begin := time.Now()
		for range clients {
			askers.Go(func() {
				var mine []time.Duration
				for i := next.Add(1); i <= int64(calls); i = next.Add(1) {
					due := begin.Add(time.Duration(i) * time.Second / halfLoad)
					time.Sleep(time.Until(due))
					if a, err := c.identity(b.Context()); err != nil || a.status != 200 {
						b.Errorf("%+v, %v", a, err)
						return
					}
					mine = append(mine, time.Since(due))
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, mine...)
			})
		}
		askers.Wait()
		return took
	}
	second(halfLoad) // connections are made, caches warm
	b.ResetTimer()
	for left, turn := b.N, 0; left > 0; turn++ {
		calls := min(left, halfLoad)
		left -= calls
		name := "recorded"
		s.Door().Trail = s.Trail()
		if turn%2 == 1 {
			name, s.Door().Trail = "unrecorded", forgotten{}
		}
		took[name] = append(took[name], second(calls)...)
		if err := s.Trail().Seal(b.Context()); err != nil { // it is the work of the second before
			b.Fatal(err)
		}
	}
	s.Door().Trail = s.Trail()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(0, "ns/op") // it is what was asked for
	p99 := map[string]float64{}
	for name, all := range took {
		slices.Sort(all)
		at := func(percent int) float64 { return float64(all[len(all)*percent/100].Microseconds()) / 1000 }
		p99[name] = at(99)
		b.ReportMetric(at(50), "ms-p50-"+name)
		b.ReportMetric(at(99), "ms-p99-"+name)
	}
	b.ReportMetric(p99["recorded"]-p99["unrecorded"], "ms-p99-added")
}
