package witness_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/witness"
)

// shown is what a memory is asked, with what the head says.
func (l *log) shown(t *testing.T, s ledger.Signer, old, size int64) (ledger.Checkpoint, ledger.Extension) {
	return ledger.Checkpoint{Origin: s.Origin(), Size: size, Root: l.roots[size]}, l.ask(t, s, old, size)
}

func newFile(t *testing.T) (witness.File, ledger.Signer) {
	s := signerOf(t, "bawn.test/log")
	key, err := s.Verifier()
	must(t, err)
	f := witness.File{Path: filepath.Join(t.TempDir(), "pin"), Log: key}
	must(t, os.WriteFile(f.Path, nil, 0o600))
	return f, s
}

func TestFileRemembers(t *testing.T) {
	f, s := newFile(t)
	honest, forged := newLog(20, -1), newLog(20, 3)
	show := func(l *log, old, size int64) error {
		next, e := l.shown(t, s, old, size)
		_, err := f.Ask(t.Context(), next, e)
		return err
	}
	conflicts := func(what string, err error, size int64) {
		t.Helper()
		var c *witness.Conflict
		if !errors.As(err, &c) || c.Size != size {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, show(honest, 0, 5))
	must(t, show(honest, 5, 5))
	must(t, show(honest, 5, 12))
	conflicts("from nothing, again", show(honest, 0, 15), 12)
	conflicts("a step back", show(honest, 5, 8), 12)
	for _, size := range []int64{12, 15} {
		if err := show(forged, 12, size); !errors.Is(err, witness.ErrHistory) {
			t.Errorf("another history of %d: %v", size, err)
		}
	}
	next, e := honest.shown(t, s, 12, 15)
	e.Hashes = append(e.Hashes, ledger.Hash{})
	if _, err := f.Ask(t.Context(), next, e); !errors.Is(err, witness.ErrHistory) {
		t.Errorf("a proof with more than it needs: %v", err)
	}
	signed, err := f.Read()
	must(t, err)
	if c, err := f.Log.Open(signed); err != nil || c.Size != 12 {
		t.Errorf("it remembers %+v, %v", c, err)
	}
	if info, err := os.Stat(f.Path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v %v: a head is public", info.Mode(), err)
	}
}

// What is not a head of the log is neither taken for one nor overwritten.
func TestFileOfSomethingElse(t *testing.T) {
	other := signerOf(t, "bawn.test/log") // of the same name
	honest := newLog(20, -1)
	for name, put := range map[string]func(t *testing.T, path string){
		"text":         func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("precious"), 0o600)) },
		"another's":    func(t *testing.T, path string) { must(t, os.WriteFile(path, honest.ask(t, other, 0, 3).Signed, 0o600)) },
		"a pipe":       func(t *testing.T, path string) { must(t, syscall.Mkfifo(path, 0o600)) },
		"a directory":  func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) },
		"a large file": func(t *testing.T, path string) { must(t, os.WriteFile(path, make([]byte, 10<<20), 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFile(t)
			must(t, os.Remove(f.Path))
			put(t, f.Path)
			before, err := os.Lstat(f.Path)
			must(t, err)
			next, e := honest.shown(t, s, 0, 5)
			if _, err := f.Ask(t.Context(), next, e); !errors.Is(err, witness.ErrNoHead) {
				t.Error(err)
			}
			if after, err := os.Lstat(f.Path); err != nil || !os.SameFile(before, after) || after.Size() != before.Size() {
				t.Errorf("it was overwritten: %v", err)
			}
		})
	}
}

// A share that is not mounted has no file: what it remembers is not begun anew.
func TestFileThatIsAway(t *testing.T) {
	f, s := newFile(t)
	must(t, os.Remove(f.Path))
	next, e := newLog(5, -1).shown(t, s, 0, 5)
	if _, err := f.Ask(t.Context(), next, e); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := os.Lstat(f.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
	f.Make = true
	_, err := f.Ask(t.Context(), next, e)
	must(t, err)
}

// Who may write the directory cannot lead what is written elsewhere.
func TestFileIsNotWrittenThroughALink(t *testing.T) {
	f, s := newFile(t)
	precious := filepath.Join(t.TempDir(), "precious")
	must(t, os.WriteFile(precious, nil, 0o600))
	must(t, os.Remove(f.Path))
	must(t, os.Symlink(precious, f.Path))
	next, e := newLog(5, -1).shown(t, s, 0, 5)
	_, err := f.Ask(t.Context(), next, e)
	must(t, err)
	if text, err := os.ReadFile(precious); err != nil || len(text) > 0 {
		t.Errorf("%q, %v", text, err)
	}
}

// Several servers that share a file never see half of one.
func TestFileIsShared(t *testing.T) {
	f, s := newFile(t)
	l := newLog(200, -1)
	var servers sync.WaitGroup
	for range 4 {
		servers.Go(func() {
			for old, size := int64(0), int64(1); size <= 200; {
				next, e := l.shown(t, s, old, size)
				_, err := f.Ask(t.Context(), next, e)
				var c *witness.Conflict
				switch {
				case errors.As(err, &c):
					old, size = c.Size, max(size, c.Size)
				case err != nil:
					t.Error(err)
					return
				default:
					old, size = size, size+1
				}
			}
		})
	}
	servers.Wait()
}
