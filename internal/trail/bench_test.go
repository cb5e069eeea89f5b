package trail_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

// BenchmarkAppend is what every call waits for: one durable record. The sealer
// is not running.
func BenchmarkAppend(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			s := storetest.SQLite(b)
			tr := newTrail(b, s, newSigner(b))
			b.ReportAllocs()
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			b.ResetTimer()
			for range goroutines {
				go func() {
					defer func() { done <- struct{}{} }()
					for left.Add(-1) >= 0 {
						r := full()
						r.EventID = ""
						if err := s.Update(b.Context(), func(tx *store.Tx) error { return tr.Append(tx, r) }); err != nil {
							b.Error(err)
						}
					}
				}()
			}
			for range goroutines {
				<-done
			}
		})
	}
}

// BenchmarkSeal is the background's work for one record.
func BenchmarkSeal(b *testing.B) {
	s := storetest.SQLite(b)
	tr := newTrail(b, s, newSigner(b))
	fill(b, s, tr, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	must(b, tr.Seal(b.Context()))
}

// BenchmarkFind finds 50 of 20,000 records.
func BenchmarkFind(b *testing.B) {
	s := storetest.SQLite(b)
	tr := newTrail(b, s, newSigner(b))
	fill(b, s, tr, 20_000)
	must(b, tr.Seal(b.Context()))
	for name, q := range map[string]trail.Query{
		"newest": {}, "person": {Person: "user-7"}, "absent": {Username: "nobody"},
	} {
		b.Run(name, func(b *testing.B) {
			q.Account = "123456789012"
			b.ReportAllocs()
			for b.Loop() {
				_, err := tr.Find(b.Context(), q)
				must(b, err)
			}
		})
	}
}

func fill(b *testing.B, s *store.Store, tr *trail.Trail, n int) {
	b.Helper()
	for i := 0; i < n; {
		must(b, s.Update(b.Context(), func(tx *store.Tx) error {
			for end := min(i+500, n); i < end; i++ {
				r := full()
				r.EventID = ""
				r.UserIdentity.OnBehalfOf.UserID = fmt.Sprintf("user-%d", i%20)
				if err := tr.Append(tx, r); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}
