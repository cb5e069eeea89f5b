package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/host"
	"bawn.dev/internal/spec"
)

// Put implements [host.Files]. Nothing has run on the volume yet, so that all that
// lies there is ours.
func (w *Worker) Put(ctx context.Context, id, name string, r io.Reader) error {
	if !theirs(name) || name == "." {
		return fmt.Errorf("%w: want a clean path in the volume", host.ErrInvalid)
	}
	x, err := w.find(id)
	if err != nil {
		return err
	}
	x.mu.Lock()
	at := x.record
	if at.Phase != host.Prepared || at.Starting || at.Locking {
		x.mu.Unlock()
		return host.ErrPhase
	}
	x.putting++
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		x.putting--
		x.mu.Unlock()
	}()
	root, err := os.OpenRoot(at.Volume)
	if err != nil {
		return err
	}
	releaseRoot := x.hold(root)
	return errors.Join(refused(put(ctx, x, root, name, at.User, r)), releaseRoot())
}

func put(ctx context.Context, x *workload, root *os.Root, name string, owner spec.User, r io.Reader) error {
	if err := makeParents(root, path.Dir(name), owner); err != nil {
		return err
	}
	// It gets its name when it is whole.
	part := ours + ".put-" + rand.Text()
	f, err := root.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	release := x.hold(f)
	_, err = io.Copy(f, r)
	err = errors.Join(err, ctx.Err())
	if err == nil {
		err = f.Chown(int(owner.UID), int(owner.GID))
	}
	err = errors.Join(err, release())
	if err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		// Of a volume that was taken away nothing need be removed.
		if rerr := root.Remove(part); rerr != nil && !errors.Is(rerr, fs.ErrClosed) && !errors.Is(rerr, fs.ErrNotExist) {
			return errors.Join(err, rerr)
		}
	}
	return err
}

// makeParents makes the directories that are missing, for their owner.
func makeParents(root *os.Root, dir string, owner spec.User) error {
	if dir == "." {
		return nil
	}
	made := ""
	for part := range strings.SplitSeq(dir, "/") {
		made = path.Join(made, part)
		err := root.Mkdir(made, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue // or it is a file, and what follows fails
		}
		if err == nil {
			err = root.Lchown(made, int(owner.UID), int(owner.GID))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refused says what the file system refuses in the words of the door.
func refused(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EFBIG):
		return fmt.Errorf("%w: the volume is full", host.ErrTooLarge)
	case errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: a file and a directory cannot have one name", host.ErrInvalid)
	case errors.Is(err, fs.ErrClosed):
		return errGone
	}
	return err
}

// ended returns a workload whose files may be taken.
func (w *Worker) ended(id string) (*workload, record, error) {
	x, err := w.find(id)
	if err != nil {
		return nil, record{}, err
	}
	r := x.now()
	if r.Phase != host.Exited || r.Locking {
		return nil, record{}, host.ErrPhase
	}
	return x, r, nil
}

// ReadFile implements [host.Files].
func (w *Worker) ReadFile(_ context.Context, id, name string, max int64) ([]byte, error) {
	if !theirs(name) {
		return nil, fmt.Errorf("%w: want a clean path in the volume", host.ErrInvalid)
	}
	x, r, err := w.ended(id)
	if err != nil {
		return nil, err
	}
	f, err := openBelow(unix.AT_FDCWD, r.Volume, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	release := x.hold(f)
	content, err := readRegular(f, min(max, host.MaxFile))
	return content, errors.Join(refused(err), release())
}

func readRegular(f *os.File, max int64) ([]byte, error) {
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, host.ErrNotFound)
	}
	return io.ReadAll(io.LimitReader(f, max))
}

// openBelow opens name below the directory dir (relative to the descriptor at) and
// nothing else: the kernel refuses a path that leaves it, goes over another file
// system, or has a symbolic link anywhere. A named pipe does not block.
func openBelow(at int, dir, name string, flags uint64) (*os.File, error) {
	base := at
	if dir != "" {
		fd, err := unix.Openat(at, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: dir, Err: err}
		}
		defer unix.Close(fd)
		base = fd
	}
	fd, err := unix.Openat2(base, name, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	})
	switch {
	case err == nil:
		return os.NewFile(uintptr(fd), name), nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV), errors.Is(err, unix.ENXIO),
		errors.Is(err, unix.EACCES): // which root meets at device nodes only
		return nil, fmt.Errorf("%w: %w", host.ErrNotFound, err)
	}
	return nil, fmt.Errorf("worker: opening: %w", err)
}
