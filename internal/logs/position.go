package logs

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A position is the gap before an event: events are ordered by time, then by
// batch, then by their place in it. Tokens and event ids are positions.
type position struct{ time, batch, index int64 }

var (
	theStart = position{}
	theEnd   = position{time: math.MaxInt64}
)

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.time, q.time), cmp.Compare(p.batch, q.batch), cmp.Compare(p.index, q.index))
}

// next is the gap after the event that p stands before.
func (p position) next() position { return position{p.time, p.batch, p.index + 1} }

// String is 56 decimal digits, as AWS's tokens and event ids are.
func (p position) String() string { return fmt.Sprintf("%020d%020d%016d", p.time, p.batch, p.index) }

// parsePosition reads what String wrote.
func parsePosition(s string) (p position, err error) {
	if len(s) != 56 || strings.Trim(s, "0123456789") != "" {
		return p, badToken()
	}
	for _, part := range []struct {
		text string
		into *int64
	}{{s[:20], &p.time}, {s[20:40], &p.batch}, {s[40:], &p.index}} {
		if *part.into, err = strconv.ParseInt(part.text, 10, 64); err != nil {
			return position{}, badToken()
		}
	}
	return p, nil
}
