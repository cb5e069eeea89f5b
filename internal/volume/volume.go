// Package volume keeps the files of one workload in one encrypted volume: an
// ext4 image of fixed size, mounted through a loop device, whose only
// directory of ours carries an fscrypt v2 policy (AES-256-XTS for content,
// AES-256-CBC-CTS for names). Every volume has a key of its own, which lives in
// the kernel's memory while the volume is open and nowhere else. The image's
// size is the workload's disk quota.
//
// It trusts the kernel, mkfs.ext4 and its caller, who brings the key; the
// caller's directory is root's alone. Somebody who takes the disk, or reads
// image files, learns the size of files, their number and times, and the shape
// of the tree, but no name and no content. Somebody who can write to an image
// while it is closed can destroy it, or feed ext4 a damaged one: there is no
// integrity protection at this layer. A workload inside sees an ordinary
// directory. Nothing here ever falls back to a plain one.
//
// LUKS2 is not implemented: [Probe] names fscrypt or says what is missing.
// The kernel's ciphers lie outside Go's FIPS module.
package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/spec"
)

// KeySize is the length of a volume's key, in bytes.
const KeySize = 32

// minSize is the smallest volume that mkfs.ext4 makes sense of, in bytes.
const minSize = 16 << 20

// sealedDir is the directory inside the image that carries the policy.
// Everything beside it (lost+found) is ext4's and empty.
const sealedDir = "sealed"

// Failures that a caller tells apart with errors.Is.
var (
	ErrExists   = errors.New("volume: exists already")
	ErrNotFound = errors.New("volume: does not exist")
	// ErrWrongKey says that the key given is not the volume's.
	ErrWrongKey = errors.New("volume: the key is not this volume's")
	// ErrBusy says that some process still holds a file of the volume open. Its
	// key is gone all the same: what is not open cannot be opened any more.
	ErrBusy = errors.New("volume: files are still open")
	// ErrUnfinished says that a volume's making was interrupted. It holds
	// nothing; [Destroy] it.
	ErrUnfinished = errors.New("volume: was never finished")
)

// Volume is an open volume.
type Volume struct {
	dir, id string
	key     identifier
}

// Create makes the volume id of size bytes in dir, which must be root's alone,
// and opens it under key ([KeySize] bytes). The image is sparse: creation is
// refused when size exceeds what the file system has free now. When it fails
// nothing remains.
func Create(ctx context.Context, dir, id string, key []byte, size int64) (_ *Volume, err error) {
	if err := check(dir, id, key); err != nil {
		return nil, err
	}
	if _, err := Probe(); err != nil {
		return nil, err
	}
	v := &Volume{dir: dir, id: id}
	if err := v.allocate(size); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, Destroy(context.WithoutCancel(ctx), dir, id))
		}
	}()
	if err := format(ctx, v.image()); err != nil {
		return nil, err
	}
	if err := v.mount(); err != nil {
		return nil, err
	}
	if err := os.Mkdir(v.Path(), 0o711); err != nil {
		return nil, fmt.Errorf("volume: %w", err)
	}
	return v, v.seal(key)
}

// Open opens a volume that [Create] made, whether it is mounted (its process
// was restarted) or not (it was locked, or the machine was restarted). It fails
// with [ErrWrongKey] when key is not the one of Create, and then leaves the
// volume as it was.
func Open(ctx context.Context, dir, id string, key []byte) (_ *Volume, err error) {
	if err := check(dir, id, key); err != nil {
		return nil, err
	}
	v := &Volume{dir: dir, id: id}
	if _, err := os.Lstat(v.image()); err != nil {
		return nil, notFound(err)
	}
	mounted, err := isMounted(v.mountpoint())
	if err != nil {
		return nil, err
	}
	if !mounted {
		if err := v.mount(); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, v.unmount(context.WithoutCancel(ctx)))
			}
		}()
	}
	return v, v.unseal(key)
}

// Path is the directory that holds the workload's files. It is gone once the
// volume is locked.
func (v *Volume) Path() string { return filepath.Join(v.mountpoint(), sealedDir) }

// Lock removes the key and unmounts the volume; [Open] reverses it. While
// files are still open it waits for them, at most until ctx ends and never more
// than ten seconds, and then fails with [ErrBusy]. Locking twice is no error.
func (v *Volume) Lock(ctx context.Context) error { return lock(ctx, v.dir, v.id) }

// Destroy locks the volume and deletes it.
func (v *Volume) Destroy(ctx context.Context) error { return Destroy(ctx, v.dir, v.id) }

// Destroy deletes the volume id in dir, open or not; it needs no key. A volume
// that does not exist is no error, so that it may be repeated.
func Destroy(ctx context.Context, dir, id string) error {
	if !spec.ValidID(id) {
		return errors.New("volume: the id is malformed")
	}
	if err := lock(ctx, dir, id); err != nil {
		return err
	}
	v := &Volume{dir: dir, id: id}
	for _, path := range []string{v.image(), v.mountpoint()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("volume: %w", err)
		}
	}
	return nil
}

// List returns the ids of the volumes in dir, sorted. A directory that does
// not exist holds none.
func List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("volume: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id := trimImage(e.Name()); id != "" {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Sealed reports, by its error, whether what is written below dir reaches a
// disk in clear: it returns nil for an fscrypt directory whose key is present
// and for a file system in memory, and an error for everything else.
func Sealed(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := policyOf(d); err != nil {
		return fmt.Errorf("volume: %s is neither encrypted nor in memory: %w", dir, err)
	}
	return nil
}
