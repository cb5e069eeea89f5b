// Package locked keeps key material in memory that leaves the process as little as
// the host allows: not into swap, not into a core dump, not to a debugger.
//
// It trusts the kernel, and the caller not to copy what she keeps here. Who reads
// the machine's swap or a dump of the process finds no key material of an arena;
// who is root, or may run code in the process, reads everything. What Go itself
// keeps (parsed private keys, connections' keys) lies on Go's heap: only All covers
// that.
package locked

import (
	"math/bits"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// MaxSize is the most bytes that Alloc gives at once.
const MaxSize = 4096

const (
	minBits    = 5 // 32 bytes: a key
	maxBits    = 12
	regionSize = 64 << 10
)

// An Arena hands out pieces of locked memory. It is safe for concurrent use and
// grows as needed. Its memory goes back when nobody holds the arena any more: who
// holds a piece holds the arena too.
type Arena struct{ *arena }

type arena struct {
	mu      sync.Mutex
	free    [maxBits + 1][][]byte // by the logarithm of their size
	regions [][]byte              // with their guard pages
	rest    []byte                // of the newest region, not yet handed out
	status  Status
}

// Status is how much memory an arena has.
type Status struct {
	Locked   int   // bytes that stay out of swap
	Unlocked int   // bytes for which the host did not allow it
	Err      error // why not
}

// New makes an arena with its first region.
func New() *Arena {
	a := &Arena{&arena{}}
	a.grow()
	runtime.AddCleanup(a, func(inner *arena) { inner.release() }, a.arena)
	return a
}

// Alloc answers n zeroed bytes, at most MaxSize.
func (a *Arena) Alloc(n int) []byte {
	class := max(minBits, bits.Len(uint(max(n, 1)-1)))
	if class > maxBits {
		panic("locked: more than MaxSize bytes")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if list := a.free[class]; len(list) > 0 {
		a.free[class] = list[:len(list)-1]
		return list[len(list)-1][:n]
	}
	size := 1 << class
	if len(a.rest) < size {
		a.grow()
	}
	piece := a.rest[:size:size]
	a.rest = a.rest[size:]
	return piece[:n]
}

// Copy is a piece that holds what b holds. The caller clears b.
func (a *Arena) Copy(b []byte) []byte {
	piece := a.Alloc(len(b))
	copy(piece, b)
	return piece
}

// Free zeroes a piece and takes it back. The caller must not use it again; nil is
// nothing.
func (a *Arena) Free(piece []byte) {
	if cap(piece) == 0 {
		return
	}
	piece = piece[:cap(piece)]
	clear(piece)
	a.mu.Lock()
	defer a.mu.Unlock()
	class := bits.Len(uint(len(piece) - 1))
	a.free[class] = append(a.free[class], piece)
}

// Status says how much is locked.
func (a *Arena) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

// grow maps another region, between two pages that nobody may touch. What is left
// of the one before is lost: less than the largest piece.
func (a *arena) grow() {
	page := unix.Getpagesize()
	region, err := unix.Mmap(-1, 0, regionSize+2*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		panic("locked: no memory: " + err.Error())
	}
	inside := region[page : page+regionSize]
	if err := unix.Mprotect(inside, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		panic("locked: no memory: " + err.Error())
	}
	if err := unix.Mlock(inside); err != nil {
		a.status.Unlocked += regionSize
		a.status.Err = err
	} else {
		a.status.Locked += regionSize
	}
	unix.Madvise(inside, unix.MADV_DONTDUMP)
	unix.Madvise(inside, unix.MADV_WIPEONFORK)
	a.regions = append(a.regions, region)
	a.rest = inside
}

func (a *arena) release() {
	page := unix.Getpagesize()
	for _, region := range a.regions {
		clear(region[page : len(region)-page])
		unix.Munmap(region)
	}
}
