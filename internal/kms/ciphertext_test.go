package kms

import (
	"bawn.dev/internal/cache"
	"bytes"
	"maps"
	"strings"
	"testing"

	"bawn.dev/internal/locked"
	"bawn.dev/internal/seal"
)

func FuzzParseCiphertext(f *testing.F) {
	k := &key{id: "11111111-2222-4333-8444-555555555555", version: 1}
	material := seal.NewKey()
	good, err := sealUnder(k, material[:], []byte("plaintext"), map[string]string{"a": "b"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Add([]byte{ciphertextVersion})
	f.Add(bytes.Repeat([]byte{0xff}, 200))
	f.Fuzz(func(t *testing.T, blob []byte) {
		c, ok := parseCiphertext(blob)
		if !ok {
			return
		}
		if len(c.key) != 36 || !plain(c.key, "") || c.version < 0 {
			t.Fatalf("%x names key %q, version %d", blob, c.key, c.version)
		}
		if !bytes.Equal(appendHeader(nil, &key{id: c.key, version: c.version}), c.header) {
			t.Fatalf("%x does not print as it was read", blob)
		}
		plaintext, err := c.open(material[:], map[string]string{"a": "b"})
		if err == nil && (string(plaintext) != "plaintext" || !bytes.Equal(blob, good)) {
			t.Fatalf("%x was forged", blob)
		}
	})
}

// FuzzAssociated looks for two contexts that are bound alike.
func FuzzAssociated(f *testing.F) {
	f.Add("a=b", "a=c")
	f.Add("ab=", "a=b")
	f.Add("a=b;c=d", "a=b;c=")
	f.Add("a=b;c=d", "c=d;a=b")
	read := func(s string) map[string]string {
		m := map[string]string{}
		for pair := range strings.SplitSeq(s, ";") {
			name, value, _ := strings.Cut(pair, "=")
			m[name] = value
		}
		return m
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := read(a), read(b)
		if same := bytes.Equal(associated(nil, x), associated(nil, y)); same != maps.Equal(x, y) {
			t.Fatalf("%v and %v: %v", x, y, same)
		}
	})
}

func TestMaterialIsZeroedWhenItLeavesTheCache(t *testing.T) {
	var left []*material
	var pieces [][]byte
	c := cache.New[materialID, *material](2, func(m *material) { pieces = append(pieces, m.clear); m.forget(); left = append(left, m) })
	memory := locked.New()
	for i := range 3 {
		c.Put(materialID{"k", int64(i)}, 1, &material{memory: memory, clear: memory.Copy(bytes.Repeat([]byte{7}, seal.KeySize))})
	}
	if len(left) != 1 || !bytes.Equal(pieces[0], make([]byte, seal.KeySize)) {
		t.Fatalf("%d left, not zeroed", len(left))
	}
	if err := left[0].use(func([]byte) error { return nil }); err != errEvicted {
		t.Errorf("evicted material was used: %v", err)
	}
}
