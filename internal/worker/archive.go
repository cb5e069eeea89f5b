package worker

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/host"
)

// Bounds of an archive beside the volume's size, which bounds its bytes: a sparse
// file may claim more than any disk holds.
const (
	maxEntries = 1 << 20
	maxDepth   = 64
)

// Archive implements [host.Files].
func (w *Worker) Archive(ctx context.Context, id, dir string, to io.Writer) error {
	if !theirs(dir) || dir == "." {
		return fmt.Errorf("%w: want a clean path in the volume", host.ErrInvalid)
	}
	x, r, err := w.ended(id)
	if err != nil {
		return err
	}
	top, err := openBelow(unix.AT_FDCWD, r.Volume, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	ctx, release := x.within(ctx)
	defer release()
	packed, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return errors.Join(err, top.Close())
	}
	a := &archiver{ctx: ctx, x: x, out: tar.NewWriter(packed), bytes: r.DiskBytes, entries: maxEntries}
	if err := a.directory(top, "", 0); err != nil {
		// Left unfinished, so that nobody takes it for whole.
		return refused(err)
	}
	return errors.Join(a.out.Close(), packed.Close())
}

type archiver struct {
	ctx     context.Context
	x       *workload
	out     *tar.Writer
	bytes   int64 // that may still come
	entries int
}

// directory adds what lies in d, which it closes. Names come in order, so that the
// same files make the same archive.
func (a *archiver) directory(d *os.File, prefix string, depth int) error {
	release := a.x.hold(d)
	return errors.Join(a.content(d, prefix, depth), release())
}

func (a *archiver) content(d *os.File, prefix string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: directories are nested too deeply", host.ErrTooLarge)
	}
	var names []string
	for {
		some, err := d.ReadDir(1024)
		for _, e := range some {
			if e.IsDir() || e.Type().IsRegular() {
				names = append(names, e.Name())
			}
		}
		if len(names) > a.entries {
			return fmt.Errorf("%w: more than %d files", host.ErrTooLarge, maxEntries)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := a.entry(d, name, prefix, depth); err != nil {
			return err
		}
	}
	return nil
}

func (a *archiver) entry(d *os.File, name, prefix string, depth int) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	if a.entries--; a.entries < 0 {
		return fmt.Errorf("%w: more than %d files", host.ErrTooLarge, maxEntries)
	}
	f, err := openBelow(int(d.Fd()), "", name, unix.O_RDONLY)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	name = path.Join(prefix, name)
	switch {
	case info.IsDir():
		if err := a.header(info, name+"/", tar.TypeDir, 0); err != nil {
			return errors.Join(err, f.Close())
		}
		return a.directory(f, name, depth+1)
	case info.Mode().IsRegular():
		release := a.x.hold(f)
		return errors.Join(a.file(f, info, name), release())
	}
	return f.Close()
}

func (a *archiver) file(f *os.File, info fs.FileInfo, name string) error {
	if a.bytes -= info.Size(); a.bytes < 0 {
		return fmt.Errorf("%w: the files claim more than the volume holds", host.ErrTooLarge)
	}
	if err := a.header(info, name, tar.TypeReg, info.Size()); err != nil {
		return err
	}
	_, err := io.CopyN(a.out, f, info.Size())
	return err
}

// header keeps permissions and the time, and no owner: ids of a sandbox mean
// nothing elsewhere.
func (a *archiver) header(info fs.FileInfo, name string, kind byte, size int64) error {
	return a.out.WriteHeader(&tar.Header{
		Typeflag: kind, Name: name, Size: size, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(),
	})
}
