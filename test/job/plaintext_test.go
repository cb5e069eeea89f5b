package job

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/api/apitest"
)

// plaintext finds the files below the data directory in which a marker stands, raw,
// in base64 or in hex. It looks into everything that is Bawn's own: not the unpacked
// images, and not the view that an open volume gives to root, but the file that the
// volume lies in.
func (h *house) plaintext(t *testing.T, markers ...string) (within []string) {
	t.Helper()
	var forms []string
	for _, m := range markers {
		forms = append(forms, apitest.Forms(m)...)
	}
	device := deviceOf(t, h.data)
	err := filepath.WalkDir(h.data, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was for a moment only
			return nil
		case err != nil:
			return err
		case path == filepath.Join(h.data, "images"), d.IsDir() && deviceOf(t, path) != device:
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		holds, err := apitest.Holds(path, forms)
		if holds {
			within = append(within, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return within
}

// deviceOf tells file systems apart; of what is gone it is 0.
func deviceOf(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return st.Dev
}

func (h *house) noPlaintext(t *testing.T, markers ...string) {
	t.Helper()
	if within := h.plaintext(t, markers...); len(within) > 0 {
		t.Errorf("plaintext of %q is in %q", markers, within)
	}
	// It would be found.
	control := filepath.Join(h.data, "run", "control-"+t.Name())
	if err := os.WriteFile(control, []byte("x"+base64.StdEncoding.EncodeToString([]byte("x"+markers[0]))), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(control)
	if within := h.plaintext(t, markers[0]); !slices.Equal(within, []string{control}) {
		t.Errorf("what was planted is found in %q", within)
	}
}
