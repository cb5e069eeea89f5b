package lake

import (
	"cmp"
	"slices"
	"time"
)

// A found row, with what it is ordered by.
type found struct {
	cells []string
	order []any
}

func (f found) size() int {
	n := overhead
	for _, cell := range f.cells {
		n += overhead + len(cell)
	}
	for _, v := range f.order {
		n += size(v)
	}
	return n
}

// trim keeps, of rows that are ordered and cut, those that may be the first.
func (r *run) trim() error {
	if len(r.order) > 0 && r.limit >= 0 && r.limit <= r.limits.Rows {
		if len(r.rows) > 2*r.limit+100 {
			r.sort()
			for _, f := range r.rows[r.limit:] {
				r.memory -= f.size()
			}
			clear(r.rows[r.limit:])
			r.rows = r.rows[:r.limit]
		}
		return nil
	}
	if len(r.rows) > r.limits.Rows {
		return tooMuch("more than %d rows: narrow it, or use LIMIT", r.limits.Rows)
	}
	return nil
}

// finish orders and cuts the rows.
func (r *run) finish() error {
	r.sort()
	if r.limit >= 0 {
		r.rows = r.rows[:min(r.limit, len(r.rows))]
	}
	if len(r.rows) > r.limits.Rows {
		return tooMuch("more than %d rows: narrow it, or use LIMIT", r.limits.Rows)
	}
	bytes := 0
	for _, f := range r.rows {
		for _, cell := range f.cells {
			bytes += len(cell)
		}
		r.out.Rows = append(r.out.Rows, f.cells)
	}
	if bytes > r.limits.Bytes {
		r.out.Rows = nil
		return tooMuch("a result of more than %d bytes: select less, or use LIMIT", r.limits.Bytes)
	}
	return nil
}

func (r *run) sort() {
	slices.SortStableFunc(r.rows, func(a, b found) int {
		for i, o := range r.order {
			if order := o.compare(a.order[i], b.order[i]); order != 0 {
				return order
			}
		}
		if r.grouped && len(r.order) == 0 {
			return slices.Compare(a.cells, b.cells) // groups have no order of their own
		}
		return 0
	})
}

// compare orders values of one kind, and kinds among each other: NULL is last unless it
// is to be first.
func (o ordering) compare(a, b any) int {
	if a == nil || b == nil {
		order := cmp.Compare(rank(a), rank(b))
		if o.first {
			return -order
		}
		return order
	}
	order := cmp.Compare(rank(a), rank(b))
	if order == 0 {
		order, _ = compared(a, b)
	}
	if o.desc {
		return -order
	}
	return order
}

func rank(v any) int {
	switch v.(type) {
	case nil:
		return 5
	case string:
		return 0
	case float64:
		return 1
	case bool:
		return 2
	case time.Time:
		return 3
	}
	return 4
}
