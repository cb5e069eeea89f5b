package blob

import (
	"fmt"
	"sync/atomic"
	"testing"
)

func BenchmarkCommit4K(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			d := openDir(b, b.TempDir())
			content := random(4096)
			b.SetBytes(4096)
			b.ReportAllocs()
			atOnce(b, writers, func() { put(b, d, content) })
		})
	}
}

func BenchmarkOpen4K(b *testing.B) {
	d := openDir(b, b.TempDir())
	r := put(b, d, random(4096))
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		in, err := d.Open(b.Context(), r)
		must(b, err)
		in.Close()
	}
}

func BenchmarkCommit64M(b *testing.B) {
	d := openDir(b, b.TempDir())
	piece := random(1 << 20)
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		w, err := d.Create(b.Context())
		must(b, err)
		for range 64 {
			_, err := w.Write(piece)
			must(b, err)
		}
		r, err := w.Commit()
		must(b, err)
		must(b, d.Delete(b.Context(), r))
	}
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
