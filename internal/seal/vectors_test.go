package seal

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// Constants printed by testdata/vectors.py, which follows docs/formats/seal.md and uses another implementation.
const (
	vectorKDF     = "dd283a1acff98d9c40e8b831a9de3620d96167434457979804fefd487e0b3137"
	vectorBlob    = "01404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f6465666768696a6b6c6d6e6fc2069732ebd68544b79ffba600ca1ff93f52a562b4db70965db3be39c4cb"
	vectorWrapped = "01404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f6465666768696a6b6c6d6e6fc9c9c49772110ab834c4ffa6361c4509ee122fcc551263a88956c01aa05030e143d33643e704e51a1ed6838152593f05"
	vectorStream  = "11404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f6465666768696a6b6c6d6e6f7502092acf44775edea33d2656596e85e1a2dc860a8f2188b5785c5428ac"
	vectorChunk   = "6465666768696a6b6c6d6e6f7502092acf44775edea33d265659be38aa8ca55d111cf92eba773f6f5229"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// counting is the bytes from first to last.
func counting(first, last byte) []byte {
	var b []byte
	for c := first; c < last; c++ {
		b = append(b, c)
	}
	return b
}

func TestKnownAnswers(t *testing.T) {
	key, salt, aad := counting(0, 32), counting(64, 96), []byte("context")
	const plain = "attack at dawn"
	if got := kdf(key, "bawn.dev/seal blob v1 message", salt); hex.EncodeToString(got) != vectorKDF {
		t.Errorf("kdf: %x", got)
	}
	if got, err := Open(key, unhex(t, vectorBlob), aad); err != nil || string(got) != plain {
		t.Errorf("blob: %q, %v", got, err)
	}
	if got, err := Unwrap(key, unhex(t, vectorWrapped), aad); err != nil || !bytes.Equal(got[:], counting(32, 64)) {
		t.Errorf("wrapped key: %v", err)
	}
	s, err := newStream(key, salt, aad)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.open(nil, unhex(t, vectorStream)[streamHeader:], 0, true); err != nil || string(got) != plain {
		t.Errorf("stream: %q, %v", got, err)
	}
	if got, err := s.open(nil, unhex(t, vectorChunk), 258, true); err != nil || string(got) != plain {
		t.Errorf("chunk: %q, %v", got, err)
	}
	// The same stream through the front.
	r, err := NewReader(bytes.NewReader(unhex(t, vectorStream)), key, aad)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	if n, err := r.Read(got); err != nil || string(got[:n]) != plain {
		t.Errorf("stream: %q, %v", got[:n], err)
	}
}
