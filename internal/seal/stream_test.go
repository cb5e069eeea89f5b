package seal

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"
)

var testKey = bytes.Repeat([]byte{7}, KeySize)

// pattern is n bytes that differ from chunk to chunk.
func pattern(n int) []byte {
	p := make([]byte, n)
	x := uint32(1)
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

func sealStream(t testing.TB, plain, aad []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, testKey, aad)
	if err != nil {
		t.Fatal(err)
	}
	// Odd pieces, so that chunk borders fall inside writes.
	for len(plain) > 0 {
		n := min(len(plain), 12_345)
		if _, err := w.Write(plain[:n]); err != nil {
			t.Fatal(err)
		}
		plain = plain[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func openStream(sealed, aad []byte) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(sealed), testKey, aad)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

var streamSizes = []int{0, 1, 100, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2 * ChunkSize, 3*ChunkSize + 17}

func TestStreamRoundTrip(t *testing.T) {
	for _, size := range streamSizes {
		plain, aad := pattern(size), []byte("bucket/key")
		sealed := sealStream(t, plain, aad)
		if got := SealedSize(int64(size)); got != int64(len(sealed)) {
			t.Errorf("SealedSize(%d) = %d, the stream has %d", size, got, len(sealed))
		}
		for name, src := range map[string]io.Reader{
			"whole":         bytes.NewReader(sealed),
			"bytes":         iotest.OneByteReader(bytes.NewReader(sealed)),
			"data with EOF": iotest.DataErrReader(bytes.NewReader(sealed)),
		} {
			r, err := NewReader(src, testKey, aad)
			if err != nil {
				t.Fatal(err)
			}
			if err := iotest.TestReader(r, plain); err != nil {
				t.Errorf("size %d, source of %s: %v", size, name, err)
			}
		}
	}
}

func TestReadAt(t *testing.T) {
	for _, size := range streamSizes {
		plain := pattern(size)
		sealed := sealStream(t, plain, nil)
		r, err := OpenAt(bytes.NewReader(sealed), int64(len(sealed)), testKey, nil)
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		if r.Size() != int64(size) {
			t.Errorf("Size() = %d, want %d", r.Size(), size)
		}
		for _, off := range streamSizes {
			for _, n := range []int{1, 17, ChunkSize, 2*ChunkSize + 3} {
				lo, hi := min(off, size), min(off+n, size)
				want := plain[lo:hi]
				got, err := io.ReadAll(r.Range(int64(off), int64(n)))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("size %d: Range(%d, %d): %d bytes, %v", size, off, n, len(got), err)
				}
				p := make([]byte, n)
				k, err := r.ReadAt(p, int64(off))
				if wantErr := len(want) < n; !bytes.Equal(p[:k], want) || wantErr && err != io.EOF || !wantErr && err != nil {
					t.Errorf("size %d: ReadAt(%d bytes, %d) = %d, %v", size, n, off, k, err)
				}
			}
		}
		for _, c := range [][2]int64{{-1, 5}, {5, -1}, {-1 << 63, 1 << 62}, {1 << 62, 1 << 62}, {int64(size), 1 << 62}} {
			if got, err := io.ReadAll(r.Range(c[0], c[1])); len(got) != 0 || err != nil {
				t.Errorf("Range(%d, %d): %d bytes, %v", c[0], c[1], len(got), err)
			}
		}
		if _, err := r.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
			t.Errorf("ReadAt(-1): %v", err)
		}
	}
}

// TestReadAtConcurrently is for the race detector, and for buffers that calls might share.
func TestReadAtConcurrently(t *testing.T) {
	plain := pattern(4*ChunkSize + 100)
	sealed := sealStream(t, plain, nil)
	r, err := OpenAt(bytes.NewReader(sealed), int64(len(sealed)), testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p := make([]byte, 5000)
			for off := i * 1000; off+len(p) <= len(plain); off += 31_000 {
				if n, err := r.ReadAt(p, int64(off)); n != len(p) || err != nil || !bytes.Equal(p, plain[off:off+n]) {
					t.Errorf("ReadAt(%d) = %d, %v", off, n, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSizes(t *testing.T) {
	seen := map[int64]int64{}
	for _, base := range []int64{0, ChunkSize, 7 * ChunkSize, 1 << 40, MaxStream} {
		for plain := max(0, base-40); plain <= min(base+40, MaxStream); plain++ {
			sealed := SealedSize(plain)
			if got, err := PlainSize(sealed); err != nil || got != plain {
				t.Fatalf("PlainSize(SealedSize(%d)) = %d, %v", plain, got, err)
			}
			seen[sealed] = plain
		}
		for sealed := SealedSize(base) - 40; sealed < SealedSize(base)+40; sealed++ {
			if got, err := PlainSize(sealed); err == nil && SealedSize(got) != sealed {
				t.Fatalf("PlainSize(%d) = %d, which is sealed to %d", sealed, got, SealedSize(got))
			}
		}
	}
	for _, sealed := range []int64{-1 << 63, -1, 0, streamHeader, SealedSize(0) - 1, SealedSize(ChunkSize) + 1,
		SealedSize(ChunkSize) + chunkOverhead, SealedSize(MaxStream) + 1, 1<<63 - 1} {
		if got, err := PlainSize(sealed); err != ErrOpen {
			t.Errorf("PlainSize(%d) = %d, %v", sealed, got, err)
		}
	}
	if SealedSize(-1) != -1 || SealedSize(MaxStream+1) != -1 || SealedSize(1<<63-1) != -1 {
		t.Error("SealedSize of a length that no stream has")
	}
}

func TestWriterFails(t *testing.T) {
	full := errors.New("disk full")
	w, err := NewWriter(&failing{left: 1, err: full}, testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 3*ChunkSize)); err != full {
		t.Errorf("Write: %v", err)
	}
	if err := w.Close(); err != full {
		t.Errorf("Close after a failed write: %v", err)
	}
	var out bytes.Buffer
	if w, err = NewWriter(&out, testKey, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sealed := out.Len()
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("wrote after Close")
	}
	if err := w.Close(); err == nil || out.Len() != sealed {
		t.Error("a second Close wrote, or says that it closed the stream")
	}
	if _, err := NewWriter(&out, make([]byte, 16), nil); err == nil {
		t.Error("a writer under a short key")
	}
}

// failing takes some writes, then fails.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// TestSourceErrors: an error of the disk is not a forged stream.
func TestSourceErrors(t *testing.T) {
	broken := errors.New("input/output error")
	sealed := sealStream(t, pattern(2*ChunkSize), nil)
	for _, at := range []int{0, 10, streamHeader + 5, streamHeader + sealedChunk + 5, len(sealed)} {
		src := io.MultiReader(bytes.NewReader(sealed[:at]), iotest.ErrReader(broken))
		r, err := NewReader(src, testKey, nil)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err != broken {
			t.Errorf("source broken at %d: %v", at, err)
		}
	}
}

func BenchmarkWriter64MiB(b *testing.B) {
	plain := make([]byte, 1<<20)
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		w, err := NewWriter(io.Discard, testKey, nil)
		if err != nil {
			b.Fatal(err)
		}
		for range 64 {
			if _, err := w.Write(plain); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader64MiB(b *testing.B) {
	sealed := sealStream(b, make([]byte, 64<<20), nil)
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(sealed), testKey, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRange4KiB(b *testing.B) {
	sealed := sealStream(b, make([]byte, 64<<20), nil)
	r, err := OpenAt(bytes.NewReader(sealed), int64(len(sealed)), testKey, nil)
	if err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 4096)
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ReadAt(p, 33<<20); err != nil {
			b.Fatal(err)
		}
	}
}
