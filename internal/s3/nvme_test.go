package s3

import (
	"encoding/hex"
	"hash/crc64"
	"math/rand/v2"
	"testing"
)

// The checksum is the library's, of every length and however it is cut, and that of
// the catalogue of CRCs.
func TestCRC64NVME(t *testing.T) {
	h := newCRC64()
	h.Write([]byte("123456789"))
	if got := hex.EncodeToString(h.Sum(nil)); got != "ae8b14860a799888" {
		t.Errorf("the check value is %s", got)
	}
	table := crc64.MakeTable(nvme)
	dice := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, dice.IntN(5000))
		for i := range b {
			b[i] = byte(dice.Uint32())
		}
		h.Reset()
		cut := dice.IntN(len(b) + 1)
		h.Write(b[:cut])
		h.Write(b[cut:])
		want := crc64.New(table)
		want.Write(b)
		if string(h.Sum(nil)) != string(want.Sum(nil)) {
			t.Fatalf("%d bytes cut at %d: %x, not %x", len(b), cut, h.Sum(nil), want.Sum(nil))
		}
	}
}

func BenchmarkCRC64NVME(b *testing.B) {
	h, p := newCRC64(), make([]byte, 32<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		h.Write(p)
	}
}
