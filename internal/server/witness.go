package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/trail"
	"bawn.dev/internal/witness"
)

// What remembers the record's newest head outside the database: the data directory
// (record.head), the files that --pin names, and witnesses. A record that does not extend
// what any of them remembers was cut off or rewritten, or an older copy was put in its
// place: the server ends, because what went on now would hide that. One that merely does
// not answer is told of, and waited for.

// headFile is the memory that every data directory has.
const headFile = "record.head"

// How often new heads are shown to files and to witnesses, and how long one answer may
// take.
const (
	pinEvery     = time.Second
	witnessEvery = 5 * time.Second
	recallTime   = 10 * time.Second
)

// A memory is one of them.
type memory struct {
	name string
	keep keeper
	size int64       // of the head that it remembers, as far as is known
	busy chan answer // an answer that is still waited for

	mu   sync.Mutex
	told Remembered // what its status is
}

// A keeper is a file or a witness: see [witness.File.Ask].
type keeper interface {
	Ask(context.Context, ledger.Checkpoint, ledger.Extension) (line []byte, err error)
}

type answer struct {
	line []byte
	err  error
}

func newMemory(name string, k keeper) *memory {
	return &memory{name: name, keep: k, told: Remembered{Name: name}}
}

// memories are all that the configuration names. Files come first, each alone: one that
// hangs holds no other up. Witnesses are asked together, so that they sign the same head.
func (s *Server) memories() (groups [][]*memory, err error) {
	file := func(path string, made bool) *memory {
		return newMemory(path, witness.File{Path: path, Log: s.trail.Public(), Make: made})
	}
	groups = append(groups, []*memory{file(s.cfg.Path(headFile), true)})
	for _, path := range s.cfg.Pins {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("a pin is an absolute path, not %q", path)
		}
		groups = append(groups, []*memory{file(path, false)})
	}
	var witnesses []*memory
	for _, text := range s.cfg.Witnesses {
		w, err := witness.ParseRemote(text)
		if err != nil {
			return nil, err
		}
		witnesses = append(witnesses, newMemory("witness "+w.Key.Name(), w))
	}
	if len(witnesses) > 0 {
		groups = append(groups, witnesses)
	}
	return groups, nil
}

// recall asks every memory once, before anything is served.
func (s *Server) recall(ctx context.Context) error {
	head, _, err := s.newest(ctx)
	if errors.Is(err, errNoHead) { // the first start, or everything is gone
		if err := s.trail.Seal(ctx); err != nil {
			return err
		}
		head, _, err = s.newest(ctx)
	}
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, memories := range s.remembering {
		group.Go(func() error { return s.remind(ctx, memories, head) })
	}
	return group.Wait()
}

