package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A file takes lines at its end. Whoever renames it gets a new one under the old name;
// whoever cuts it off finds what follows at its new end.
//
// What was written and not noted in the cursor, because the server was killed or the disk
// was full, is recognized: the same records make the same bytes. So each line is in a file
// once, and whole, unless it was renamed just then: the new one has it too.
type file struct {
	path string
	f    *os.File
	// unsure says that what was written may not be on the disk though it can be read.
	unsure bool
}

func (d *file) close() {
	if d.f != nil {
		d.f.Close()
		d.f = nil
	}
}

func (d *file) take(_ context.Context, last place, lines []byte, note func(place) error) (place, error) {
	info, err := d.open()
	if err != nil {
		return last, err
	}
	here := place{identity(info), info.Size()}
	there, err := d.there(last, here, lines)
	if err != nil {
		return last, err
	}
	if there < 0 { // the file is another, or somebody else wrote to it
		if here, err = d.fresh(here); err != nil {
			return last, err
		}
		if err := note(here); err != nil {
			return last, err
		}
		d.unsure, there = false, 0
	}
	if _, err := d.f.Write(lines[there:]); err != nil {
		return last, err
	}
	if err := d.f.Sync(); err != nil {
		d.unsure = true
		return last, err
	}
	if info, err = d.f.Stat(); err != nil {
		return last, err
	}
	here.size = info.Size()
	return here, nil
}

// there is how much of the lines is in the file after what was noted, to its end; less
// than 0 if something else is.
func (d *file) there(last, here place, lines []byte) (int64, error) {
	more := here.size - last.size
	if d.unsure || here.file != last.file || more < 0 || more > int64(len(lines)) {
		return -1, nil
	}
	tail := make([]byte, more)
	if _, err := d.f.ReadAt(tail, last.size); err != nil {
		return -1, err
	}
	if !bytes.HasPrefix(lines, tail) {
		return -1, nil
	}
	return more, nil
}

// fresh is the place of a new line at the file's end.
func (d *file) fresh(here place) (place, error) {
	if here.size == 0 {
		return here, nil
	}
	var end [1]byte
	if _, err := d.f.ReadAt(end[:], here.size-1); err != nil || end[0] == '\n' {
		return here, err
	}
	if _, err := d.f.Write([]byte{'\n'}); err != nil {
		return here, err
	}
	here.size++
	return here, nil
}

// open opens the file that has the name now.
func (d *file) open() (fs.FileInfo, error) {
	if d.f != nil {
		info, err := d.f.Stat()
		if err != nil {
			return nil, err
		}
		if named, err := os.Lstat(d.path); err == nil && os.SameFile(named, info) {
			return info, nil
		}
		d.close()
	}
	f, err := os.OpenFile(d.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", d.path)
	}
	if err == nil && info.Size() == 0 {
		err = syncDir(filepath.Dir(d.path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	d.f = f
	return info, nil
}

// syncDir makes a new name in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// identity tells files apart, of whatever name.
func identity(info fs.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d:%d", s.Dev, s.Ino)
	}
	return ""
}
