package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

type memory []Hash

func (m *memory) ReadHashes(indexes []int64) ([]Hash, error) {
	out := make([]Hash, len(indexes))
	for i, x := range indexes {
		out[i] = (*m)[x]
	}
	return out, nil
}

func record(i int) []byte { return fmt.Appendf(nil, "record %d", i) }

func newSigner(t testing.TB, name string) Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(name, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTree grows a tree in batches of every size up to 9 and proves everything
// about it, and that each proof holds for nothing else.
func TestTree(t *testing.T) {
	var stored memory
	var heads []Checkpoint
	var all Range
	for batch, size := 1, 0; size < 45; batch++ {
		b := NewBuilder(int64(size), &stored)
		var nodes []Hash
		for range batch {
			h := LeafHash(record(size))
			if err := b.Add(h); err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, all.Add(h)...)
			size++
		}
		if !slices.Equal(nodes, b.New) {
			t.Errorf("size %d: the range and the builder disagree on the nodes", size)
		}
		root, err := b.Root()
		if err != nil || root != all.Root() || all.Size() != int64(size) {
			t.Fatalf("size %d: builder's root %v, range's %v, %v", size, root, all.Root(), err)
		}
		stored = append(stored, b.New...)
		if want, err := tlog.TreeHash(int64(size), &stored); err != nil || want != root {
			t.Fatalf("size %d: stored nodes give %v, %v", size, want, err)
		}
		heads = append(heads, Checkpoint{"log", int64(size), root})
	}
	last := heads[len(heads)-1]
	for leaf := range last.Size {
		proof, err := ProveInclusion(last.Size, leaf, &stored)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyInclusion(last, leaf, record(int(leaf)), proof); err != nil {
			t.Errorf("leaf %d: %v", leaf, err)
		}
		if err := VerifyInclusion(last, leaf, record(99), proof); !errors.Is(err, ErrProof) {
			t.Errorf("another record passed for leaf %d: %v", leaf, err)
		}
		if err := VerifyInclusion(last, (leaf+1)%last.Size, record(int(leaf)), proof); !errors.Is(err, ErrProof) {
			t.Errorf("leaf %d passed for another: %v", leaf, err)
		}
	}
	for _, older := range heads {
		proof, err := ProveConsistency(last.Size, older.Size, &stored)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyConsistency(last, older, proof); err != nil {
			t.Errorf("from %d: %v", older.Size, err)
		}
		older.Root[0] ^= 1
		if err := VerifyConsistency(last, older, proof); !errors.Is(err, ErrProof) {
			t.Errorf("from a rewritten %d: %v", older.Size, err)
		}
	}
}

func TestCheckpoint(t *testing.T) {
	s := newSigner(t, "log.example/audit")
	v, err := s.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	c := Checkpoint{Origin: "log.example/audit", Size: 7, Root: LeafHash([]byte("x"))}
	signed, err := s.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Open(signed); err != nil || got != c {
		t.Fatalf("opened %v, %v", got, err)
	}
	if again, err := ParseVerifier(v.String()); err != nil {
		t.Error(err)
	} else if _, err := again.Open(signed); err != nil {
		t.Error(err)
	}
	for i := range signed {
		bad := bytes.Clone(signed)
		bad[i] ^= 1
		if got, err := v.Open(bad); err == nil && got != c {
			t.Errorf("byte %d altered: opened as %v", i, got)
		}
	}
	other, err := newSigner(t, "log.example/audit").Verifier()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(signed); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("another key of that name: %v", err)
	}
	if _, err := s.Sign(Checkpoint{Origin: "else", Size: 1}); err == nil {
		t.Error("signed for another log")
	}
	if _, err := (Verifier{}).Open(signed); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("the zero verifier: %v", err)
	}
	if _, err := (Signer{}).Sign(c); err == nil {
		t.Error("the zero signer signed")
	}
	if _, err := NewSigner("two words", make([]byte, 64)); err == nil {
		t.Error("a bad name passed")
	}
}

func FuzzOpen(f *testing.F) {
	s := newSigner(f, "log")
	v, err := s.Verifier()
	if err != nil {
		f.Fatal(err)
	}
	signed, err := s.Sign(Checkpoint{Origin: "log", Size: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte("log\n3\nAAAA\n\n— log AAAA\n"))
	f.Add([]byte("log\n-1\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := v.Open(b)
		if err == nil && (c.Origin != "log" || c.Size != 3) {
			t.Errorf("opened %q as %v", b, c)
		}
		if parsed, err := parseCheckpoint(string(b)); err == nil && parsed.text() != string(b) {
			t.Errorf("%q reads as %v, which prints otherwise", b, parsed)
		}
	})
}
