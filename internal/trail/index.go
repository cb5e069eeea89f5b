package trail

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/store"
)

// The lookup index has a row for the records of one sealing that share a term and
// lie within a moment: the newest of them in its columns, the others in more. So a
// term that every record has costs a row for hundreds.

// moment bounds how much older the others of a row are than its newest.
const moment = int64(time.Second / time.Microsecond)

// placeSize is the length of a place in more.
const placeSize = 16

// place is where a record stands in the order of Find.
type place struct{ time, seq int64 }

// beyond is newer than every record.
var beyond = place{math.MaxInt64, math.MaxInt64}

func (p place) String() string { return fmt.Sprintf("%d.%d", p.time, p.seq) }

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.time, o.time), cmp.Compare(p.seq, o.seq))
}

// posted is what the index has under one key.
type posted struct{ account, term string }

// indexed gives the index's rows for records, as insertAll takes them.
func indexed(rows []row) []any {
	lists := make(map[posted]*[]place, len(rows)+64)
	keys := make([]posted, 0, len(rows)+64)
	var last row // whose terms are often those of the next, in the same order
	var before, now []*[]place
	for _, r := range rows {
		now = now[:0]
		for i, term := range r.terms {
			var list *[]place
			if i < len(before) && last.terms[i] == term && last.account == r.account {
				list = before[i]
			} else {
				key := posted{r.account, term}
				if list = lists[key]; list == nil {
					list = new([]place)
					lists[key], keys = list, append(keys, key)
				}
			}
			*list = append(*list, place{r.time, r.seq})
			now = append(now, list)
		}
		last, before, now = r, now, before
	}
	slices.SortFunc(keys, func(a, b posted) int {
		return cmp.Or(strings.Compare(a.account, b.account), strings.Compare(a.term, b.term))
	})
	values := make([]any, 0, 5*len(keys))
	for _, key := range keys {
		list := *lists[key]
		slices.SortFunc(list, func(a, b place) int { return b.compare(a) })
		for len(list) > 0 {
			first, n := list[0], 1
			for n < len(list) && first.time-list[n].time <= moment {
				n++
			}
			values = append(values, key.account, key.term, first.time, first.seq, packed(list[1:n]))
			list = list[n:]
		}
	}
	return values
}

// packed is nil for none.
func packed(list []place) []byte {
	if len(list) == 0 {
		return nil
	}
	out := make([]byte, 0, placeSize*len(list))
	for _, p := range list {
		out = binary.BigEndian.AppendUint64(out, uint64(p.time))
		out = binary.BigEndian.AppendUint64(out, uint64(p.seq))
	}
	return out
}

// A block is a row of the index.
type block struct {
	place
	more []byte
}

func scanBlock(r *store.Rows) (b block, err error) { return b, r.Scan(&b.time, &b.seq, &b.more) }

// places are all of a block's.
func (b block) places() []place {
	all := append(make([]place, 0, 1+len(b.more)/placeSize), b.place)
	for more := b.more; len(more) >= placeSize; more = more[placeSize:] {
		all = append(all, place{int64(binary.BigEndian.Uint64(more)), int64(binary.BigEndian.Uint64(more[8:]))})
	}
	return all
}

// before lists up to limit places of a term that lie before one place and from start
// to end, newest first. A block's others are older than its own place, by a moment at
// most: until the next block's place is passed, one of those may be the next.
func before(q store.Querier, key posted, at place, start, end int64, limit int) ([]place, error) {
	last := min(end, at.time)
	if last < math.MaxInt64-moment {
		last += moment
	} else {
		last = math.MaxInt64
	}
	var found, waiting []place // both newest first
	emit := func(until place) bool {
		for len(waiting) > 0 && waiting[0].compare(until) >= 0 && len(found) < limit {
			found, waiting = append(found, waiting[0]), waiting[1:]
		}
		return len(found) == limit
	}
	const blocks = 64
	for from := (place{last, math.MaxInt64}); ; {
		rows, err := q.Query(`SELECT time, seq, more FROM trail_terms
			WHERE account = ? AND term = ? AND time >= ? AND (time, seq) <= (?, ?) ORDER BY time DESC, seq DESC LIMIT ?`,
			key.account, key.term, start, from.time, from.seq, blocks)
		if err != nil {
			return nil, err
		}
		n := 0
		for ; rows.Next(); n++ {
			b, err := scanBlock(rows)
			if err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			if emit(b.place) {
				return found, rows.Close()
			}
			left := len(waiting)
			for _, p := range b.places() {
				if p.compare(at) < 0 && start <= p.time && p.time <= end {
					waiting = append(waiting, p)
				}
			}
			if left > 0 && left < len(waiting) && waiting[left-1].compare(waiting[left]) < 0 {
				slices.SortFunc(waiting, func(a, b place) int { return b.compare(a) })
			}
			from = place{b.time, b.seq - 1}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
		if n < blocks {
			emit(place{math.MinInt64, math.MinInt64})
			return found, nil
		}
	}
}
