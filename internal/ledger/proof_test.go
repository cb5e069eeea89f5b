package ledger

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestProofText(t *testing.T) {
	s := newSigner(t, "log")
	v, err := s.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	var stored memory
	b := NewBuilder(0, &stored)
	for i := range 9 {
		if err := b.Add(LeafHash(record(i))); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Root()
	if err != nil {
		t.Fatal(err)
	}
	stored = b.New
	signed, err := s.Sign(Checkpoint{"log", 9, root})
	if err != nil {
		t.Fatal(err)
	}
	p := Proof{Record: record(4), Leaf: 4, Signed: signed}
	if p.Hashes, err = ProveInclusion(9, 4, &stored); err != nil {
		t.Fatal(err)
	}
	text := p.Text()
	if want := "c2sp.org/tlog-proof@v1\nextra cmVjb3JkIDQ=\nindex 4\n"; !strings.HasPrefix(string(text), want) || !bytes.HasSuffix(text, append([]byte("\n\n"), signed...)) {
		t.Errorf("%s", text)
	}
	again, err := ParseProof(text)
	if err != nil || !bytes.Equal(again.Record, p.Record) || again.Leaf != 4 || !slices.Equal(again.Hashes, p.Hashes) || !bytes.Equal(again.Signed, signed) {
		t.Errorf("%+v, %v", again, err)
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		q, err := ParseProof(bad)
		if err != nil {
			continue
		}
		if c, err := v.Check(q); err == nil && (c.Root != root || !bytes.Equal(q.Record, p.Record) || q.Leaf != 4) {
			t.Errorf("byte %d altered: it proves %q", i, q.Record)
		}
	}

	e := Extension{Old: 5, Signed: signed}
	if e.Hashes, err = ProveConsistency(9, 5, &stored); err != nil {
		t.Fatal(err)
	}
	if got, err := ParseExtension(e.Text()); err != nil || got.Old != 5 || !slices.Equal(got.Hashes, e.Hashes) || !bytes.Equal(got.Signed, signed) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "old 1", "old 01\n\nx", "old 1\nAAAA\n\nx", "new 1\n\nx", "old 1\n" + strings.Repeat("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 64) + "\nx"} {
		if _, err := ParseExtension([]byte(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra cmVjb3JkIDQ=\nindex 4\n\nx"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra \nindex 0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := ParseProof(text); err == nil && !bytes.Equal(p.Text(), text) {
			t.Errorf("%q reads as %+v, which prints otherwise", text, p)
		}
	})
}

func TestTilePaths(t *testing.T) {
	for _, c := range []struct {
		level   int
		n, size int64
		want    string
	}{
		{0, 0, 70_000, "tile/0/000"},
		{0, 69_999, 70_000, "tile/0/273.p/112"},
		{1, 256, 70_000, "tile/1/001.p/17"},
		{2, 0, 70_000, "tile/2/000.p/1"},
		{0, 1234067 * 256, 1 << 40, "tile/0/x001/x234/067"},
		{1, 0, 256, "tile/1/000.p/1"},
	} {
		if got := TilePath(TileAt(c.level, c.n, c.size)); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if got := RecordsPath(TileAt(0, 69_999, 70_000)); got != "records/273.p/112" {
		t.Error(got)
	}
	if w := TileAt(1, 0, 255).W; w != 0 {
		t.Errorf("a tile of %d over 255 leaves", w)
	}
}
