package logs

import (
	"context"
	"math"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

const (
	maxEvents   = 10_000   // of one answer
	maxAnswer   = 1 << 20  // bytes of one answer
	scanBudget  = 32 << 20 // bytes
	batchesOnce = 8        // that are in memory at a time
)

// A scan looks for events of a group from one gap to another.
type scan struct {
	group    *group
	streams  []*stream // nil: all of the group's
	from, to position
	backward bool // from the end: the latest events are wanted
	match    func(string) bool
	limit    int
}

// An entry is an event that was found.
type entry struct {
	position
	stream   *stream
	ingested int64
	message  string
}

// A finding is what a scan brought: events in the order of the scan, and the gap
// up to which it has seen everything. done says that this is the scan's end.
type finding struct {
	entries []entry
	upTo    position
	done    bool
}

// stored is a batch as its row says.
type stored struct {
	seq, first, last, ingested int64
	id, stream                 string
	sealed                     []byte
}

// run reads batches in the order of their first event (backward: of their last)
// and stops as soon as no further batch can hold an earlier (later) event than the
// ones that it keeps. It holds no more than an answer and a few batches.
func (s *Service) run(ctx context.Context, c *api.Call, q scan) (finding, error) {
	keys := map[string]*opened{}
	for _, st := range q.streams {
		keys[st.id] = &opened{stream: st}
	}
	defer func() {
		for _, o := range keys {
			o.key.Zero()
		}
	}()
	keep := keeper{scan: q}
	spent := 0
	edge := int64(math.MinInt64) // nothing before this time (backward: after) will come any more
	if q.backward {
		edge = math.MaxInt64
	}
	cursor := stored{first: math.MinInt64, last: math.MaxInt64, seq: -1}
	if q.backward {
		cursor.seq = math.MaxInt64
	}
	for {
		batches, err := q.page(c.Snapshot, cursor)
		if err != nil {
			return finding{}, err
		}
		for _, b := range batches {
			edge = b.first
			if q.backward {
				edge = b.last
			}
			if keep.settled(edge) || spent > s.budget && keep.progress(edge) {
				return keep.finding(edge, false), nil
			}
			events, o, err := s.open(ctx, c, q.group, keys, &b)
			if err != nil {
				return finding{}, err
			}
			spent += len(b.sealed)
			for i, e := range events {
				keep.add(entry{position{e.Time, b.seq, int64(i)}, o.stream, b.ingested, e.Message})
			}
			keep.trim()
			cursor = b
		}
		if len(batches) < batchesOnce {
			return keep.finding(edge, true), nil
		}
	}
}

// opened is a stream with its data key, which is asked for when the first batch
// needs it.
type opened struct {
	stream *stream
	key    seal.Key
	ready  bool
}

func (s *Service) open(ctx context.Context, c *api.Call, g *group, keys map[string]*opened, b *stored) ([]event, *opened, error) {
	o := keys[b.stream]
	if o == nil {
		found, err := streamRows(c.Snapshot, "id = ?", b.stream)
		if err != nil || len(found) == 0 {
			return nil, nil, either(err, noStream())
		}
		o = &opened{stream: found[0]}
		keys[b.stream] = o
	}
	if !o.ready {
		var err error
		if o.key, err = s.openKey(ctx, c, g, o.stream); err != nil {
			return nil, nil, err
		}
		o.ready = true
	}
	events, err := openEvents(&o.key, b.stream, b.id, b.sealed)
	return events, o, err
}

// page reads the next few batches. A batch spans a day at most, which bounds where
// one that reaches into the range can begin or end.
func (q *scan) page(sn *store.Snapshot, cursor stored) ([]stored, error) {
	const day = int64(maxSpan / 1e6)
	where, args := "grp = ?", []any{q.group.id}
	if q.streams != nil {
		where, args = "stream IN (?"+strings.Repeat(", ?", len(q.streams)-1)+")", nil
		for _, st := range q.streams {
			args = append(args, st.id)
		}
	}
	order := "first, seq"
	if q.backward {
		where += " AND last >= ? AND last <= ? AND first <= ? AND (last, seq) < (?, ?)"
		args = append(args, q.from.time, min(q.to.time, math.MaxInt64-day)+day, q.to.time, cursor.last, cursor.seq)
		order = "last DESC, seq DESC"
	} else {
		where += " AND first <= ? AND first >= ? AND last >= ? AND (first, seq) > (?, ?)"
		args = append(args, q.to.time, max(q.from.time, day)-day, q.from.time, cursor.first, cursor.seq)
	}
	return store.Collect(sn, func(r *store.Rows) (stored, error) {
		var b stored
		return b, r.Scan(&b.seq, &b.first, &b.last, &b.ingested, &b.id, &b.stream, &b.sealed)
	}, "SELECT seq, first, last, ingested, id, stream, sealed FROM logs_batches WHERE "+where+" ORDER BY "+order+" LIMIT ?",
		append(args, batchesOnce)...)
}

// A keeper keeps the first events of a scan, as many as an answer holds.
type keeper struct {
	scan
	entries []entry
	dropped bool // more were found than an answer holds
}

func (k *keeper) add(e entry) {
	if e.compare(k.from) >= 0 && e.compare(k.to) < 0 && (k.match == nil || k.match(e.message)) {
		k.entries = append(k.entries, e)
	}
}

// trim sorts and cuts to the size of an answer.
func (k *keeper) trim() {
	slices.SortFunc(k.entries, func(a, b entry) int {
		if k.backward {
			return b.compare(a.position)
		}
		return a.compare(b.position)
	})
	size := 0
	for i, e := range k.entries {
		size += len(e.message) + eventOverhead
		if i > 0 && size > maxAnswer || i == k.limit {
			clear(k.entries[i:])
			k.entries, k.dropped = k.entries[:i], true
			return
		}
	}
}

// settled says that the answer is full and nothing from edge on can come into it.
func (k *keeper) settled(edge int64) bool {
	if !k.full() {
		return false
	}
	last := k.entries[len(k.entries)-1].time
	if k.backward {
		return last > edge
	}
	return last < edge
}

// progress says that a scan which stops at edge would not begin there again.
func (k *keeper) progress(edge int64) bool {
	if k.backward {
		return edge < k.to.time && edge < math.MaxInt64
	}
	return edge > k.from.time
}

// finding ends a scan: at the end of everything, or before what edge may bring.
func (k *keeper) finding(edge int64, end bool) finding {
	f := finding{entries: k.entries, done: end && !k.dropped}
	if !end {
		uncertain := slices.IndexFunc(f.entries, func(e entry) bool {
			if k.backward {
				return e.time <= edge
			}
			return e.time >= edge
		})
		if uncertain >= 0 {
			f.entries = f.entries[:uncertain]
		}
		f.upTo = position{time: edge}
		if k.backward {
			f.upTo = position{time: edge, batch: math.MaxInt64}
		}
		if uncertain >= 0 || !k.full() {
			return f
		}
	}
	switch {
	case k.full():
		last := k.entries[len(k.entries)-1]
		f.upTo = last.next()
		if k.backward {
			f.upTo = last.position
		}
	case k.backward:
		f.upTo = k.from
	default:
		f.upTo = k.to
	}
	return f
}

// full says that the answer holds no more.
func (k *keeper) full() bool { return k.dropped || len(k.entries) >= k.limit }
