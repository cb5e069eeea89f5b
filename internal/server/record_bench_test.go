package server_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// halfLoad is half of the calls a second that the record must bear.
const halfLoad = 5_000

// BenchmarkRecordLatency asks GetCallerIdentity 5,000 times a second from 64 clients,
// whether or not the answers before have come, and meanwhile measures what a call
// waits for its record: ms-p99-record is what recording adds to ms-p99-call.
func BenchmarkRecordLatency(b *testing.B) {
	const clients = 64
	s := servertest.Start(b)
	c := newClient(b, s.Config.Data, s.URL)
	for range 4 * clients {
		ok(b)(c.identity(b.Context()))
	}
	var next atomic.Int64
	var mu sync.Mutex
	var calls, records []time.Duration
	begin := time.Now()
	ended := make(chan struct{})
	b.ResetTimer()
	var askers, prober sync.WaitGroup
	for range clients {
		askers.Go(func() {
			var mine []time.Duration
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
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
			calls = append(calls, mine...)
		})
	}
	prober.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Millisecond):
			}
			r := &trail.Record{EventSource: "sts.amazonaws.com", EventName: "GetCallerIdentity", Account: s.Config.AccountID, Region: s.Config.Region,
				UserIdentity: trail.UserIdentity{Type: "IAMUser", UserName: "probe"}, ReadOnly: true, EventType: "AwsApiCall"}
			began := time.Now()
			if err := s.Trail().Write(b.Context(), r); err != nil {
				b.Error(err)
				return
			}
			records = append(records, time.Since(began))
		}
	})
	askers.Wait()
	close(ended)
	prober.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	for name, took := range map[string][]time.Duration{"call": calls, "record": records} {
		if len(took) == 0 {
			continue
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50-"+name)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99-"+name)
	}
}