// remember shows every new head to some memories until the context ends, or until one of
// them remembers what the record does not extend.
func (s *Server) remember(ctx context.Context, memories []*memory) error {
	every := pinEvery
	if _, remote := memories[0].keep.(*witness.Remote); remote {
		every = witnessEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last string
	for {
		head, _, err := s.newest(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil && (string(head) != last || troubled(memories)) {
			if err := s.remind(ctx, memories, head); err != nil {
				return err
			}
			last = string(head)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func troubled(memories []*memory) bool {
	for _, m := range memories {
		if m.status().Trouble != "" {
			return true
		}
	}
	return false
}

// remind shows a head to some memories at once, and keeps what witnesses signed.
func (s *Server) remind(ctx context.Context, memories []*memory, head []byte) error {
	lines := make([][]byte, len(memories))
	group, within := errgroup.WithContext(ctx)
	for i, m := range memories {
		group.Go(func() (err error) {
			lines[i], err = s.consult(within, m, head)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := s.cosigned(head, lines); err != nil {
		for _, m := range memories {
			s.tell(ctx, m, err)
		}
	}
	return nil
}

var errNoHead = errors.New("there is no record, not even of bawn init")

// newest is the newest head.
func (s *Server) newest(ctx context.Context) ([]byte, ledger.Checkpoint, error) {
	head, err := s.trail.Checkpoint(ctx)
	if err == nil && head == nil {
		err = errNoHead
	}
	if err != nil {
		return nil, ledger.Checkpoint{}, err
	}
	c, err := s.trail.Public().Open(head)
	if err != nil {
		err = fmt.Errorf("the last checkpoint: %w; run fsck", err)
	}
	return head, c, err
}

// consult shows one memory a head. An error says that the record does not extend what it
// remembers, or cannot be read; a memory that does not answer is only told of.
func (s *Server) consult(ctx context.Context, m *memory, head []byte) (line []byte, err error) {
	asking, cancel := context.WithTimeout(ctx, recallTime)
	defer cancel()
	c, err := s.trail.Public().Open(head)
	if err != nil {
		return nil, err
	}
	shown := head
	for range 4 {
		if m.size > c.Size { // another copy of the server may have been faster
			if shown, c, err = s.newest(ctx); err != nil {
				return nil, unless(ctx, err)
			}
			if m.size > c.Size {
				return nil, fmt.Errorf("%w: %s remembers %d records, and there are %d: the newest were cut off, or an older copy was put back. "+
					"Nothing is served. Put the newer database back; if it is lost, see \"After a restore\" in docs/ledger.md", ErrForgotten, m.name, m.size, c.Size)
			}
		}
		e, err := s.trail.Extend(ctx, m.size, shown)
		if err != nil {
			return nil, unless(ctx, fmt.Errorf("%w; run fsck", err))
		}
		line, err := m.ask(asking, c, e)
		var conflict *witness.Conflict
		switch {
		case errors.Is(err, witness.ErrHistory):
			return nil, fmt.Errorf("%w: %s remembers %d records that are not the first of these %d: the record was rewritten, or an older copy was put back and went on. "+
				"Nothing is served. Run bawn fsck, put the right database back; if it is lost, see \"After a restore\" in docs/ledger.md", ErrForgotten, m.name, m.size, c.Size)
		case errors.Is(err, witness.ErrNoHead):
			return nil, fmt.Errorf("%s: %w: move it away, or name another file", m.name, err)
		case errors.As(err, &conflict):
			m.size = conflict.Size
		case err != nil:
			s.tell(ctx, m, err)
			return nil, nil
		default:
			m.size = c.Size
			s.tell(ctx, m, nil)
			if !bytes.Equal(shown, head) {
				return nil, nil // its signature is of another head than the others'
			}
			return line, nil
		}
	}
	s.tell(ctx, m, errors.New("it says something else each time that it is asked, or others ask it in this log's name"))
	return nil, nil
}

// ErrForgotten says that somebody remembers what the record does not hold.
var ErrForgotten = errors.New("the record is not what it was")

// Altered says whether err ended a server because its record is not what it was.
func Altered(err error) bool {
	var foreign *trail.Foreign
	return errors.Is(err, ErrForgotten) || errors.As(err, &foreign)
}

// unless drops an error that only says that the server ends.
func unless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// ask waits for an answer as long as the context lasts. A share that hangs is left alone
// until it comes back.
func (m *memory) ask(ctx context.Context, c ledger.Checkpoint, e ledger.Extension) ([]byte, error) {
	if m.busy != nil {
		select {
		case <-m.busy: // of an older head: it conflicts now
			m.busy = nil
		default:
			return nil, errHangs
		}
	}
	m.busy = make(chan answer, 1)
	go func(to chan<- answer) {
		line, err := m.keep.Ask(ctx, c, e)
		to <- answer{line, err}
	}(m.busy)
	select {
	case a := <-m.busy:
		m.busy = nil
		return a.line, a.err
	case <-ctx.Done():
		return nil, errHangs
	}
}

var errHangs = errors.New("it does not answer")
