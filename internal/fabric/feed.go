package fabric

import (
	"context"
	"fmt"
	"sync"
)

// feed hands values from whoever must not wait to one reader. What comes faster than he reads is kept up to a bound and
// counted beyond it; so is, in a feed that keeps, what comes while nobody reads.
type feed[T any] struct {
	values chan T
	keeps  bool

	reading sync.Mutex
	first   *T // what a reader could not pass on

	mu     sync.Mutex
	lost   uint64
	reader bool
}

func newFeed[T any](bound int, keeps bool) *feed[T] {
	return &feed[T]{values: make(chan T, bound), keeps: keeps}
}

func (f *feed[T]) attend(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reader = yes
}

func (f *feed[T]) wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keeps || f.reader
}

// put never blocks.
func (f *feed[T]) put(v T) {
	if !f.wanted() {
		return
	}
	select {
	case f.values <- v:
	default:
		f.mu.Lock()
		f.lost++
		f.mu.Unlock()
	}
}

// losses returns how many values were lost since it was last asked.
func (f *feed[T]) losses() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.lost
	f.lost = 0
	return n
}

// follow calls emit with each value until ctx ends, emit fails or gone is closed (nil in the last case). lost makes the
// value that tells of a number that were lost.
func (f *feed[T]) follow(ctx context.Context, gone <-chan struct{}, lost func(uint64) T, emit func(T) error) error {
	if !f.reading.TryLock() {
		return fmt.Errorf("%w: somebody reads it already", ErrRefused)
	}
	defer f.reading.Unlock()
	f.attend(true)
	defer f.attend(false)
	for {
		if f.first == nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-gone:
				return nil
			case v := <-f.values:
				f.first = &v
			}
		}
		if err := emit(*f.first); err != nil {
			return err
		}
		f.first = nil
		if n := f.losses(); n > 0 {
			v := lost(n)
			f.first = &v
		}
	}
}
