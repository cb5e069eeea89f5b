package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openDir(t testing.TB, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func put(t testing.TB, d *Dir, content []byte) Ref {
	t.Helper()
	w, err := d.Create(t.Context())
	must(t, err)
	_, err = w.Write(content)
	must(t, err)
	r, err := w.Commit()
	must(t, err)
	return r
}

func get(d *Dir, r Ref) ([]byte, error) {
	in, err := d.Open(context.Background(), r)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.NewSectionReader(in, 0, in.Size()))
}

func stored(t testing.TB, d *Dir) map[Ref]int64 {
	t.Helper()
	all := make(map[Ref]int64)
	for s, err := range d.Refs(t.Context()) {
		must(t, err)
		all[s.Ref] = s.Size
	}
	return all
}

// TestRoundTrip writes every kind of size, in one piece and in many, and reads
// it back before and after a restart.
func TestRoundTrip(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	want := make(map[Ref][]byte)
	for _, size := range []int{0, 1, 7, 8, 9, 4096, MaxSmall - 1, MaxSmall, MaxSmall + 1, 1 << 20} {
		content := random(size)
		want[put(t, d, content)] = content
		w, err := d.Create(t.Context())
		must(t, err)
		for piece := range slices.Chunk(content, 1000) {
			_, err := w.Write(piece)
			must(t, err)
		}
		r, err := w.Commit()
		must(t, err)
		must(t, w.Abort()) // does nothing now
		want[r] = content
	}
	for range 2 {
		for r, content := range want {
			if got, err := get(d, r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s of %d bytes: read %d, %v", r, len(content), len(got), err)
			}
		}
		all := stored(t, d)
		if len(all) != len(want) {
			t.Errorf("%d blobs are stored, %d were written", len(all), len(want))
		}
		for r, size := range all {
			if int64(len(want[r])) != size {
				t.Errorf("%s is said to be %d bytes", r, size)
			}
		}
		must(t, d.Close())
		d = openDir(t, path)
	}
}

func TestReaderAt(t *testing.T) {
	d := openDir(t, t.TempDir())
	for _, size := range []int{5000, MaxSmall + 5000} {
		content := random(size)
		in, err := d.Open(t.Context(), put(t, d, content))
		must(t, err)
		part := make([]byte, 100)
		if n, err := in.ReadAt(part, 4900); n != 100 || err != nil && err != io.EOF || !bytes.Equal(part, content[4900:5000]) {
			t.Errorf("%d bytes: read %d, %v", size, n, err)
		}
		must(t, in.Close())
	}
}

