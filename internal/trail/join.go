package trail

import (
	"bytes"
	"strings"

	"bawn.dev/internal/store"
)

// A join lists the places that several terms have in common, newest first. It reads the
// index only: of two common terms that rarely meet, no record is read in vain.
type join struct {
	terms  []*cursor
	at     place // what is not older was given, or is not common
	passed int   // places that were read
}

// places of the index are read in the time of one record.
const placesPerRecord = 32

// joined are the places older than at that a query's terms have in common.
func (q Query) joined(n store.Querier, at place) *join {
	start, end := q.window()
	j := &join{at: at}
	for _, trait := range q.traits() {
		if indexable(trait) && (trait != "" || len(j.terms) == 0) {
			j.terms = append(j.terms, &cursor{q: n, key: posted{q.Account, trait}, start: start, end: end, size: smallChunk})
		}
	}
	if len(j.terms) == 1 {
		j.terms[0].size = q.Limit + 1 // all of them will be asked for
	}
	return j
}

// indexable says that a trait is a term: see Record.terms.
func indexable(trait string) bool {
	return !strings.HasPrefix(trait, byReadOnly) && !strings.HasPrefix(trait, byResourceType)
}

// next gives up to limit more places, and says whether there may be others. It stops
// early when it has read about as long as so many records take; of fewer than a term's
// first places each, it may come no further.
func (j *join) next(limit, patience int) (found []place, more bool, err error) {
	for stop := j.passed + patience*placesPerRecord; len(found) < limit && j.passed < stop; {
		candidate, agreed := place{j.at.time, j.at.seq - 1}, 0
		for i := 0; agreed < len(j.terms); i = (i + 1) % len(j.terms) {
			p, ok, err := j.terms[i].seek(candidate, &j.passed)
			if err != nil || !ok {
				return found, false, err
			}
			if agreed++; p != candidate {
				candidate, agreed = p, 1
			}
			if j.passed >= stop && agreed < len(j.terms) {
				j.at = place{candidate.time, candidate.seq + 1}
				return found, true, nil
			}
		}
		found, j.at = append(found, candidate), candidate
	}
	return found, true, nil
}

// said is what an event's text must hold of what the index does not have: to look for
// it takes less than to decode the event, which then tells whether it stands there for
// that.
func (q Query) said() (parts [][]byte) {
	if q.ReadOnly != nil {
		parts = append(parts, []byte(`"readOnly":`+yesNo(*q.ReadOnly)))
	}
	if q.ResourceType != "" && plain(q.ResourceType) {
		parts = append(parts, []byte(`"type":"`+q.ResourceType+`"`))
	}
	return parts
}

func containsEach(text []byte, parts [][]byte) bool {
	for _, part := range parts {
		if !bytes.Contains(text, part) {
			return false
		}
	}
	return true
}

// A cursor walks the places of one term.
type cursor struct {
	q          store.Querier
	key        posted
	start, end int64
	read       []place // and not passed
	size       int     // of what is read at once
	last, used int     // of what was read last: how many, and how many of it were asked for
	ended      bool    // nothing follows what was read
}

const smallChunk, largeChunk = 16, 1024

// seek gives the newest place that is not newer than p, and passes what is.
func (c *cursor) seek(p place, passed *int) (place, bool, error) {
	for len(c.read) > 0 && c.read[0].compare(p) > 0 {
		c.read = c.read[1:]
	}
	if len(c.read) == 0 && !c.ended {
		// Who asks for most of what is read will go on; who skips it will skip more.
		switch {
		case c.last == 0:
		case c.used*4 >= c.last:
			c.size = max(c.size, min(2*c.size, largeChunk))
		default:
			c.size = smallChunk
		}
		var err error
		if c.read, err = before(c.q, c.key, place{p.time, p.seq + 1}, c.start, c.end, c.size); err != nil {
			return place{}, false, err
		}
		c.ended, c.last, c.used = len(c.read) < c.size, len(c.read), 0
		*passed += len(c.read)
	}
	if len(c.read) == 0 {
		return place{}, false, nil
	}
	c.used++
	return c.read[0], true, nil
}
