package verify_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/verify"
)

// Whoever made the copy put other things in place of its files: a pipe that never ends, a
// link to elsewhere, a directory, a file of zeros. Each is a problem, with its place.
func TestCopyOfSomethingElse(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	must(t, os.WriteFile(elsewhere, make([]byte, 300*32), 0o600))
	for what, put := range map[string]func(path string) error{
		"a pipe":        func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a link":        func(path string) error { return os.Symlink(elsewhere, path) },
		"an endless":    func(path string) error { return os.Symlink("/dev/zero", path) },
		"a directory":   func(path string) error { return os.Mkdir(path, 0o700) },
		"many zeros":    func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40)) },
		"an empty file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		for _, name := range []string{"checkpoint", "tile/0/000", "tile/1/000.p/1", "records/000"} {
			t.Run(what+" as "+name, func(t *testing.T) {
				s := newSource(t, 300)
				dir := filepath.Join(t.TempDir(), "copy")
				s.copied(t, dir)
				path := filepath.Join(dir, name)
				must(t, os.Remove(path))
				must(t, put(path))
				root, err := os.OpenRoot(dir)
				must(t, err)
				defer root.Close()
				r := verify.Log{Files: root.FS(), Key: s.key}.Whole()
				if len(r.Problems) == 0 || r.Problems[0].Where != name {
					t.Errorf("%+v", r)
				}
				if m, err := verify.OpenMirror(dir, s.key); err == nil {
					s.grow(400)
					if _, err := m.Receive(s.stream(t, m.Size())); err == nil && name == "checkpoint" {
						t.Error("it was taken for a copy")
					}
					must(t, m.Close())
				}
			})
		}
	}
}

// A trail's bucket is as much a stranger's.
func TestBucketOfSomethingElse(t *testing.T) {
	for what, put := range map[string]func(path string) error{
		"a pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"an endless":  func(path string) error { return os.Symlink("/dev/zero", path) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(what, func(t *testing.T) {
			b := newBucket(t, 3)
			for _, name := range []string{b.logs[2], b.digests[1]} {
				path := filepath.Join(b.dir, name)
				must(t, os.Remove(path))
				must(t, put(path))
			}
			root, err := os.OpenRoot(b.dir)
			must(t, err)
			defer root.Close()
			found := map[string]bool{}
			for _, p := range (verify.Trail{Files: root.FS(), Keys: b.keys, Newest: b.newest}).Check().Problems {
				found[p.Where] = true
			}
			if !found[b.digests[1]] {
				t.Errorf("%v", found)
			}
		})
	}
}

// A digest that names one log a thousand times has it read once.
func TestDigestNamesALogAgain(t *testing.T) {
	b := newBucket(t, 1)
	b.put(t, b.digests[0], bytes.Replace(b.get(t, b.digests[0]), []byte(`"logFiles":[`), []byte(`"logFiles":[`+strings.Repeat(`{"s3Object":"`+b.logs[0]+`","hashValue":"00"},`, 1000)), 1))
	changed, twice := 0, 0
	r := b.check()
	for _, p := range r.Problems {
		if strings.Contains(p.What, "has another hash") {
			changed++
		}
		if strings.Contains(p.What, "is named twice") {
			twice++
		}
	}
	if changed != 1 || twice == 0 || !r.Truncated {
		t.Errorf("%d, %d, %v", changed, twice, r.Problems[:3])
	}
}

// What is received never becomes a copy unless it is what the log signed.
func FuzzReceive(f *testing.F) {
	s := newSource(f, 20)
	f.Add(s.stream(f, 0).Bytes())
	f.Add(s.stream(f, 0, 3, 4).Bytes())
	f.Add([]byte("\n"))
	f.Add([]byte(base64.StdEncoding.EncodeToString(s.checkpoint(f, 20)) + "\n" + `"AAAA"` + "\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		dir := filepath.Join(t.TempDir(), "copy")
		m, err := verify.OpenMirror(dir, s.key)
		must(t, err)
		defer m.Close()
		_, err = m.Receive(bytes.NewReader(sent))
		signed, e := os.ReadFile(filepath.Join(dir, "checkpoint"))
		if errors.Is(e, fs.ErrNotExist) {
			return
		}
		must(t, e)
		c, e := s.key.Open(signed)
		if err != nil || e != nil {
			t.Fatalf("a checkpoint was written: %v, %v", err, e)
		}
		for _, p := range s.log(dir).Whole().Problems {
			if !strings.HasSuffix(p.What, "the record is missing") {
				t.Errorf("of %d leaves: %+v", c.Size, p)
			}
		}
	})
}

// FuzzDigest has a digest of anybody's checked: it is never taken for a trail's.
func FuzzDigest(f *testing.F) {
	b := newBucket(f, 1)
	original := b.get(f, b.digests[0])
	f.Add(original)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"digestEndTime":"x","logFiles":[{"s3Object":"../../etc/passwd"},{"s3Object":""},{"s3Object":"/"}]}`))
	files := fstest.MapFS{}
	for _, name := range b.logs {
		files[name] = &fstest.MapFile{Data: zipped(f, b.get(f, name))}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		forged := maps.Clone(files)
		forged[b.digests[0]] = &fstest.MapFile{Data: zipped(t, text)}
		r := verify.Trail{Files: forged, Keys: b.keys, Newest: b.newest}.Check()
		if !bytes.Equal(text, original) && len(r.Problems) == 0 {
			t.Errorf("%s: %+v", text, r)
		}
	})
}

// FuzzProof has a proof of anybody's checked: what holds is the record that was signed.
func FuzzProof(f *testing.F) {
	s := newSource(f, 20)
	dir := filepath.Join(f.TempDir(), "copy")
	s.copied(f, dir)
	for _, leaf := range []int64{0, 7, 19} {
		p, err := s.log(dir).Proof(leaf)
		must(f, err)
		f.Add(p.Text())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, record := verify.Record(s.key, text)
		p, err := ledger.ParseProof(text)
		if len(r.Problems) == 0 && (err != nil || string(record) != s.lines[p.Leaf]) {
			t.Errorf("%q was proven: %v", record, err)
		}
	})
}
