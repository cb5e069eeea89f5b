package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

// call opens the door once; each call below is a whole one, with its decisions,
// the key service's part and a durable record.
func (b *bench) call(t testing.TB) *api.Call {
	t.Helper()
	c, err := b.Door.Begin(context.Background(), api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: b.admin.Entity.ID}, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func BenchmarkPut4K(b *testing.B) {
	r := newBench(b)
	r.bucket(b, "data")
	c, body := r.call(b), make([]byte, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	i := 0
	for b.Loop() {
		i++
		in := &s3.PutObjectInput{Bucket: "data", Key: fmt.Sprint("k", i), Body: bytes.NewReader(body)}
		if _, err := api.Invoke[s3.PutObjectOutput](b.Context(), c, "s3:PutObject", in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet4K(b *testing.B) { benchmarkGet(b, 4096) }

func BenchmarkGet16M(b *testing.B) { benchmarkGet(b, 16<<20) }

func benchmarkGet(b *testing.B, size int) {
	r := newBench(b)
	r.bucket(b, "data")
	r.put(b, "data", "k", string(make([]byte, size)))
	c := r.call(b)
	b.ReportAllocs()
	b.SetBytes(int64(size))
	for b.Loop() {
		out, err := api.Invoke[s3.GetObjectOutput](b.Context(), c, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"})
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, out.Body); err != nil || n != int64(size) {
			b.Fatal(n, err)
		}
		out.Body.Close()
	}
}

func BenchmarkList1000(b *testing.B) {
	r := newBench(b)
	r.bucket(b, "data")
	var keys []string
	for i := range 5000 {
		keys = append(keys, fmt.Sprintf("dir/%06d", i))
	}
	r.fill(b, "data", keys)
	c := r.call(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := api.Invoke[s3.ListObjectsV2Output](b.Context(), c, "s3:ListObjectsV2", &s3.ListObjectsV2Input{Bucket: "data"}); err != nil {
			b.Fatal(err)
		}
	}
}
