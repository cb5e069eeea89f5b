package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// guard notices what SQLite itself does not: that the files it writes to are no
// longer the ones in the directory, and that the disk is nearly full.
type guard struct {
	path    string
	minFree uint64
	files   map[string]os.FileInfo
	logSize int64 // of SQLite's log, when last looked at
}

const defaultMinFree = 64 << 20

func newGuard(path string, minFree uint64) guard {
	if minFree == 0 {
		minFree = defaultMinFree
	}
	return guard{path: path, minFree: minFree}
}

// remember notes the identity of the database and its log.
func (g *guard) remember() error {
	g.files = make(map[string]os.FileInfo)
	for _, name := range []string{g.path, g.path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		g.files[name] = info
	}
	return nil
}

// present returns an error when a file was deleted or replaced: what is written
// to it would be gone with the last descriptor.
func (g *guard) present() error {
	for name, was := range g.files {
		is, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("store: the database file is gone: %w", err)
		}
		if !os.SameFile(was, is) {
			return fmt.Errorf("store: the database file was replaced: %s", name)
		}
		if name != g.path {
			g.logSize = is.Size()
		}
	}
	return nil
}

func (g *guard) space() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(g.path), &fs); err != nil {
		return fmt.Errorf("store: free space: %w", err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < g.minFree {
		return fmt.Errorf("%w: %d MiB left, %d MiB demanded", ErrNoSpace, free>>20, g.minFree>>20)
	}
	return nil
}

// fileLock keeps a second process away from the database.
type fileLock struct{ file *os.File }

func lockFile(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w: %s", ErrLocked, path)
		}
		return nil, errors.Join(err, f.Close())
	}
	return &fileLock{f}, nil
}

func (l *fileLock) release() error { return l.file.Close() }
