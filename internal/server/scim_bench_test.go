package server_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/server/servertest"
)

// BenchmarkProvision brings 50,000 people and 5,000 groups into an empty directory,
// each by a request of its own over TLS, decided and recorded durably. Clients and
// server share the process and the cores.
func BenchmarkProvision(b *testing.B) {
	const people, teams, clients = 50_000, 5_000, 32
	for range b.N {
		s := servertest.Start(b)
		p := provision(b, s)
		p.http.Transport.(*http.Transport).MaxIdleConnsPerHost = clients
		share := func(n int64, one func(i int64)) {
			var next atomic.Int64
			var done sync.WaitGroup
			for range clients {
				done.Go(func() {
					for i := next.Add(1); i <= n; i = next.Add(1) {
						one(i)
					}
				})
			}
			done.Wait()
		}
		b.ResetTimer()
		share(people, func(i int64) {
			if status, out, _ := p.do("POST", "/Users", person(fmt.Sprintf("person%d", i))); status != 201 {
				b.Errorf("%d %v", status, out)
			}
		})
		share(teams, func(i int64) {
			if status, out, _ := p.do("POST", "/Groups", fmt.Sprintf(`{"displayName":"Team %d","externalId":"t-%d"}`, i, i)); status != 201 {
				b.Errorf("%d %v", status, out)
			}
		})
		b.StopTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/directory")
	b.ReportMetric(float64(b.N)*(people+teams)/b.Elapsed().Seconds(), "resources/s")
	b.ReportMetric(0, "ns/op")
}
