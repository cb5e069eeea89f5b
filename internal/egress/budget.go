package egress

import "sync/atomic"

// Budget is a number of bytes, both ways together, that the connections of a rule share.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a budget of so many bytes.
func NewBudget(bytes int64) *Budget {
	b := &Budget{}
	b.left.Store(max(bytes, 0))
	return b
}

// Take takes n bytes, or reports that they are more than is left. That spends the rest: who is over goes no further in
// smaller steps.
func (b *Budget) Take(n int) bool {
	for {
		left := b.left.Load()
		if int64(n) > left {
			if b.left.CompareAndSwap(left, 0) {
				return false
			}
			continue
		}
		if b.left.CompareAndSwap(left, left-int64(n)) {
			return true
		}
	}
}

// Left is what nobody took yet.
func (b *Budget) Left() int64 { return b.left.Load() }

// spent reports that nothing is left. A nil budget is without bound.
func (b *Budget) spent() bool { return b != nil && b.Left() <= 0 }
