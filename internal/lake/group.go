package lake

import (
	"cmp"
	"context"
	"math"
	"strconv"
	"strings"
	"time"
)

// A group is of the events for which all that it is grouped by has one value.
type group struct {
	by     []any
	counts []count
}

// A count is what a group knows of one of its tallies.
type count struct {
	n    float64
	sum  float64
	best any
	seen map[string]bool // of distinct ones
}

// add counts an event in its group.
func (r *run) add(e *env) error {
	by := make([]any, len(r.group))
	var key strings.Builder
	for i, n := range r.group {
		by[i] = n.value(e)
		key.Write(encoded(by[i]))
		key.WriteByte(0)
	}
	g := r.groups[key.String()]
	if g == nil {
		g = &group{by, make([]count, len(r.tallies))}
		r.groups[key.String()] = g
		cost := overhead*(2+2*len(r.tallies)) + key.Len()
		for _, v := range by {
			cost += size(v)
		}
		if err := r.keep(cost); err != nil {
			return err
		}
		if len(r.groups) > r.limits.Rows {
			return tooMuch("more than %d groups: narrow it, or group it by less", r.limits.Rows)
		}
	}
	for i, t := range r.tallies {
		var v any = true
		if len(t.of) > 0 {
			v = t.of[0].value(e)
		}
		if err := r.keep(g.counts[i].add(v, t)); err != nil {
			return err
		}
	}
	return nil
}

// close makes rows of groups. Without GROUP BY there is one, also of no events.
func (r *run) close(ctx context.Context) error {
	if len(r.group) == 0 && len(r.groups) == 0 {
		r.groups[""] = &group{counts: make([]count, len(r.tallies))}
	}
	for _, g := range r.groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := &env{kept: g.by, now: r.now}
		for i, t := range r.tallies {
			e.kept = append(e.kept, g.counts[i].result(t.name))
		}
		if r.having != nil && r.having.value(e) != true {
			if err := e.spent(); err != nil {
				return err
			}
			continue
		}
		if err := cmp.Or(r.show(e), e.spent()); err != nil {
			return err
		}
	}
	return nil
}

// add counts a value, and answers how much more is kept.
func (c *count) add(v any, t *tally) (grown int) {
	if v == nil {
		return 0
	}
	if t.distinct {
		key := string(encoded(v))
		if c.seen[key] {
			return 0
		}
		if c.seen == nil {
			c.seen = map[string]bool{}
		}
		c.seen[key] = true
		grown = overhead + len(key)
	}
	c.n++
	switch t.name {
	case "sum", "avg":
		f, ok := v.(float64)
		if s, text := v.(string); text { // as parameters of some calls are
			n, err := strconv.ParseFloat(s, 64)
			f, ok = n, err == nil && !math.IsNaN(n)
		}
		if ok {
			c.sum += f
		} else {
			c.n-- // what is no number counts for nothing
		}
	case "min", "max":
		switch v.(type) {
		case string, float64, bool, time.Time:
		default:
			return grown
		}
		if order, ok := compared(v, c.best); c.best == nil || ok && (order < 0) == (t.name == "min") && order != 0 {
			grown += size(v) - size(c.best)
			c.best = v
		}
	}
	return grown
}

func (c *count) result(name string) any {
	switch {
	case name == "count":
		return c.n
	case name == "min" || name == "max":
		return c.best
	case c.n == 0:
		return nil
	case name == "avg":
		return c.sum / c.n
	}
	return c.sum
}
