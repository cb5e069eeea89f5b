package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	sqlitedriver "modernc.org/sqlite"
)

const (
	queueLength = 1024                 // waiting changes; more wait to be queued
	groupSize   = 64                   // changes in one commit
	groupWork   = 2 * time.Millisecond // after which a group takes no more
	longLog     = 32 << 20             // bytes of SQLite's log after which it is emptied

	// A commit costs much the same for one change as for fifty. Where many come at
	// once, their processor is better left to them until as many wait again.
	crowd  = 8                      // changes in a group
	moment = 100 * time.Microsecond // between two looks
	looks  = 5
)

// writer is the one goroutine that changes a SQLite database. It runs the
// changes that wait one after another in one transaction, each in a savepoint,
// and answers all of them after one commit, and so after one fsync. Nobody is
// answered earlier, a failed one neither: it may have seen a neighbour's change.
type writer struct {
	store *Store
	db    *sql.DB
	conn  *conn
	guard guard

	touched map[string]int64 // keys of the group in progress, with their new versions

	queue  chan *change
	stop   chan struct{}
	exited chan struct{}
	looped bool // whether loop was started

	nextShorten int64 // length of the log at which to empty it
}

// change is one Update that waits.
type change struct {
	ctx   context.Context
	fn    func(*Tx) error
	taken atomic.Bool // by the writer, or by a caller who stopped waiting
	done  chan struct{}

	// Of one that only adds rows; else into is empty.
	into    string
	columns int
	values  []any

	after []func()
	err   error
}

func newWriter(s *Store, db *sql.DB, c *conn, path string, minFree uint64) *writer {
	return &writer{store: s, db: db, conn: c, guard: newGuard(path, minFree),
		queue: make(chan *change, queueLength), stop: make(chan struct{}), exited: make(chan struct{})}
}

func (w *writer) update(c *change) ([]func(), error) {
	ctx := c.ctx
	c.done = make(chan struct{})
	select {
	case w.queue <- c:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.exited:
		return nil, w.store.Healthy()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.taken.CompareAndSwap(false, true) {
			return nil, ctx.Err()
		}
		<-c.done
	case <-w.exited:
		if c.taken.CompareAndSwap(false, true) {
			return nil, w.store.Healthy()
		}
		<-c.done
	}
	return c.after, c.err
}

func (w *writer) loop() {
	defer close(w.exited)
	for {
		select {
		case <-w.stop:
			return
		default:
		}
		select {
		case first := <-w.queue:
			n := w.group(first)
			w.shorten()
			w.gather(n)
		case <-w.stop:
			return
		}
	}
}

// gather waits a little after a large group, until the next is as large.
func (w *writer) gather(last int) {
	for range looks {
		if last < crowd || len(w.queue) >= last {
			return
		}
		time.Sleep(moment)
	}
}

// close ends the loop after the group in progress; what still waits is refused.
func (w *writer) close() error {
	close(w.stop)
	if w.looped {
		<-w.exited
	}
	return errors.Join(w.conn.discard(), w.db.Close())
}

// group runs first and what waits behind it, commits, and answers them. It tells how
// many they were.
func (w *writer) group(first *change) int {
	var members, rows []*change
	var outcome error
	ended := false
	defer func() {
		if !ended { // a function left by runtime.Goexit and took this goroutine along
			outcome = w.store.fail(errors.New("store: a change ended the writer's goroutine"))
		}
		for _, c := range members {
			if c.err == nil || outcome != nil {
				c.err = outcome
			}
			close(c.done)
		}
	}()

	outcome = w.begin()
	w.touched = make(map[string]int64)
	start := time.Now()
	for c := first; c != nil; {
		if c.taken.CompareAndSwap(false, true) {
			members = append(members, c)
			if c.into != "" {
				rows = append(rows, c)
			} else if outcome == nil {
				outcome = w.one(c)
			}
		}
		c = nil
		if len(members) < groupSize && time.Since(start) < groupWork {
			select {
			case c = <-w.queue:
			default:
			}
		}
	}
	if outcome == nil {
		outcome = w.rows(rows)
	}
	if outcome == nil {
		outcome = w.commit()
	}
	if outcome != nil {
		w.abandon(outcome)
	}
	ended = true
	return len(members)
}

func (w *writer) begin() error {
	if err := w.store.Healthy(); err != nil {
		return err
	}
	if err := w.guard.space(); err != nil {
		return err
	}
	return w.control("BEGIN IMMEDIATE")
}

// one runs a change in its savepoint. The error that it returns is the group's;
// the change's own is in c.err.
func (w *writer) one(c *change) error {
	if c.err = c.ctx.Err(); c.err != nil {
		return nil
	}
	if err := w.control("SAVEPOINT one"); err != nil {
		return err
	}
	tx := &Tx{store: w.store, conn: w.conn, ctx: c.ctx}
	c.err = tx.run(c.fn)
	c.after = tx.after
	if fatal(tx.err) {
		return tx.err
	}
	if c.err != nil {
		if err := w.control("ROLLBACK TO one"); err != nil {
			// SQLite rolled the whole transaction back by itself.
			return errors.Join(err, c.err)
		}
	}
	if c.err == nil {
		maps.Copy(w.touched, tx.touched)
	}
	return w.control("RELEASE one")
}

// commit makes the group durable, and then looks whether the files that hold it
// are still there.
func (w *writer) commit() error {
	if len(w.touched) > 0 {
		w.store.known.commits.Lock()
		defer w.store.known.commits.Unlock()
	}
	if err := w.control("COMMIT"); err != nil {
		if e, ok := errors.AsType[*sqlitedriver.Error](err); ok && e.Code()&0xff == sqliteFull {
			return err
		}
		return w.store.fail(fmt.Errorf("store: commit failed: %w", err))
	}
	if len(w.touched) > 0 {
		w.store.known.committed(w.touched, w.store.version)
	}
	if err := w.guard.present(); err != nil {
		return w.store.fail(err)
	}
	return nil
}

// shorten empties a long log. SQLite does so by itself only in a moment without
// readers, which a busy server may never have. It waits a moment (the writer's
// busy_timeout) for older snapshots to end; should one not, it tries again when
// the log has grown.
func (w *writer) shorten() {
	size := w.guard.logSize
	if size < longLog {
		w.nextShorten = longLog
	}
	if size < w.nextShorten || w.store.Healthy() != nil {
		return
	}
	w.nextShorten = size + longLog/2
	var busy, frames, moved int
	if err := w.row(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		if fatal(err) {
			w.store.fail(fmt.Errorf("store: checkpoint: %w", err))
			return
		}
		busy = 1
	}
	if busy != 0 {
		w.store.log.Warn("the database's log is long and still read: a snapshot is held for too long", "bytes", size)
	}
}

// abandon leaves no transaction open behind a failed group.
func (w *writer) abandon(cause error) {
	if fatal(cause) {
		w.store.fail(fmt.Errorf("store: %w", cause))
	}
	if w.store.Healthy() == nil && !errors.Is(cause, ErrNoSpace) {
		// An error here means that none is open; begin will tell otherwise.
		_ = w.control("ROLLBACK")
	}
}

func (w *writer) control(query string) error { return w.conn.control(context.Background(), query) }
