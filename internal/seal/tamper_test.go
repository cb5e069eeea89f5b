package seal

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// chunksOf cuts a sealed stream into its header and chunks.
func chunksOf(sealed []byte) (header []byte, chunks [][]byte) {
	header, sealed = sealed[:streamHeader], sealed[streamHeader:]
	for len(sealed) > 0 {
		n := min(len(sealed), sealedChunk)
		chunks = append(chunks, sealed[:n])
		sealed = sealed[n:]
	}
	return header, chunks
}

// refusedStream demands that both readers refuse, and that what they give before is a true beginning.
func refusedStream(t *testing.T, what string, sealed, plain, aad []byte) {
	t.Helper()
	got, err := openStream(sealed, aad)
	if err != ErrOpen || !bytes.HasPrefix(plain, got) {
		t.Errorf("%s: NewReader gave %d bytes, %v", what, len(got), err)
	}
	at, err := OpenAt(bytes.NewReader(sealed), int64(len(sealed)), testKey, aad)
	if err == nil {
		got, err = io.ReadAll(at.Range(0, at.Size()))
		if !bytes.HasPrefix(plain, got) {
			t.Errorf("%s: OpenAt gave false bytes", what)
		}
	}
	if err != ErrOpen {
		t.Errorf("%s: OpenAt: %v", what, err)
	}
}

func TestStreamBitFlips(t *testing.T) {
	for _, size := range []int{0, 5} {
		plain := pattern(size)
		sealed := sealStream(t, plain, nil)
		for i := range len(sealed) * 8 {
			m := bytes.Clone(sealed)
			m[i/8] ^= 1 << (i % 8)
			refusedStream(t, fmt.Sprintf("size %d, bit %d", size, i), m, plain, nil)
		}
	}
	plain := pattern(2*ChunkSize + 5)
	sealed := sealStream(t, plain, nil)
	for i := 0; i < len(sealed); i += 1 + i%4099 {
		m := bytes.Clone(sealed)
		m[i] ^= 0x10
		refusedStream(t, fmt.Sprintf("byte %d", i), m, plain, nil)
	}
}

func TestStreamCutAndExtended(t *testing.T) {
	for _, size := range streamSizes {
		plain := pattern(size)
		sealed := sealStream(t, plain, nil)
		cuts := []int{0, 1, streamHeader - 1, streamHeader, streamHeader + 1, streamHeader + chunkOverhead, len(sealed) - 1}
		for end := streamHeader + sealedChunk; end < len(sealed); end += sealedChunk {
			cuts = append(cuts, end-1, end, end+1, end+chunkOverhead) // at and near each chunk's end
		}
		for _, n := range cuts {
			if n < len(sealed) {
				refusedStream(t, fmt.Sprintf("size %d cut to %d", size, n), sealed[:n], plain, nil)
			}
		}
		_, chunks := chunksOf(sealed)
		for _, tail := range [][]byte{{0}, make([]byte, chunkOverhead), make([]byte, sealedChunk), chunks[len(chunks)-1], chunks[0], sealed} {
			refusedStream(t, fmt.Sprintf("size %d extended by %d", size, len(tail)), append(bytes.Clone(sealed), tail...), plain, nil)
		}
	}
}

func TestStreamSpliced(t *testing.T) {
	plain := pattern(4*ChunkSize + 9)
	sealed, other := sealStream(t, plain, nil), sealStream(t, plain, nil)
	header, chunks := chunksOf(sealed)
	otherHeader, otherChunks := chunksOf(other)
	join := func(header []byte, chunks ...[]byte) []byte {
		return append(bytes.Clone(header), bytes.Join(chunks, nil)...)
	}
	for what, m := range map[string][]byte{
		"two chunks exchanged":         join(header, chunks[1], chunks[0], chunks[2], chunks[3], chunks[4]),
		"a chunk dropped":              join(header, chunks[0], chunks[2], chunks[3], chunks[4]),
		"the first chunk dropped":      join(header, chunks[1:]...),
		"the last chunk dropped":       join(header, chunks[:4]...),
		"a chunk doubled":              join(header, chunks[0], chunks[0], chunks[1], chunks[2], chunks[3], chunks[4]),
		"a chunk of another stream":    join(header, chunks[0], otherChunks[1], chunks[2], chunks[3], chunks[4]),
		"the end of another stream":    join(header, chunks[0], chunks[1], chunks[2], chunks[3], otherChunks[4]),
		"the header of another stream": join(otherHeader, chunks...),
		"the last chunk alone":         join(header, chunks[4]),
	} {
		refusedStream(t, what, m, plain, nil)
	}
	refusedStream(t, "another aad", sealed, plain, []byte("x"))
	if _, err := openStream(sealed, nil); err != nil {
		t.Fatalf("the untouched stream: %v", err)
	}
}

// TestUncleanForms: who holds the key still cannot make a second form of one plaintext.
func TestUncleanForms(t *testing.T) {
	header := append([]byte{streamVersion}, counting(0, saltSize)...)
	s, err := newStream(testKey, header[1:], nil)
	if err != nil {
		t.Fatal(err)
	}
	full := pattern(ChunkSize)
	emptyEnd := s.seal(s.seal(bytes.Clone(header), full, 0, false), nil, 1, true)
	refusedStream(t, "an empty last chunk", emptyEnd, full, nil)
	short := s.seal(s.seal(bytes.Clone(header), full[:100], 0, false), full[:5], 1, true)
	refusedStream(t, "a short chunk in the middle", short, nil, nil)
}

func TestAbortedStreamDoesNotOpen(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out, testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := pattern(3 * ChunkSize)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	refusedStream(t, "no Close", out.Bytes(), plain, nil)
}

// TestReaderAtRefusesMidway: a range that touches a changed chunk fails, one that does not is still good.
func TestReaderAtRefusesMidway(t *testing.T) {
	plain := pattern(3 * ChunkSize)
	sealed := sealStream(t, plain, nil)
	sealed[streamHeader+sealedChunk+100] ^= 1
	r, err := OpenAt(bytes.NewReader(sealed), int64(len(sealed)), testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if _, err := r.ReadAt(p, 2*ChunkSize+5); err != nil || !bytes.Equal(p, plain[2*ChunkSize+5:][:10]) {
		t.Errorf("an untouched chunk: %v", err)
	}
	if n, err := r.ReadAt(p, ChunkSize-5); err != ErrOpen || !bytes.Equal(p[:n], plain[ChunkSize-5:][:n]) {
		t.Errorf("over the border: %d, %v", n, err)
	}
	g := r.Range(ChunkSize, 10)
	for range 2 {
		if n, err := g.Read(p); n != 0 || err != ErrOpen {
			t.Errorf("a changed chunk: %d, %v", n, err)
		}
	}
}

func FuzzNewReader(f *testing.F) {
	f.Add(sealStream(f, nil, nil))
	f.Add(sealStream(f, []byte("attack at dawn"), nil))
	f.Add([]byte{streamVersion})
	f.Fuzz(func(t *testing.T, data []byte) {
		aad := []byte("not what the seeds were sealed with")
		if got, err := openStream(data, aad); err != ErrOpen || len(got) != 0 {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
		if _, err := OpenAt(bytes.NewReader(data), int64(len(data)), testKey, aad); err != ErrOpen {
			t.Fatalf("OpenAt: %v", err)
		}
	})
}
