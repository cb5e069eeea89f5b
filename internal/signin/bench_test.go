package signin_test

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkExchange is an issuer's token for an identity context: decided, verified,
// used up and recorded. On a machine that does other things too, the processor's time
// says more than the clock.
func BenchmarkExchange(b *testing.B) {
	h := enter(b)
	tokens := make([]string, b.N)
	for i := range tokens {
		tokens[i] = h.token(b, nil)
	}
	var next atomic.Int64
	before := processorTime(b)
	b.SetParallelism(64)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, refusal := h.exchange(b, tokens[next.Add(1)-1]); refusal != nil {
				b.Error(refusal)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
