package kms

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// wrapPadded is RFC 5649 in the direction that the service never goes.
func wrapPadded(t testing.TB, kek, material []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	a := binary.BigEndian.AppendUint32([]byte{0xA6, 0x59, 0x59, 0xA6}, uint32(len(material)))
	r := append(bytes.Clone(material), make([]byte, (8-len(material)%8)%8)...)
	n := len(r) / 8
	b := make([]byte, 16)
	if n == 1 {
		block.Encrypt(b, append(a, r...))
		return b
	}
	for j := range 6 {
		for i := range n {
			block.Encrypt(b, append(bytes.Clone(a), r[8*i:8*i+8]...))
			a = binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(b)^uint64(n*j+i+1))
			copy(r[8*i:], b[8:])
		}
	}
	return append(a, r...)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of RFC 5649, section 6.
func TestKeyWrapOfTheRFC(t *testing.T) {
	kek := unhex(t, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
	for material, wrapped := range map[string]string{
		"c37b7e6492584340bed12207808941155068f738": "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
		"466f7250617369": "afbeb0f07dfbf5419200f2ccb50bb24f",
	} {
		got, err := unwrapPadded(kek, unhex(t, wrapped))
		if err != nil || hex.EncodeToString(got) != material {
			t.Errorf("%x, %v, not %s", got, err, material)
		}
	}
}

// The vectors of Wycheproof: 77 that open, and 177 whose padding was changed.
func TestKeyWrapVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/kwp.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		want := unhex(t, f[2])
		got, err := unwrapPadded(unhex(t, f[1]), unhex(t, f[3]))
		if valid := f[0] == "valid"; valid != (err == nil) || valid && !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v", line, got, err)
		}
		seen[f[0]]++
	}
	if seen["valid"] != 77 || seen["invalid"] != 177 {
		t.Errorf("%v", seen)
	}
}

func TestKeyWrapRefusesWhatWasChanged(t *testing.T) {
	kek := bytes.Repeat([]byte{7}, 32)
	for size := 1; size < 40; size++ {
		material := bytes.Repeat([]byte{0xAB}, size)
		wrapped := wrapPadded(t, kek, material)
		if got, err := unwrapPadded(kek, wrapped); err != nil || !bytes.Equal(got, material) {
			t.Fatalf("%d bytes: %x, %v", size, got, err)
		}
		for bit := range 8 * len(wrapped) {
			wrapped[bit/8] ^= 1 << (bit % 8)
			if got, err := unwrapPadded(kek, wrapped); err == nil {
				t.Fatalf("%d bytes, bit %d: it opens to %x", size, bit, got)
			}
			wrapped[bit/8] ^= 1 << (bit % 8)
		}
		for n := range len(wrapped) {
			if got, err := unwrapPadded(kek, wrapped[:n]); err == nil {
				t.Fatalf("%d of %d bytes open to %x", n, len(wrapped), got)
			}
		}
		if got, err := unwrapPadded(kek, append(wrapped, make([]byte, 8)...)); err == nil {
			t.Fatalf("%d bytes and more open to %x", size, got)
		}
	}
}

func FuzzKeyWrap(f *testing.F) {
	f.Add(make([]byte, 32), []byte("material"), []byte{})
	f.Add(make([]byte, 16), make([]byte, 2400), make([]byte, 24))
	f.Fuzz(func(t *testing.T, kek, material, wrapped []byte) {
		if n := len(kek); n != 16 && n != 24 && n != 32 {
			if _, err := unwrapPadded(kek, wrapped); err == nil {
				t.Fatalf("a key of %d bytes opens", n)
			}
			return
		}
		if got, err := unwrapPadded(kek, wrapped); err == nil && !bytes.Equal(wrapPadded(t, kek, got), wrapped) {
			t.Fatalf("%x opens to %x, which wraps otherwise", wrapped, got)
		}
		if len(material) == 0 || len(material) > 6000 {
			return
		}
		if got, err := unwrapPadded(kek, wrapPadded(t, kek, material)); err != nil || !bytes.Equal(got, material) {
			t.Fatalf("%x: %v", got, err)
		}
	})
}
