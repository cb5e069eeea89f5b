package volume_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/spec"
	"bawn.dev/internal/volume"
)

const size = 32 << 20

func newKey() []byte {
	key := make([]byte, volume.KeySize)
	rand.Read(key)
	return key
}

// place is a directory for volumes. It fails the test if one is still mounted
// at its end.
func place(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := mounts(t, dir); left != "" {
			t.Errorf("still mounted: %s", left)
		}
		if left := loops(t, dir); left != "" {
			t.Errorf("still attached: %s", left)
		}
	})
	return dir
}

func mounts(t testing.TB, dir string) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, dir) {
			return line
		}
	}
	return ""
}

func loops(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && strings.HasPrefix(string(data), dir) {
			return string(data)
		}
	}
	return ""
}

func create(t testing.TB, dir string, key []byte) (*volume.Volume, string) {
	t.Helper()
	id := spec.NewID()
	v, err := volume.Create(t.Context(), dir, id, key, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := volume.Destroy(context.Background(), dir, id); err != nil {
			t.Errorf("Destroy: %v", err)
		}
	})
	return v, id
}

const (
	markerName = "patients-of-ward-7.csv"
	markerText = "a line which must never be read off the disk, 0123456789"
)

func writeMarker(t testing.TB, v *volume.Volume) {
	t.Helper()
	// More than a block, and a small file, which ext4 may keep in its inode.
	for name, n := range map[string]int{markerName: 1000, "small-" + markerName: 1} {
		content := strings.Repeat(markerText+"\n", n)
		if err := os.WriteFile(filepath.Join(v.Path(), name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(markerText, filepath.Join(v.Path(), "link")); err != nil {
		t.Fatal(err)
	}
}

func TestNothingInClear(t *testing.T) {
	dir, key := place(t), newKey()
	v, id := create(t, dir, key)
	writeMarker(t, v)
	if err := v.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(filepath.Join(dir, id+".img"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{markerText, markerName, markerName[:16], markerText[:16], string(key)} {
		if bytes.Contains(image, []byte(secret)) {
			t.Errorf("the image holds %.20q in clear", secret)
		}
	}
	// The file system itself is there: the search is of the right bytes.
	if !bytes.Contains(image, []byte("lost+found")) {
		t.Error("the image is not the file system")
	}
}

func TestReopen(t *testing.T) {
	dir, key := place(t), newKey()
	v, id := create(t, dir, key)
	writeMarker(t, v)
	for _, locked := range []bool{false, true} {
		if locked {
			if err := v.Lock(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		again, err := volume.Open(t.Context(), dir, id, key)
		if err != nil {
			t.Fatalf("locked %v: %v", locked, err)
		}
		data, err := os.ReadFile(filepath.Join(again.Path(), markerName))
		if err != nil || !strings.HasPrefix(string(data), markerText) {
			t.Errorf("locked %v: got %.20q, %v", locked, data, err)
		}
	}
}

func TestWrongKey(t *testing.T) {
	dir, key := place(t), newKey()
	v, id := create(t, dir, key)
	writeMarker(t, v)
	wrong := bytes.Clone(key)
	wrong[31] ^= 1
	if _, err := volume.Open(t.Context(), dir, id, wrong); !errors.Is(err, volume.ErrWrongKey) {
		t.Errorf("while open: %v", err)
	}
	if _, err := os.ReadFile(filepath.Join(v.Path(), markerName)); err != nil {
		t.Errorf("a wrong key closed the volume: %v", err)
	}
	if err := v.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := volume.Open(t.Context(), dir, id, wrong); !errors.Is(err, volume.ErrWrongKey) {
		t.Errorf("while locked: %v", err)
	}
	if left := mounts(t, dir); left != "" {
		t.Errorf("a refused opening left %s", left)
	}
	if _, err := volume.Open(t.Context(), dir, id, key[:31]); err == nil {
		t.Error("a short key was taken")
	}
}

func TestLock(t *testing.T) {
	dir, key := place(t), newKey()
	v, id := create(t, dir, key)
	writeMarker(t, v)
	for range 2 {
		if err := v.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.ReadDir(v.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the locked volume can be listed: %v", err)
	}
	// Somebody with root who mounts the image still has no key.
	names := volume.MountWithoutKey(t, dir, id)
	if len(names) != 3 {
		t.Fatalf("got %q", names)
	}
	for name, err := range names {
		if strings.Contains(name, "patients") || strings.Contains(name, "link") {
			t.Errorf("the name %q is readable", name)
		}
		if err == nil {
			t.Errorf("%q can be opened", name)
		}
	}
}

func TestLockWaitsForOpenFiles(t *testing.T) {
	dir, key := place(t), newKey()
	v, _ := create(t, dir, key)
	writeMarker(t, v)
	f, err := os.Open(filepath.Join(v.Path(), markerName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Lock(ctx); !errors.Is(err, volume.ErrBusy) {
		t.Errorf("got %v", err)
	}
	// The key is gone already: what is not open stays shut.
	if _, err := os.Open(filepath.Join(v.Path(), "small-"+markerName)); err == nil {
		t.Error("a second file could be opened after the key was removed")
	}
	f.Close()
	if err := v.Lock(t.Context()); err != nil {
		t.Errorf("after the file was closed: %v", err)
	}
}

func TestQuota(t *testing.T) {
	dir := place(t)
	v, _ := create(t, dir, newKey())
	err := os.WriteFile(filepath.Join(v.Path(), "big"), make([]byte, size+1), 0o600)
	if err == nil {
		t.Error("more than the volume's size was written")
	}
	if _, err := volume.Create(t.Context(), dir, spec.NewID(), newKey(), 1<<60); err == nil {
		t.Error("a volume larger than the disk was made")
	}
	if _, err := volume.Create(t.Context(), dir, spec.NewID(), newKey(), 1); err == nil {
		t.Error("a volume of one byte was made")
	}
}

func TestCreateOnce(t *testing.T) {
	dir, key := place(t), newKey()
	v, id := create(t, dir, key)
	writeMarker(t, v)
	if _, err := volume.Create(t.Context(), dir, id, newKey(), size); !errors.Is(err, volume.ErrExists) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(v.Path(), markerName)); err != nil {
		t.Errorf("the second creation harmed the first: %v", err)
	}
}

func TestDestroy(t *testing.T) {
	dir := place(t)
	_, id := create(t, dir, newKey())
	if ids, err := volume.List(dir); err != nil || len(ids) != 1 || ids[0] != id {
		t.Errorf("got %q, %v", ids, err)
	}
	for range 2 {
		if err := volume.Destroy(t.Context(), dir, id); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if _, err := volume.Open(t.Context(), dir, id, newKey()); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestFailedCreationLeavesNothing(t *testing.T) {
	dir := place(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // mkfs.ext4 is killed
	if _, err := volume.Create(ctx, dir, spec.NewID(), newKey(), size); err == nil {
		t.Fatal("it was made")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// A process that dies between making the image and sealing it leaves a volume
// that is never used in clear.
func TestUnfinished(t *testing.T) {
	dir := place(t)
	id := spec.NewID()
	volume.MakeUnsealed(t, dir, id)
	if _, err := volume.Open(t.Context(), dir, id, newKey()); !errors.Is(err, volume.ErrUnfinished) {
		t.Errorf("got %v", err)
	}
	if err := volume.Destroy(t.Context(), dir, id); err != nil {
		t.Error(err)
	}
}

func TestSealed(t *testing.T) {
	dir := place(t)
	if err := volume.Sealed(dir); err == nil {
		t.Error("a directory on the host's disk passes as sealed")
	}
	v, _ := create(t, dir, newKey())
	if err := volume.Sealed(v.Path()); err != nil {
		t.Error(err)
	}
	if err := volume.Sealed(filepath.Dir(v.Path())); err == nil {
		t.Error("the directory above a sealed one passes as sealed")
	}
}

func TestRefusesOpenDirectory(t *testing.T) {
	dir := place(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := volume.Create(t.Context(), dir, spec.NewID(), newKey(), size); err == nil {
		t.Error("a directory that others can enter was accepted")
	}
	for _, id := range []string{"", "../x", "UPPER"} {
		if _, err := volume.Create(t.Context(), place(t), id, newKey(), size); err == nil {
			t.Errorf("the id %q was accepted", id)
		}
	}
}

func BenchmarkCreateDestroy(b *testing.B) {
	b.ReportAllocs()
	dir, key := place(b), newKey()
	for b.Loop() {
		v, err := volume.Create(b.Context(), dir, spec.NewID(), key, 10<<30)
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Destroy(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
