package apitest

import (
	"bytes"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/trail"
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

// Holds says whether one of forms stands in a file, or, if that is Bawn's database, in
// an event of its record, which is stored compressed.
func Holds(path string, forms []string) (bool, error) {
	holds, err := written(path, forms)
	if holds || err != nil || filepath.Base(path) != "bawn.db" {
		return holds, err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return false, err
	}
	defer db.Close()
	rows, err := db.Query("SELECT event FROM trail_records")
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var stored []byte
		if err := rows.Scan(&stored); err != nil {
			return false, err
		}
		event := trail.Expand(stored)
		for _, form := range forms {
			if bytes.Contains(event, []byte(form)) {
				return true, nil
			}
		}
	}
	return false, rows.Err()
}

// written searches what was written of a file, and not its holes: a volume's file is a
// gigabyte of them.
func written(path string, forms []string) (bool, error) {
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
