package blob

import (
	"context"
	"io"
	"io/fs"
	"sync"
	"time"
)

const (
	// sparseBlobs and sparseScans bound what one call of Sparse answers and reads.
	sparseBlobs = 10_000
	sparseScans = 64 // segments that were never counted

	// forwards is how long a moved blob is found under its old Ref: longer than
	// whoever read a row waits before he opens what it names.
	forwards = time.Hour
)

// Sparse answers blobs that are better moved: those of segments of which less than
// half is left, where the space between them comes back only with the last of
// them. It does not answer all at once.
func (d *Dir) Sparse(ctx context.Context) ([]Stored, error) {
	var found []Stored
	scans := sparseScans
	err := d.names(ctx, segments, func(e fs.DirEntry) (bool, error) {
		sparse, scanned, err := d.sparse(ctx, e.Name())
		if err != nil {
			return true, ignoreMissing(err)
		}
		if scanned {
			scans--
		}
		if sparse {
			err = d.scan(ctx, e.Name(), func(p place, h header) bool {
				if !h.damaged {
					found = append(found, Stored{p.ref(), h.length, h.time})
				}
				return true
			})
		}
		return scans > 0 && len(found) < sparseBlobs, ignoreMissing(err)
	})
	return found, err
}

func (d *Dir) sparse(ctx context.Context, name string) (sparse, scanned bool, err error) {
	if name == d.log.current() {
		return false, false, nil
	}
	d.deleting.Lock()
	defer d.deleting.Unlock()
	_, counted := d.live[name]
	u, err := d.count(ctx, name)
	if err != nil {
		return false, !counted, err
	}
	return u.bytes < u.size/2, !counted, nil
}

// Copy writes a blob once more. The caller makes its row name the copy, durably,
// and then calls Moved, or else deletes the copy.
func (d *Dir) Copy(ctx context.Context, r Ref) (_ Ref, err error) {
	in, err := d.Open(ctx, r)
	if err != nil {
		return "", err
	}
	defer in.Close()
	w, err := d.Create(ctx)
	if err != nil {
		return "", err
	}
	defer w.Abort()
	if _, err := io.Copy(w, io.NewSectionReader(in, 0, in.Size())); err != nil {
		return "", err
	}
	return w.Commit()
}

// Moved deletes a blob whose row names its copy. Who read the row before that
// still finds it, for an hour.
func (d *Dir) Moved(ctx context.Context, from, to Ref) error {
	d.moves.add(from, to)
	return d.Delete(ctx, from)
}

// moves are where blobs went in the last hours.
type moves struct {
	mu          sync.RWMutex
	recent, old map[Ref]Ref
	since       time.Time // of recent
}

func (m *moves) add(from, to Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.recent == nil || time.Since(m.since) > forwards {
		m.recent, m.old, m.since = make(map[Ref]Ref), m.recent, time.Now()
	}
	m.recent[from] = to
}

// now is the Ref that a blob has now.
func (m *moves) now(r Ref) Ref {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for {
		to, moved := m.recent[r]
		if !moved {
			to, moved = m.old[r]
		}
		if !moved {
			return r
		}
		r = to
	}
}