// TestManyAtOnce has writers share syncs; none gets another's bytes.
func TestManyAtOnce(t *testing.T) {
	d := openDir(t, t.TempDir())
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range 10 {
				content := random(100 * (i + 1))
				w, err := d.Create(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				w.Write(content)
				r, err := w.Commit()
				if err != nil {
					t.Error(err)
				}
				if got, err := get(d, r); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s: %v", r, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAbortLeavesNothing(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	for _, size := range []int{10, MaxSmall + 10} {
		w, err := d.Create(t.Context())
		must(t, err)
		_, err = w.Write(random(size))
		must(t, err)
		must(t, w.Abort())
		must(t, w.Abort())
		if _, err := w.Commit(); err == nil {
			t.Error("committed after Abort")
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("wrote after Abort")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	w, err := d.Create(ctx)
	must(t, err)
	_, err = w.Write(random(MaxSmall + 10))
	must(t, err)
	cancel()
	if _, err := w.Commit(); !errors.Is(err, context.Canceled) {
		t.Errorf("committed after the end of its call: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(path, unborn))
	if err != nil || len(left) != 0 || len(stored(t, d)) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestDelete: what is deleted is gone, its neighbours stay, its space comes back,
// and a segment without blobs goes.
func TestDelete(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	var refs []Ref
	for range 10 {
		refs = append(refs, put(t, d, random(64<<10)))
	}
	large := put(t, d, random(1<<20))
	segment := filepath.Join(path, segments, d.log.current())
	before := space(t, segment)
	in, err := d.Open(t.Context(), refs[0])
	must(t, err)
	for _, r := range append(slices.Clone(refs[:9]), large) {
		must(t, d.Delete(t.Context(), r))
		if _, err := get(d, r); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a deleted blob: %v", err)
		}
		if err := d.Delete(t.Context(), r); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("deleted twice: %v", err)
		}
	}
	if n, err := io.Copy(io.Discard, io.NewSectionReader(in, 0, in.Size())); n != 64<<10 || err != nil {
		t.Errorf("an open reader read %d, %v", n, err)
	}
	if after := space(t, segment); after > before/4 {
		t.Errorf("the segment took %d bytes and still takes %d", before, after)
	}
	if got := stored(t, d); len(got) != 1 || got[refs[9]] != 64<<10 {
		t.Errorf("stored: %v", got)
	}
	must(t, d.Close())

	d = openDir(t, path)
	if _, err := get(d, refs[9]); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
	must(t, d.Delete(t.Context(), refs[9]))
	if _, err := os.Stat(segment); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty segment is still there: %v", err)
	}
}

func space(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return st.Blocks * 512
}

// TestTornEnd cuts and damages the end of a segment in every way that a crash
// could: what was acknowledged before stays, nothing torn appears.
func TestTornEnd(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	first, last := put(t, d, []byte("first")), put(t, d, bytes.Repeat([]byte("last"), 10))
	segment := filepath.Join(path, segments, d.log.current())
	must(t, d.Close())
	whole, err := os.ReadFile(segment)
	must(t, err)
	p, err := last.parse()
	must(t, err)
	for i := p.offset; i < p.offset+headerSize+p.length; i++ {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x20
		for what, bytes := range map[string][]byte{"cut": whole[:i], "damaged": damaged} {
			must(t, os.WriteFile(segment, bytes, 0o600))
			d := openDir(t, path)
			if got, err := get(d, first); err != nil || string(got) != "first" {
				t.Fatalf("%s at %d: the first reads %q, %v", what, i, got, err)
			}
			if _, err := get(d, last); err == nil {
				t.Fatalf("%s at %d: the last was read", what, i)
			}
			if got := stored(t, d); len(got) != 1 {
				t.Fatalf("%s at %d: stored %v", what, i, got)
			}
			after := put(t, d, []byte("after"))
			if got := stored(t, d); len(got) != 2 || got[after] != 5 {
				t.Fatalf("%s at %d: stored %v", what, i, got)
			}
			must(t, d.Delete(t.Context(), after))
			must(t, d.Close())
		}
	}
}

func TestHostileRefs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blobs")
	must(t, os.WriteFile(filepath.Join(filepath.Dir(path), "secret"), []byte("secret"), 0o600))
	d := openDir(t, path)
	good := put(t, d, []byte("good"))
	p, err := good.parse()
	must(t, err)
	for _, r := range []Ref{"", "o", "o..1", "o.../secret.6", Ref("o." + p.segment + ".-1"), Ref("o." + p.segment), "f", "f.", "f...", "f.../secret", "f.../../secret", "f./etc/passwd", "f.%2e%2e", `f...\secret`,
		"s.../secret.0.6.aaaa", "x." + Ref(p.segment), Ref("f." + p.segment + "x"), Ref(good + ".x"), good[:len(good)-1],
		Ref(fmt.Sprintf("s.%s.+%d.4.%s", p.segment, p.offset, p.id)), Ref(fmt.Sprintf("s.%s.-8.4.%s", p.segment, p.id)),
		Ref(fmt.Sprintf("s.%s.0.99999999.%s", p.segment, p.id)), Ref(fmt.Sprintf("s.%s.00.4.%s", p.segment, p.id)),
		Ref(bytes.Repeat([]byte("f."), 1<<20)),
	} {
		if _, err := d.Open(t.Context(), r); !errors.Is(err, ErrRef) {
			t.Errorf("opened %.80q: %v", r, err)
		}
		if err := d.Delete(t.Context(), r); !errors.Is(err, ErrRef) {
			t.Errorf("deleted %.80q: %v", r, err)
		}
	}
	// Well formed, but made up: without the random id there is nothing.
	p.id[0] ^= 1
	for _, r := range []Ref{p.ref(), place{object: p.segment, length: 4}.ref(), place{file: newID().String()}.ref(), place{segment: newID().String(), length: 4}.ref()} {
		if _, err := d.Open(t.Context(), r); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("opened %q: %v", r, err)
		}
		if err := d.Delete(t.Context(), r); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("deleted %q: %v", r, err)
		}
	}
	if got, err := get(d, good); err != nil || string(got) != "good" {
		t.Errorf("the good one reads %q, %v", got, err)
	}
}

// TestSymlinkOut: a link in the directory leads nowhere outside it.
func TestSymlinkOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blobs")
	d := openDir(t, path)
	secret := filepath.Join(filepath.Dir(path), "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	id := newID().String()
	must(t, os.Symlink(secret, filepath.Join(path, files, id)))
	if got, err := get(d, place{file: id}.ref()); err == nil {
		t.Errorf("read %q through a link", got)
	}
}

func TestPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blobs")
	d := openDir(t, path)
	put(t, d, []byte("small"))
	put(t, d, random(MaxSmall+1))
	must(t, filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		must(t, err)
		info, err := e.Info()
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	}))
	if _, err := OpenDir(path); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
}

// TestDeletedUnderUs: a commit into files that are no longer there is no commit.
func TestDeletedUnderUs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blobs")
	d := openDir(t, path)
	put(t, d, []byte("before"))
	must(t, os.RemoveAll(path))
	w, err := d.Create(t.Context())
	must(t, err)
	_, err = w.Write([]byte("after"))
	must(t, err)
	if r, err := w.Commit(); err == nil {
		t.Errorf("committed %s into a deleted file", r)
	}
	if _, err := d.Create(t.Context()); err == nil {
		t.Error("went on")
	}
}

func TestClosed(t *testing.T) {
	d := openDir(t, t.TempDir())
	w, err := d.Create(t.Context())
	must(t, err)
	must(t, d.Close())
	if _, err := w.Commit(); !errors.Is(err, ErrClosed) {
		t.Errorf("committed after Close: %v", err)
	}
}

func FuzzRef(f *testing.F) {
	id := newID()
	f.Add(string(place{file: id.String()}.ref()))
	f.Add(string(place{segment: id.String(), offset: 40, length: 5, id: id}.ref()))
	f.Add(string(place{object: id.String(), length: 5}.ref()))
	f.Add("s.a.b.c.d")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := Ref(s).parse(); err == nil && string(p.ref()) != s {
			t.Errorf("%q reads as %v, which prints otherwise", s, p)
		}
	})
}

func FuzzHeader(f *testing.F) {
	b := make([]byte, headerSize)
	header{id: newID()}.put(b, []byte("content"))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := parseHeader(b); ok && (h.length < 0 || h.length > MaxSmall) {
			t.Errorf("a header of length %d", h.length)
		}
	})
}
