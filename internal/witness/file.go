package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"bawn.dev/internal/ledger"
)

// A File remembers the newest head of one log that it was shown, and replaces it only by
// one that extends it. An empty file remembers nothing yet.
type File struct {
	Path string
	Log  ledger.Verifier
	// Make makes the file if there is none. Otherwise one that is not there is away, as
	// a share that is not mounted: what it remembers is not begun anew behind its back.
	Make bool
}

// A Conflict says that a memory holds a head of another size than it was asked to extend.
type Conflict struct{ Size int64 }

func (c *Conflict) Error() string { return fmt.Sprintf("it remembers a head over %d records", c.Size) }

var (
	// ErrHistory says that a memory holds another history than it was shown.
	ErrHistory = errors.New("it remembers another history")
	// ErrNoHead says that a file holds something else than a head of the log.
	ErrNoHead = errors.New("it holds something else than a head of this log, and is not overwritten")
)

// Ask shows the file a head, which the log signed, with the proof that it extends the one
// that is remembered. Once it returns nil, the file durably remembers the new one. What it
// remembers otherwise comes as a *Conflict or as ErrHistory. Files give no signature.
func (f File) Ask(_ context.Context, next ledger.Checkpoint, e ledger.Extension) ([]byte, error) {
	last, err := f.last()
	if err != nil {
		return nil, err
	}
	if e.Old != last.Size {
		return nil, &Conflict{last.Size}
	}
	if !extends(next, last, e.Hashes) {
		return nil, ErrHistory
	}
	if next.Size == last.Size {
		return nil, nil
	}
	return nil, f.remember(e.Signed)
}

func extends(next, last ledger.Checkpoint, proof []ledger.Hash) bool {
	switch last.Size {
	case 0:
		return len(proof) == 0
	case next.Size:
		return len(proof) == 0 && next.Root == last.Root
	}
	return ledger.VerifyConsistency(next, last, proof) == nil
}

// Read gives the head as it is stored, nil if nothing is remembered yet.
func (f File) Read() ([]byte, error) {
	// Whoever may write the directory may have put anything there: a pipe must not
	// hold us up.
	file, err := os.OpenFile(f.Path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if f.Make {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: mount what it lies on or, to begin, make an empty file", fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, ErrNoHead
	}
	signed, err := io.ReadAll(io.LimitReader(file, maxRequest))
	if err != nil || len(signed) == 0 {
		return nil, err
	}
	if _, err := f.Log.Open(signed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoHead, err)
	}
	return signed, nil
}

// last is the head that is remembered; of no leaves if none is.
func (f File) last() (ledger.Checkpoint, error) {
	signed, err := f.Read()
	if err != nil || signed == nil {
		return ledger.Checkpoint{}, err
	}
	return f.Log.Open(signed)
}

// remember makes a head durable, at once: several servers may share the file. It is
// public: anybody may compare.
func (f File) remember(signed []byte) error {
	where := filepath.Dir(f.Path)
	fresh, err := os.CreateTemp(where, "."+filepath.Base(f.Path)+"-*") // not through somebody's link
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name())
	_, err = fresh.Write(signed)
	if err := errors.Join(err, fresh.Chmod(0o644), fresh.Sync(), fresh.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh.Name(), f.Path); err != nil {
		return err
	}
	dir, err := os.Open(where)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
