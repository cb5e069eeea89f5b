package lake

import (
	"strings"
	"time"
)

// A Hint tells a source what it may leave out. What it does not leave out is looked at.
type Hint struct {
	Since, Until time.Time         // of an event's time in whole seconds, inclusive; zero: open
	Equal        map[string]string // members, in lower case and with dots, and the text that they must be
}

// hint is what WHERE says for certain: the parts that AND ties at its top.
func (s *Statement) hint(now time.Time) Hint {
	h := Hint{Equal: map[string]string{}}
	if s.where != nil {
		h.learn(s.where, now)
	}
	return h
}

func (h *Hint) learn(n node, now time.Time) {
	if m, ok := n.(*anyMatch); ok {
		h.learnElement(m, m.on[1], now)
		return
	}
	t, ok := n.(*test)
	if !ok {
		return
	}
	switch {
	case t.op == "AND":
		for _, x := range t.on {
			h.learn(x, now)
		}
		return
	case t.op == "BETWEEN":
		h.learn(&test{">=", t.on[:2]}, now)
		h.learn(&test{"<=", []node{t.on[0], t.on[2]}}, now)
		return
	case len(t.on) != 2:
		return
	}
	op, a, b := t.op, t.on[0], t.on[1]
	if _, ok := b.(*path); ok {
		op, a, b = mirrored[op], b, a
	}
	p, ok := a.(*path)
	if !ok || !constant(b) {
		return
	}
	switch v := b.value(&env{now: now}).(type) {
	case string:
		if op == "=" && v != "" {
			h.Equal[strings.ToLower(strings.Join(p.steps, "."))] = v
		}
	case time.Time:
		if p.of.time {
			h.bound(op, v)
		}
	}
}

// learnElement learns what an element must be: of a list's name, *, and the member's.
func (h *Hint) learnElement(m *anyMatch, n node, now time.Time) {
	list, isPath := m.on[0].(*path)
	t, isTest := n.(*test)
	if !isPath || !isTest {
		return
	}
	switch t.op {
	case "AND":
		for _, x := range t.on {
			h.learnElement(m, x, now)
		}
	case "=":
		a, b := t.on[0], t.on[1]
		if _, ok := b.(*element); ok {
			a, b = b, a
		}
		of, ok := a.(*element)
		if !ok || !constant(b) {
			return
		}
		if v, ok := b.value(&env{now: now}).(string); ok && v != "" {
			h.Equal[strings.ToLower(strings.Join(list.steps, ".")+".*."+strings.Join(of.steps, "."))] = v
		}
	}
}

var mirrored = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

func (h *Hint) bound(op string, at time.Time) {
	if (op == ">" || op == ">=" || op == "=") && at.After(h.Since) {
		h.Since = at
	}
	if (op == "<" || op == "<=" || op == "=") && (h.Until.IsZero() || at.Before(h.Until)) {
		h.Until = at
	}
}
