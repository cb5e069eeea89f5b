package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// MaxSmall is the largest content, in bytes, that goes into a segment: 128 KiB
	// and what sealing adds.
	MaxSmall = 132 << 10

	maxSegment = 64 << 20 // a segment at least this long takes no more entries

	segments = "segments"
	files    = "files"
	unborn   = "unfinished"
)

var (
	// ErrClosed says that the directory was closed.
	ErrClosed = errors.New("blob: closed")
	// ErrCorrupt says that stored bytes are not the ones that were written.
	ErrCorrupt = errors.New("blob: stored bytes are damaged")
	// ErrLocked says that another process uses the directory.
	ErrLocked = errors.New("blob: another process uses this directory")
)

// Dir is a directory of blobs. Its methods may be called from many goroutines.
type Dir struct {
	root   *os.Root
	handle *os.File // holds the lock
	failed atomic.Pointer[error]
	log    appender
	opened segmentFiles

	deleting sync.Mutex
	live     map[string]*use // what is left in a segment, once counted

	moves moves
}

// A use is what is left in a segment to which nothing is added any more.
type use struct {
	entries     int
	bytes, size int64 // that the entries take, and the whole file has
}

// OpenDir opens a directory, making it (0700) when absent, and removes what
// writes that were never committed left there. One process may have it open.
func OpenDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{root: root, live: make(map[string]*use)}
	d.log.dir, d.opened.dir = d, d
	d.log.idle.L = &d.log.mu
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Dir) prepare() error {
	handle, err := d.root.Open(".")
	if err != nil {
		return err
	}
	d.handle = handle
	if err := unix.Flock(int(handle.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return err
	}
	// What was being written when the last process ended.
	if err := d.root.RemoveAll(unborn); err != nil {
		return err
	}
	for _, name := range []string{segments, files, unborn} {
		if err := d.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return d.handle.Sync()
}

// Healthy returns nil, or why the directory takes no more blobs: after an error
// of a write or sync only a restart can tell what is on the disk.
func (d *Dir) Healthy() error {
	if err := d.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (d *Dir) fail(err error) error {
	d.failed.CompareAndSwap(nil, &err)
	return *d.failed.Load()
}

// Close waits for the commits in progress and closes the directory.
func (d *Dir) Close() error {
	d.fail(ErrClosed)
	errs := []error{d.log.close(), d.opened.close()}
	if d.handle != nil {
		errs = append(errs, d.handle.Close())
	}
	return errors.Join(append(errs, d.root.Close())...)
}

// syncDir makes new names in a directory durable.
func (d *Dir) syncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Delete removes a blob and gives its space back. It need not survive a crash: a
// blob that comes back has no row, and is collected as an orphan.
func (d *Dir) Delete(ctx context.Context, r Ref) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := r.parse()
	if err != nil {
		return err
	}
	if p.object != "" {
		return fs.ErrNotExist
	}
	if p.file != "" {
		return d.root.Remove(files + "/" + p.file)
	}
	d.deleting.Lock()
	defer d.deleting.Unlock()
	if err := d.bury(p); err != nil {
		return fmt.Errorf("blob: delete: %w", err)
	}
	return d.dropIfDead(p.segment)
}
