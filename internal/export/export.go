// Package export hands the record on as it is sealed: every event of every account as a
// line of JSON, the exact bytes that the ledger signs, in the ledger's order, to a file or
// to a program that listens on a UNIX socket. How far it is stands in the database, and
// moves only once the destination has the lines: a killed server, a full disk or a reader
// that goes away lose nothing. A destination that is slow or gone keeps nobody waiting but
// its own export, which reads the record and not a queue.
//
// Trust: the record. The destination belongs to the operator, and so do the directories
// that lead to it: whoever may write there can read what is exported, or take it away.
// He cannot make the server write to a file that is elsewhere, nor can a reader change
// anything here: nothing is read from it. Who can write the database can have the export
// go on elsewhere than where it was; the record itself shows what is missing.
package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// Config is what an export is made of. Everything is needed.
type Config struct {
	To    string // a file's path, or "unix:" and a socket's; both absolute
	Store *store.Store
	Trail *trail.Trail
	Log   *slog.Logger
}

// An Export hands the record on to one destination.
type Export struct {
	Config
	to destination

	mu      sync.Mutex
	trouble string
}

// A destination takes lines. Those after the cursor's may be there already, in part.
type destination interface {
	// take returns once the lines are where the destination keeps them, and the place
	// behind them. It notes one in the cursor before it begins to write elsewhere than
	// after the last.
	take(ctx context.Context, last place, lines []byte, note func(place) error) (place, error)
	close()
}

// Check says what is wrong with a destination.
func Check(to string) error {
	path, _ := strings.CutPrefix(to, socketPrefix)
	if !filepath.IsAbs(path) || path != filepath.Clean(path) {
		return fmt.Errorf("%q is neither the absolute path of a file nor %q and that of a socket", to, socketPrefix)
	}
	return nil
}

// New prepares an export, and keeps from now on what it has not handed on yet. It begins
// with the oldest record that there is, or where it was when it ran before.
func New(ctx context.Context, c Config) (*Export, error) {
	if err := Check(c.To); err != nil {
		return nil, err
	}
	if c.Store == nil || c.Trail == nil || c.Log == nil {
		return nil, errors.New("export: store, trail and log are needed")
	}
	e := &Export{Config: c}
	if path, ok := strings.CutPrefix(c.To, socketPrefix); ok {
		e.to = &socket{path: path}
	} else {
		e.to = &file{path: c.To}
	}
	return e, begin(ctx, c.Store, c.To)
}

// How long an export that meets trouble waits: at first, and at most.
const (
	minWait = 100 * time.Millisecond
	maxWait = 10 * time.Second
)

// maxAtOnce bounds what is in memory on its way, unless one line is longer.
const maxAtOnce = 1 << 20

// Run hands records on until ctx ends. Among several copies of the server one does so.
func (e *Export) Run(ctx context.Context) error {
	wait := minWait
	for ctx.Err() == nil {
		err := e.Store.Lead(ctx, "export "+e.To, func(ctx context.Context) error {
			defer e.to.close()
			at, err := e.cursor(ctx)
			if err != nil {
				return err
			}
			if err := e.tellGap(ctx, at); err != nil {
				return err
			}
			return e.Trail.Lines(ctx, at.seq, func(lines []trail.Line) error {
				err := e.hand(ctx, &at, lines)
				if err == nil {
					wait = minWait
					e.tell(nil)
				}
				return err
			})
		})
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, context.Canceled) { // else another copy exports now
			e.tell(err)
		}
		pause(ctx, wait)
		wait = min(2*wait, maxWait)
	}
	return nil
}

// hand gives lines to the destination, so many at once, and moves the cursor behind each
// of those.
func (e *Export) hand(ctx context.Context, at *cursor, lines []trail.Line) error {
	var text bytes.Buffer
	for i, l := range lines {
		text.Write(l.Event)
		text.WriteByte('\n')
		if text.Len() < maxAtOnce && i < len(lines)-1 {
			continue
		}
		where, err := e.to.take(ctx, at.place, text.Bytes(), func(p place) error { return e.move(ctx, at, cursor{at.seq, p}) })
		if err != nil {
			return err
		}
		if err := e.move(ctx, at, cursor{l.Seq, where}); err != nil {
			return err
		}
		text.Reset()
	}
	return nil
}

// tell logs that the export met trouble, and that it goes on.
func (e *Export) tell(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err != nil && e.trouble == "":
		e.Log.Warn("the record is not exported; it is kept and tried again", "to", e.To, "err", err)
	case err == nil && e.trouble != "":
		e.Log.Info("the record is exported again", "to", e.To)
	}
	if e.trouble = ""; err != nil {
		e.trouble = err.Error()
	}
}

// tellGap logs that records went before this destination had them: those from before it
// was there, or from while it was not wanted.
func (e *Export) tellGap(ctx context.Context, at cursor) error {
	n, err := e.Store.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	first, err := e.Trail.First(n)
	if err == nil && at.seq+1 < first {
		e.Log.Warn("records were pruned that were never exported here", "to", e.To, "after", at.seq, "before", first)
	}
	return err
}

// A Status says how far an export is.
type Status struct {
	To      string `json:"to"`
	Seq     int64  `json:"seq"`    // of the newest record that was handed on
	Behind  int64  `json:"behind"` // records that are to come, at most
	Trouble string `json:"trouble,omitempty"`
}

// Status says how far it is. What another copy of the server meets is not known here.
func (e *Export) Status(q store.Querier) (Status, error) {
	e.mu.Lock()
	s := Status{To: e.To, Trouble: e.trouble}
	e.mu.Unlock()
	var err error
	if s.Seq, err = e.Handed(q); err != nil {
		return s, err
	}
	last, err := e.Trail.Last(q)
	s.Behind = max(0, last-s.Seq)
	return s, err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
