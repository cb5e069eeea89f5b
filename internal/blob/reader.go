package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Reader reads a stored blob. A blob that is deleted meanwhile stays readable
// until the Reader is closed.
type Reader struct {
	io.ReaderAt
	size   int64
	source io.Closer // nil: nothing to close
}

// Size is the length of the content in bytes.
func (r *Reader) Size() int64 { return r.size }

// Close ends the reading.
func (r *Reader) Close() error {
	if r.source == nil {
		return nil
	}
	return r.source.Close()
}

// Open opens a blob. It returns fs.ErrNotExist for one that is not there and
// ErrCorrupt for a small one whose bytes are not what was written; damage to a
// large one is found by its seal.
func (d *Dir) Open(ctx context.Context, r Ref) (*Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := d.moves.now(r).parse()
	if err != nil {
		return nil, err
	}
	if p.object != "" {
		return nil, fs.ErrNotExist
	}
	if p.file != "" {
		f, err := d.root.Open(files + "/" + p.file)
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return &Reader{f, info.Size(), f}, nil
	}
	entry := make([]byte, headerSize+p.length)
	if err := d.opened.readAt(p.segment, entry, p.offset); err != nil {
		return nil, err
	}
	h, err := p.check(entry)
	if err != nil {
		return nil, err
	}
	content := entry[headerSize:]
	if castagnoli(content) != h.content {
		// Deleted while it was read, perhaps: the mark comes before the hole.
		if err := d.opened.readAt(p.segment, entry[:headerSize], p.offset); err != nil {
			return nil, err
		}
		if _, err := p.check(entry[:headerSize]); err != nil {
			return nil, err
		}
		return nil, ErrCorrupt
	}
	return &Reader{ReaderAt: bytes.NewReader(content), size: p.length}, nil
}

// check says whether the header is that of the live entry that the Ref names.
func (p place) check(b []byte) (header, error) {
	h, ok := parseHeader(b)
	if ok && (h.id != p.id || !h.live) {
		return h, fs.ErrNotExist
	}
	if !ok || h.length != p.length {
		return h, ErrCorrupt
	}
	return h, nil
}

// maxOpen bounds the segments kept open for reading.
const maxOpen = 256

// segmentFiles keeps segments open.
type segmentFiles struct {
	dir  *Dir
	mu   sync.Mutex
	open map[string]*os.File
}

func (s *segmentFiles) get(name string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.open[name]; ok {
		return f, nil
	}
	f, err := s.dir.root.OpenFile(segments+"/"+name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	for other := range s.open {
		if len(s.open) < maxOpen {
			break
		}
		s.open[other].Close() // opened for reading and one-byte marks only
		delete(s.open, other)
	}
	if s.open == nil {
		s.open = make(map[string]*os.File)
	}
	s.open[name] = f
	return f, nil
}

func (s *segmentFiles) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.open[name]; ok {
		f.Close()
		delete(s.open, name)
	}
}

// readAt fills b. A file that was closed to make room is opened again.
func (s *segmentFiles) readAt(name string, b []byte, offset int64) error {
	for {
		f, err := s.get(name)
		if err != nil {
			return err
		}
		_, err = f.ReadAt(b, offset)
		switch {
		case errors.Is(err, os.ErrClosed):
			continue
		case err == io.EOF:
			return fmt.Errorf("%w: the segment ends before the entry", ErrCorrupt)
		}
		return err
	}
}

func (s *segmentFiles) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.open {
		errs = append(errs, f.Close())
	}
	s.open = nil
	return errors.Join(errs...)
}
