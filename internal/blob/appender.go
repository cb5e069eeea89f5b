package blob

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// groupBytes bounds the entries that one sync makes durable.
const groupBytes = 4 << 20

// appender adds entries to the current segment. Entries that arrive while others
// are being synced go together with the next sync. A segment is only ever
// appended to by the process that made it, so that a torn end needs no repair.
type appender struct {
	dir *Dir

	mu      sync.Mutex
	waiting []*waiter
	busy    bool
	idle    sync.Cond // busy became false

	// Of the goroutine that flushes.
	file *os.File
	name string
	size int64
	buf  []byte
}

type waiter struct {
	entry []byte // headerSize bytes to fill in, then the content
	ref   Ref
	err   error
	done  chan struct{}
}

func (a *appender) append(entry []byte) (Ref, error) {
	w := &waiter{entry: entry, done: make(chan struct{})}
	a.mu.Lock()
	if err := a.dir.Healthy(); err != nil {
		a.mu.Unlock()
		return "", err
	}
	a.waiting = append(a.waiting, w)
	if !a.busy {
		a.busy = true
		go a.flush()
	}
	a.mu.Unlock()
	<-w.done
	return w.ref, w.err
}

// flush writes groups until nobody waits.
func (a *appender) flush() {
	for {
		a.mu.Lock()
		n, bytes := 0, 0
		for n < len(a.waiting) && bytes < groupBytes {
			bytes += len(a.waiting[n].entry)
			n++
		}
		group := a.waiting[:n:n]
		a.waiting = a.waiting[n:]
		if n == 0 {
			a.waiting = nil
			a.busy = false
			a.idle.Broadcast()
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()

		err := a.write(group)
		for _, w := range group {
			if err != nil {
				w.ref, w.err = "", err
			}
			close(w.done)
		}
	}
}

func (a *appender) write(group []*waiter) error {
	if a.file == nil || a.size >= maxSegment {
		if err := a.rotate(); err != nil {
			return fmt.Errorf("blob: a new segment: %w", err)
		}
	}
	a.buf = a.buf[:0]
	now, zeros := time.Now(), [8]byte{}
	for _, w := range group {
		content := w.entry[headerSize:]
		p := place{segment: a.name, offset: a.size + int64(len(a.buf)), length: int64(len(content)), id: newID()}
		header{id: p.id, time: now}.put(w.entry, content)
		a.buf = append(a.buf, w.entry...)
		a.buf = append(a.buf, zeros[:padded(p.length)-int64(len(w.entry))]...)
		w.ref = p.ref()
	}
	if _, err := a.file.WriteAt(a.buf, a.size); err != nil {
		// Disk full, perhaps. Nothing is ever written behind a torn entry.
		return errors.Join(fmt.Errorf("blob: %w", err), a.leave())
	}
	if err := unix.Fdatasync(int(a.file.Fd())); err != nil {
		return a.dir.fail(fmt.Errorf("blob: sync: %w", err))
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(a.file.Fd()), &stat); err != nil || stat.Nlink == 0 {
		return a.dir.fail(fmt.Errorf("blob: the segment file was deleted: %v", err))
	}
	a.size += int64(len(a.buf))
	return nil
}

// rotate begins a new segment, whose name is durable before its first entry is.
func (a *appender) rotate() error {
	if err := a.leave(); err != nil {
		return err
	}
	name := newID().String()
	// Known before it is there, so that nobody takes it for an empty old one.
	a.mu.Lock()
	a.name = name
	a.mu.Unlock()
	f, err := a.dir.root.OpenFile(segments+"/"+name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := a.dir.syncDir(segments); err != nil {
		return errors.Join(a.dir.fail(err), f.Close())
	}
	a.file, a.size = f, 0
	return nil
}

func (a *appender) leave() error {
	a.mu.Lock()
	a.name = ""
	a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	f := a.file
	a.file = nil
	return f.Close()
}

// current is the segment that is being appended to.
func (a *appender) current() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.name
}

func (a *appender) close() error {
	a.mu.Lock()
	for a.busy {
		a.idle.Wait()
	}
	a.mu.Unlock()
	return a.leave()
}
