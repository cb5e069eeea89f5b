package worker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/host"
	"bawn.dev/internal/worker"
)

func TestPutPaths(t *testing.T) {
	r := newRig(t)
	id := r.prepare(r.order("wait"))
	for _, name := range []string{
		"", ".", "..", "../x", "a/../../x", "/etc/x", "a//b", "a/", "./a", "a\x00b", ".bawn", ".bawn/log", ".bawn.spec", ".bawn.put-x",
		strings.Repeat("a", 256), strings.Repeat("a/", 3000) + "a",
	} {
		if err := r.Put(t.Context(), id, name, strings.NewReader("x")); !errors.Is(err, host.ErrInvalid) {
			t.Errorf("%.40q: %v", name, err)
		}
	}
	for _, name := range []string{"input/data/train/ünï cödé\n", "deep/" + strings.Repeat("d/", 20) + "f", "model"} {
		if err := r.Put(t.Context(), id, name, strings.NewReader("x")); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"deep", "model/x"} { // a directory; below a file
		if err := r.Put(t.Context(), id, name, strings.NewReader("x")); !errors.Is(err, host.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := r.Put(t.Context(), id, "model", strings.NewReader("newer")); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(r.inVolume(id, "model")); err != nil || string(got) != "newer" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A file appears whole or not at all, and a volume that is full stays usable.
func TestPutFails(t *testing.T) {
	r := newRig(t)
	id := r.prepare(r.order("wait"))
	broken := io.MultiReader(strings.NewReader("half"), iotestErr{})
	if err := r.Put(t.Context(), id, "file", broken); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	if err := r.Put(t.Context(), id, "file", io.LimitReader(zeros{}, 64<<20)); !errors.Is(err, host.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	entries, err := os.ReadDir(r.inVolume(id, ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".bawn.spec" {
			t.Errorf("%s was left", e.Name())
		}
	}
	if err := r.Put(t.Context(), id, "file", strings.NewReader("x")); err != nil {
		t.Error(err)
	}
}

var errBroken = errors.New("the other end broke")

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, errBroken }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// ended is a workload that has ended, on whose volume a test may leave what a
// program there could.
func ended(t *testing.T) (*rig, string) {
	r := newRig(t)
	id := r.run("exit", "0")
	r.eventually(id, exited)
	if err := os.MkdirAll(r.inVolume(id, "model"), 0o755); err != nil {
		t.Fatal(err)
	}
	return r, id
}

func TestArchive(t *testing.T) {
	r, id := ended(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(
		os.Mkdir(r.inVolume(id, "model/a"), 0o755),
		os.WriteFile(r.inVolume(id, "model/a/file"), []byte("content"), 0o640),
		os.WriteFile(r.inVolume(id, "model/na me\n\xff"), []byte("odd"), 0o600),
		os.WriteFile(r.inVolume(id, "secret"), []byte("not in model"), 0o600),
		os.WriteFile(outside, []byte("not in the volume"), 0o600),
		os.Symlink(outside, r.inVolume(id, "model/link")),
		os.Symlink("../secret", r.inVolume(id, "model/near")),
		os.Symlink("model", r.inVolume(id, "alias")),
		os.Symlink("/", r.inVolume(id, "model/root")),
		unix.Mkfifo(r.inVolume(id, "model/pipe"), 0o666),
		unix.Mknod(r.inVolume(id, "model/device"), unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0))),
	); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.Archive(t.Context(), id, "model", &out); err != nil {
		t.Fatal(err)
	}
	got := unpack(t, &out)
	if want := map[string]string{"a/": "", "a/file": "content", "na me\n\xff": "odd"}; !maps.Equal(got, want) {
		t.Errorf("got %q", slices.Sorted(maps.Keys(got)))
	}
	for _, dir := range []string{"alias", "alias/a", "model/root/etc", "model/link", "model/a/file", "nothing"} {
		out.Reset()
		if err := r.Archive(t.Context(), id, dir, &out); !errors.Is(err, host.ErrNotFound) || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", dir, err, out.Len())
		}
	}
	for _, file := range []string{"model/link", "model/near", "model/pipe", "model/device", "model/root/etc/passwd", "alias/a/file"} {
		if got, err := r.ReadFile(t.Context(), id, file, 100); !errors.Is(err, host.ErrNotFound) {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
}

// What a program left may claim to be more than any disk, or be nested without end.
func TestArchiveBombs(t *testing.T) {
	r, id := ended(t)
	if err := os.WriteFile(r.inVolume(id, "model/sparse"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(r.inVolume(id, "model/sparse"), 1<<40); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(r.inVolume(id, "deep/"+strings.Repeat("d/", 100)), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"model", "deep"} {
		if err := r.Archive(t.Context(), id, dir, io.Discard); !errors.Is(err, host.ErrTooLarge) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// A reader that stalls does not keep a volume from being locked, and learns that
// what it has is not whole.
func TestLockDuringArchive(t *testing.T) {
	r, id := ended(t)
	noise := make([]byte, 8<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	if err := os.WriteFile(r.inVolume(id, "model/big"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := r.Archive(context.Background(), id, "model", out)
		done <- err
		out.CloseWithError(err)
	}()
	if _, err := io.ReadFull(in, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := r.Lock(t.Context(), id); err != nil {
		t.Errorf("the volume was not locked: %v", err)
	}
	if _, err := io.Copy(io.Discard, in); err == nil {
		t.Error("the archive seems whole")
	}
	if err := <-done; err == nil {
		t.Error("the archive was whole")
	}
}

// Root works only where nobody else can exchange what it works with.
func TestTrusted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	inner := filepath.Join(dir, "host")
	if err := os.MkdirAll(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	change := func(uid int, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.Chown(dir, uid, -1), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		uid  int
		mode os.FileMode
		ok   bool
	}{
		{0, 0o755, true}, {0, 0o770 | os.ModeSticky, true}, {0, 0o777 | os.ModeSticky, true},
		{0, 0o770, false}, {0, 0o757, false}, {65534, 0o700, false}, {65534, 0o755 | os.ModeSticky, false},
	} {
		change(tt.uid, tt.mode)
		if err := worker.Trusted(inner); (err == nil) != tt.ok {
			t.Errorf("of %d with %v: %v", tt.uid, tt.mode, err)
		}
	}
	change(0, 0o755)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(inner, link); err != nil {
		t.Fatal(err)
	}
	if err := worker.Trusted(link); err == nil {
		t.Error("a link is trusted")
	}
	if err := worker.Trusted(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
