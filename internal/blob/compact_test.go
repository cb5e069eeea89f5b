package blob

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestCompaction: what is left of a segment goes where the rest is, is found under
// both names, and the segment's file goes; a half-full one is left alone.
func TestCompaction(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	contents := make(map[Ref][]byte)
	var refs []Ref
	for i := range 20 {
		content := random(300 + i) // too small for a hole of its own
		r := put(t, d, content)
		contents[r], refs = content, append(refs, r)
	}
	first := filepath.Join(path, segments, d.log.current())
	if sparse, err := d.Sparse(t.Context()); err != nil || len(sparse) != 0 {
		t.Errorf("of the segment that is appended to, %d are to move: %v", len(sparse), err)
	}
	for _, r := range refs[:9] {
		must(t, d.Delete(t.Context(), r))
	}
	must(t, d.Close())

	d = openDir(t, path)
	if sparse, err := d.Sparse(t.Context()); err != nil || len(sparse) != 0 {
		t.Errorf("of a segment that is more than half full, %d are to move: %v", len(sparse), err)
	}
	for _, r := range refs[9:15] {
		must(t, d.Delete(t.Context(), r))
	}
	sparse, err := d.Sparse(t.Context())
	must(t, err)
	if len(sparse) != 5 {
		t.Fatalf("%d are to move", len(sparse))
	}
	for _, b := range sparse {
		to, err := d.Copy(t.Context(), b.Ref)
		must(t, err)
		must(t, d.Moved(t.Context(), b.Ref, to))
		for _, r := range []Ref{b.Ref, to} {
			if got, err := get(d, r); err != nil || !bytes.Equal(got, contents[b.Ref]) {
				t.Errorf("after its move %s reads %d bytes: %v", r, len(got), err)
			}
		}
	}
	if _, err := os.Stat(first); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the segment is still there: %v", err)
	}
	if all := stored(t, d); len(all) != 5 {
		t.Errorf("%d blobs", len(all))
	}
	if sparse, err := d.Sparse(t.Context()); err != nil || len(sparse) != 0 {
		t.Errorf("then %d are to move: %v", len(sparse), err)
	}
}

// TestMovedAgain: each of a blob's names leads to where it is now, and to nothing once
// it was deleted there.
func TestMovedAgain(t *testing.T) {
	d := openDir(t, t.TempDir())
	names := []Ref{put(t, d, []byte("content"))}
	for range 3 {
		from := names[len(names)-1]
		to, err := d.Copy(t.Context(), from)
		must(t, err)
		must(t, d.Moved(t.Context(), from, to))
		names = append(names, to)
	}
	for _, r := range names {
		if got, err := get(d, r); err != nil || string(got) != "content" {
			t.Errorf("%s reads %q, %v", r, got, err)
		}
	}
	must(t, d.Delete(t.Context(), names[3]))
	for _, r := range names {
		if got, err := get(d, r); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("deleted, %s reads %q, %v", r, got, err)
		}
	}
}

// TestDamagedNeighbour: bytes that rotted are counted as those of others are, so that
// nobody's end with the deletion of what was damaged beside them.
func TestDamagedNeighbour(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	damaged, whole := put(t, d, random(300)), put(t, d, []byte("whole"))
	segment := filepath.Join(path, segments, d.log.current())
	must(t, d.Close())
	p, err := damaged.parse()
	must(t, err)
	content, err := os.ReadFile(segment)
	must(t, err)
	content[p.offset+headerSize] ^= 1
	must(t, os.WriteFile(segment, content, 0o600))

	d = openDir(t, path)
	if _, err := get(d, damaged); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the damaged one: %v", err)
	}
	if _, err := d.Sparse(t.Context()); err != nil { // which counts
		t.Fatal(err)
	}
	must(t, d.Delete(t.Context(), damaged))
	if got, err := get(d, whole); err != nil || string(got) != "whole" {
		t.Errorf("its neighbour reads %q, %v", got, err)
	}
	must(t, d.Delete(t.Context(), whole))
	if _, err := os.Stat(segment); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("then the segment is still there: %v", err)
	}
}
