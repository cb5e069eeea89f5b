package seal

import (
	"bytes"
	"io"
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
		if got, err := PlainSize(int64(len(sealed))); err != nil || got != int64(size) {
			t.Errorf("PlainSize(%d) = %d, %v; want %d", len(sealed), got, err, size)
		}
		got, err := openStream(sealed, aad)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("size %d: read %d bytes, %v", size, len(got), err)
		}
		r, err := NewReader(iotest.OneByteReader(bytes.NewReader(sealed)), testKey, aad)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, plain); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
		at, err := OpenAt(bytes.NewReader(sealed), int64(len(sealed)), testKey, aad)
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		if at.Size() != int64(size) {
			t.Errorf("Size() = %d, want %d", at.Size(), size)
		}
		if err := iotest.TestReader(io.NewSectionReader(at, 0, at.Size()), plain); err != nil {
			t.Errorf("size %d: ReadAt: %v", size, err)
		}
	}
}
