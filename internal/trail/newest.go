package trail

import (
	"context"
	"fmt"
	"slices"

	"bawn.dev/internal/store"
)

// A Search is several queries that are answered as one: what any of them finds, once,
// newest first.
type Search struct {
	Queries []Query // of accounts, or of alternatives; Limit and Token are not used
	// Only passes what is to be found, of what the queries find; nil: everything.
	Only  func(*Record) bool
	Limit int    // 1 to MaxSearch
	After string // Found.Next of the answer before, of the same search
}

// Found is an answer to a Search.
type Found struct {
	Entries []Entry
	Next    string // empty at the end; an answer may be short, or empty, before it
	Read    int    // how many records were looked at
}

// MaxSearch is the most records in one answer of Search.
const MaxSearch = 1000

// searched bounds the records that one answer reads past to find its own.
const searched = 50_000

// Search returns records of any number of accounts. Like Find it sees every record that
// was committed before the call.
func (t *Trail) Search(ctx context.Context, s Search) (Found, error) {
	if s.Limit < 1 || s.Limit > MaxSearch {
		return Found{}, ErrQuery
	}
	from := beyond
	if s.After != "" {
		if n, err := fmt.Sscanf(s.After, "%d.%d", &from.time, &from.seq); n != 2 || err != nil || s.After != from.String() {
			return Found{}, ErrToken
		}
	}
	if err := t.Seal(ctx); err != nil {
		return Found{}, err
	}
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return Found{}, err
	}
	defer n.Close()
	m := merge{n: n, only: s.Only, left: searched}
	for _, q := range s.Queries {
		if q.Account == "" {
			return Found{}, ErrQuery
		}
		q.Limit = min(s.Limit, max(MaxLimit, MaxSearch/len(s.Queries)))
		m.streams = append(m.streams, &stream{query: q, at: from})
	}
	return m.newest(s.Limit)
}

// merge takes the newest of several streams.
type merge struct {
	n       *store.Snapshot
	only    func(*Record) bool
	streams []*stream
	left    int // records that may still be looked at
}

// A stream is what one query still has to answer.
type stream struct {
	query Query
	at    place // up to which it was read
	ready []Entry
	ended bool
}

func (m *merge) newest(limit int) (Found, error) {
	var out Found
	for {
		// What is newer than where the slowest stream stands is certain.
		var next *stream
		var certain *place
		for _, s := range m.streams {
			if err := m.fill(s); err != nil {
				return out, err
			}
			switch {
			case len(s.ready) > 0:
				if next == nil || s.ready[0].at.compare(next.ready[0].at) > 0 {
					next = s
				}
			case !s.ended && (certain == nil || s.at.compare(*certain) > 0):
				certain = &s.at
			}
		}
		out.Read = searched - m.left
		if certain != nil && (next == nil || next.ready[0].at.compare(*certain) < 0) {
			out.Next = certain.String()
			return out, nil
		}
		if next == nil {
			return out, nil
		}
		if len(out.Entries) == limit {
			out.Next = out.Entries[limit-1].at.String()
			return out, nil
		}
		e := next.ready[0]
		next.ready = next.ready[1:]
		if n := len(out.Entries); n == 0 || out.Entries[n-1].Seq != e.Seq {
			out.Entries = append(out.Entries, e)
		}
	}
}

// fill reads on until a stream has something, is at its end, or enough was read.
func (m *merge) fill(s *stream) error {
	for len(s.ready) == 0 && !s.ended && m.left > 0 {
		entries, next, read, err := s.query.page(m.n, s.at)
		if err != nil {
			return err
		}
		m.left -= max(read, 1)
		if m.only != nil {
			entries = slices.DeleteFunc(entries, func(e Entry) bool { return !m.only(e.Record) })
		}
		s.ready = entries
		if next == nil {
			s.ended = true
		} else {
			s.at = *next
		}
	}
	return nil
}

// Matches says whether a query finds a record.
func (q Query) Matches(r *Record) bool {
	start, end := q.window()
	at := r.EventTime.UnixMicro()
	return q.Account == r.Account && start <= at && at <= end && containsAll(r.traits(), q.traits())
}

// Accounts lists the accounts that have records, also those that are closed.
func (t *Trail) Accounts(ctx context.Context) ([]string, error) {
	if err := t.Seal(ctx); err != nil {
		return nil, err
	}
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	var all []string
	for after := ""; ; {
		next, err := store.Collect(n, func(r *store.Rows) (a string, err error) { return a, r.Scan(&a) },
			"SELECT account FROM trail_terms WHERE account > ? ORDER BY account LIMIT 1", after)
		if err != nil || len(next) == 0 {
			return all, err
		}
		after = next[0]
		all = append(all, after)
	}
}

// End is the Seq of the newest record.
func (t *Trail) End(ctx context.Context) (int64, error) {
	if err := t.Seal(ctx); err != nil {
		return 0, err
	}
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer n.Close()
	var seq int64
	return seq, n.QueryRow("SELECT coalesce(max(seq), 0) FROM trail_records").Scan(&seq)
}
