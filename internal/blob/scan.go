package blob

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Stored is a blob that is in the directory.
type Stored struct {
	Ref     Ref
	Size    int64     // of the content, in bytes
	Created time.Time // an orphan is one older than any change still in progress
}

// Refs goes through all stored blobs, in no order. It reads every small blob and
// passes over torn ones. Segments in which it finds nothing left are removed.
func (d *Dir) Refs(ctx context.Context) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		for _, walk := range []func(context.Context, func(Stored) bool) error{d.walkFiles, d.walkSegments} {
			stopped := false
			err := walk(ctx, func(s Stored) bool {
				stopped = stopped || !yield(s, nil)
				return !stopped
			})
			if err != nil && !stopped {
				stopped = !yield(Stored{}, err)
			}
			if stopped {
				return
			}
		}
	}
}

func (d *Dir) walkFiles(ctx context.Context, each func(Stored) bool) error {
	return d.names(ctx, files, func(e fs.DirEntry) (bool, error) {
		info, err := e.Info()
		if err != nil {
			return true, ignoreMissing(err) // deleted meanwhile
		}
		return each(Stored{place{file: e.Name()}.ref(), info.Size(), info.ModTime()}), nil
	})
}

func (d *Dir) walkSegments(ctx context.Context, each func(Stored) bool) error {
	return d.names(ctx, segments, func(e fs.DirEntry) (bool, error) {
		live, on := 0, true
		err := d.scan(ctx, e.Name(), func(p place, h header) bool {
			live++
			on = h.damaged || each(Stored{p.ref(), h.length, h.time})
			return on
		})
		if err != nil {
			return true, ignoreMissing(err)
		}
		if live == 0 {
			d.deleting.Lock()
			defer d.deleting.Unlock()
			return on, d.dropIfDead(e.Name())
		}
		return on, nil
	})
}

// names lists a directory in pieces.
func (d *Dir) names(ctx context.Context, dir string, each func(fs.DirEntry) (bool, error)) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		list, err := f.ReadDir(1024)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, ok := parseID(e.Name()); !ok {
				continue // not ours
			}
			if on, err := each(e); err != nil || !on {
				return err
			}
		}
	}
}

// scan goes through a segment's live entries, the damaged ones too: a row may name
// them. It ends at the first thing that is no header: a torn end, behind which nothing
// was ever acknowledged.
func (d *Dir) scan(ctx context.Context, name string, each func(place, header) bool) error {
	f, err := d.root.Open(segments + "/" + name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 256<<10)
	entry := make([]byte, padded(MaxSmall))
	for offset := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.ReadFull(in, entry[:headerSize]); err != nil {
			return endOfSegment(err)
		}
		h, ok := parseHeader(entry)
		if !ok {
			return nil
		}
		space := padded(h.length)
		if _, err := io.ReadFull(in, entry[headerSize:space]); err != nil {
			return endOfSegment(err)
		}
		if h.live {
			h.damaged = castagnoli(entry[headerSize:headerSize+h.length]) != h.content
			if !each(place{segment: name, offset: offset, length: h.length, id: h.id}, h) {
				return nil
			}
		}
		offset += space
	}
}

// endOfSegment tells a segment's end, torn or not, from a failed read.
func endOfSegment(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// bury marks an entry deleted and punches a hole where its content was. The
// caller holds deleting.
func (d *Dir) bury(p place) error {
	for {
		f, err := d.opened.get(p.segment)
		if err != nil {
			return err
		}
		b := make([]byte, headerSize)
		if err := d.opened.readAt(p.segment, b, p.offset); err != nil {
			return err
		}
		if _, err := p.check(b); err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte{stateDead}, p.offset+stateAt); errors.Is(err, fs.ErrClosed) {
			continue
		} else if err != nil {
			return err
		}
		if u, counted := d.live[p.segment]; counted {
			u.entries--
			u.bytes -= padded(p.length)
		}
		return punch(f, p.offset+headerSize, p.length)
	}
}

// punch gives space back. Where it cannot, the space comes back with the whole
// segment.
func punch(f *os.File, offset, length int64) error {
	conn, err := f.SyscallConn()
	if err != nil || length == 0 {
		return err
	}
	// Control keeps the descriptor from being closed, and its number from
	// becoming another file's.
	if e := conn.Control(func(fd uintptr) {
		err = unix.Fallocate(int(fd), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
	}); errors.Is(e, os.ErrClosed) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// dropIfDead removes a segment in which no entry is left, unless entries are
// still being added. The caller holds deleting.
func (d *Dir) dropIfDead(name string) error {
	if name == d.log.current() {
		return nil
	}
	u, err := d.count(context.Background(), name)
	if err != nil {
		return ignoreMissing(err)
	}
	if u.entries > 0 {
		return nil
	}
	delete(d.live, name)
	d.opened.forget(name)
	return ignoreMissing(d.root.Remove(segments + "/" + name))
}

// count says what is left in a segment. The caller holds deleting.
func (d *Dir) count(ctx context.Context, name string) (*use, error) {
	if u, counted := d.live[name]; counted {
		return u, nil
	}
	info, err := d.root.Stat(segments + "/" + name)
	if err != nil {
		return nil, err
	}
	u := &use{size: info.Size()}
	if err := d.scan(ctx, name, func(p place, _ header) bool {
		u.entries++
		u.bytes += padded(p.length)
		return true
	}); err != nil {
		return nil, err
	}
	d.live[name] = u
	return u, nil
}
