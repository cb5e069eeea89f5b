package store_test

import (
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/pgtest"
	"bawn.dev/internal/store/storetest"
)

func eachBench(b *testing.B, bench func(*testing.B, *store.Store)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, storetest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) {
		bench(b, storetest.Open(b, store.Config{DatabaseURL: pgtest.Start(b).Database(b)}))
	})
}

// BenchmarkUpdate is one durable row of 1.1 KiB, the size of an audit record.
func BenchmarkUpdate(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		must(b, s.Migrate(b.Context(), []store.Migration{{Room: "bench", Version: 1, SQL: []string{
			"CREATE TABLE bench (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, account TEXT NOT NULL, event BLOB NOT NULL)"}}}))
		event := make([]byte, 1126)
		rand.Read(event)
		for _, goroutines := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
				b.ReportAllocs()
				atOnce(b, goroutines, func() {
					if err := s.Update(b.Context(), func(tx *store.Tx) error {
						_, err := tx.Exec("INSERT INTO bench (time, account, event) VALUES (?, ?, ?)", 1, "123456789012", event)
						return err
					}); err != nil {
						b.Error(err)
					}
				})
			})
		}
	})
}

// BenchmarkVersions is what every call does first.
func BenchmarkVersions(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		keys := make([]string, 5)
		for i := range keys {
			keys[i] = fmt.Sprintf("iam:role/AROAEXAMPLE%d", i)
		}
		must(b, s.Update(b.Context(), func(tx *store.Tx) error { return tx.Touch(keys...) }))
		b.ReportAllocs()
		for b.Loop() {
			n, err := s.Snapshot(b.Context())
			must(b, err)
			_, err = n.Versions(keys...)
			must(b, err)
			must(b, n.Close())
		}
	})
}

// atOnce runs f b.N times from so many goroutines.
func atOnce(b *testing.B, goroutines int, f func()) {
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	b.ResetTimer()
	for range goroutines {
		go func() {
			defer func() { done <- struct{}{} }()
			for left.Add(-1) >= 0 {
				f()
			}
		}()
	}
	for range goroutines {
		<-done
	}
}
