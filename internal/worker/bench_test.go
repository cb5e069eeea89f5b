package worker_test

import (
	"context"
	"testing"

	"bawn.dev/internal/host"
)

// From an order to the end of a job that does almost nothing: volume, staging,
// sandbox, and one line of log. The image is warm.
func BenchmarkJob(b *testing.B) {
	b.ReportAllocs()
	m := newMachine(b)
	ctx := context.Background()
	for b.Loop() {
		id := m.run(m.job("train", "0"))
		m.eventually(id, func(s host.State) bool { return s.Phase == host.Exited })
		b.StopTimer()
		if err := m.Remove(ctx, id); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
