package trail_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

// BenchmarkPrune tells how many records a second go, and how long a call waits for its
// record meanwhile: 64 clients that rest in between.
func BenchmarkPrune(b *testing.B) {
	const records = 50_000
	for b.Loop() {
		s := storetest.SQLite(b)
		tr := newPruning(b, s, newSigner(b))
		record := func(i int) *trail.Record {
			r := full()
			r.EventID, r.EventTime = "", noon.Add(time.Duration(i)*10*time.Millisecond)
			r.Resources[0].ARN = fmt.Sprintf("arn:aws:s3:::bucket/object-%d", i)
			return r
		}
		for i := 0; i < records; i += 256 {
			var some []*trail.Record
			for j := range 256 {
				some = append(some, record(i+j))
			}
			must(b, tr.Write(b.Context(), some...))
			must(b, tr.Seal(b.Context()))
		}
		waits := func(during func()) (p50, p99, worst time.Duration) {
			ctx, stop := context.WithCancel(b.Context())
			var all []time.Duration
			var mu sync.Mutex
			var clients sync.WaitGroup
			for range 64 {
				clients.Go(func() {
					for ctx.Err() == nil {
						time.Sleep(20 * time.Millisecond)
						began := time.Now()
						r := record(records * 1000)
						must(b, tr.Write(b.Context(), r))
						mu.Lock()
						all = append(all, time.Since(began))
						mu.Unlock()
					}
				})
			}
			clients.Go(func() {
				for ctx.Err() == nil {
					time.Sleep(500 * time.Millisecond)
					must(b, tr.Seal(b.Context()))
				}
			})
			during()
			stop()
			clients.Wait()
			slices.Sort(all)
			return all[len(all)/2], all[len(all)*99/100], all[len(all)-1]
		}
		p50, p99, worst := waits(func() { time.Sleep(5 * time.Second) })
		b.Logf("without: p50 %v, p99 %v, worst %v", p50, p99, worst)
		var took time.Duration
		var gone int64
		p50, p99, worst = waits(func() {
			began := time.Now()
			var err error
			gone, err = tr.Prune(b.Context(), trail.Retention{Before: noon.AddDate(0, 0, 1), Last: 1 << 60, State: stating})
			must(b, err)
			took = time.Since(began)
		})
		b.Logf("with: p50 %v, p99 %v, worst %v; %d in %v", p50, p99, worst, gone, took)
		b.ReportMetric(float64(gone)/took.Seconds(), "records/s")
		b.ReportMetric(float64(p99.Microseconds())/1000, "p99-ms")
	}
}
