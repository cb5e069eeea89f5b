package apitest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// NoPlaintext fails if marker, which may be any bytes, stands anywhere below dir in
// one of its forms.
func NoPlaintext(t testing.TB, dir, marker string) {
	t.Helper()
	forms := Forms(marker)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var holds bool
			if holds, err = Holds(path, forms); holds {
				t.Errorf("%q stands in clear in %s", marker, path)
			}
		}
		if errors.Is(err, fs.ErrNotExist) { // it was for a moment only
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Holds says whether one of forms stands in a file. It reads what was written of it,
// and not its holes: a volume's file is a gigabyte of them.
func Holds(path string, forms []string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	const window, overlap = 1 << 20, 1 << 10
	buffer := make([]byte, window+overlap)
	for at := int64(0); ; at += window {
		if at, err = unix.Seek(int(f.Fd()), at, unix.SEEK_DATA); errors.Is(err, unix.ENXIO) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		n, err := f.ReadAt(buffer, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		for _, form := range forms {
			if bytes.Contains(buffer[:n], []byte(form)) {
				return true, nil
			}
		}
	}
}
