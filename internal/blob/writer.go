package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// A Writer takes the content of a new blob. It belongs to one goroutine. Every
// Writer ends with Commit or Abort.
type Writer interface {
	io.Writer
	// Commit makes the blob durable and names it. After an error the blob does not
	// exist, or is an orphan.
	Commit() (Ref, error)
	// Abort forgets the blob. After Commit it does nothing.
	Abort() error
}

type dirWriter struct {
	dir  *Dir
	ctx  context.Context
	buf  []byte // headerSize bytes, then the content, while it is small
	file *os.File
	name string
	err  error
}

var errEnded = errors.New("blob: the writer has ended")

// Create begins a new blob. Nothing of it is visible before Commit.
func (d *Dir) Create(ctx context.Context) (Writer, error) {
	if err := errors.Join(d.Healthy(), ctx.Err()); err != nil {
		return nil, err
	}
	return &dirWriter{dir: d, ctx: ctx, buf: make([]byte, headerSize, headerSize+4096+512)}, nil
}

func (w *dirWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	if w.file == nil {
		if len(w.buf)-headerSize+len(p) <= MaxSmall {
			w.buf = append(w.buf, p...)
			return len(p), nil
		}
		if err := w.spill(); err != nil {
			return 0, w.end(err)
		}
	}
	n, err := w.file.Write(p)
	if err != nil {
		w.end(err)
	}
	return n, err
}

// spill moves what was held in memory into a file.
func (w *dirWriter) spill() (err error) {
	w.name = newID().String()
	w.file, err = w.dir.root.OpenFile(unborn+"/"+w.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = w.file.Write(w.buf[headerSize:])
	w.buf = nil
	return err
}

func (w *dirWriter) Commit() (Ref, error) {
	if w.err != nil {
		return "", w.err
	}
	if err := errors.Join(w.dir.Healthy(), w.ctx.Err()); err != nil {
		return "", w.end(err)
	}
	if w.file == nil {
		buf := w.buf
		w.end(errEnded)
		return w.dir.log.append(buf)
	}
	if err := unix.Fdatasync(int(w.file.Fd())); err != nil {
		return "", w.end(w.dir.fail(fmt.Errorf("blob: sync: %w", err)))
	}
	if err := w.file.Close(); err != nil {
		return "", w.end(err)
	}
	w.file = nil
	if err := w.dir.root.Rename(unborn+"/"+w.name, files+"/"+w.name); err != nil {
		return "", w.end(err)
	}
	r := place{file: w.name}.ref()
	w.name = ""
	w.end(errEnded)
	if err := w.dir.syncDir(files); err != nil {
		return "", w.dir.fail(fmt.Errorf("blob: sync: %w", err))
	}
	return r, nil
}

func (w *dirWriter) Abort() error {
	if errors.Is(w.err, errEnded) {
		return nil
	}
	name := w.name
	w.end(errEnded)
	if name == "" {
		return nil
	}
	return ignoreMissing(w.dir.root.Remove(unborn + "/" + name))
}

// end closes the writer with the error that later calls get.
func (w *dirWriter) end(err error) error {
	w.err, w.buf = err, nil
	if w.file != nil {
		w.file.Close() // what it held is abandoned
		w.file = nil
		_ = w.dir.root.Remove(unborn + "/" + w.name) // else the next start removes it
	}
	return err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
