package volume

import (
	"os"
	"path/filepath"
	"testing"
)

// MountWithoutKey mounts a locked volume as a thief would, and returns what
// opening each name in its sealed directory gives.
func MountWithoutKey(t testing.TB, dir, id string) map[string]error {
	t.Helper()
	v := &Volume{dir: dir, id: id}
	if err := v.mount(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := v.unmount(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	entries, err := os.ReadDir(v.Path())
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]error)
	for _, e := range entries {
		f, err := os.Open(filepath.Join(v.Path(), e.Name()))
		if err == nil {
			f.Close()
		}
		names[e.Name()] = err
	}
	return names
}

// MakeUnsealed makes what an interrupted Create leaves: a mounted file system
// with a directory that is not encrypted.
func MakeUnsealed(t testing.TB, dir, id string) {
	t.Helper()
	v := &Volume{dir: dir, id: id}
	if err := v.allocate(minSize); err != nil {
		t.Fatal(err)
	}
	if err := format(t.Context(), v.image()); err != nil {
		t.Fatal(err)
	}
	if err := v.mount(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(v.Path(), 0o711); err != nil {
		t.Fatal(err)
	}
}
