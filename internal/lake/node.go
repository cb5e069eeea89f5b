package lake

import (
	"strconv"
	"strings"
	"time"
)

// A node is a part of a question. Its value is nil (SQL's NULL), a string, a float64, a
// bool, a time.Time, or what JSON has beside: a list or an object.
type node interface {
	value(e *env) any
	// named is what a node is beside its parts.
	named() string
	parts() []node
	with(parts []node) node // the same, of other parts
}

// env is what a node looks at: an event, or of a group what was kept of it.
type env struct {
	event map[string]any
	kept  []any
	now   time.Time
	steps int // that it took
	// element is that of a list which any_match looks at.
	element any
}

// A path leads into an event: names, and indexes of lists from 1.
type path struct {
	steps []string
	of    *column // the last step that a schema knows
}

func (n *path) named() string {
	var b strings.Builder
	for _, step := range n.steps {
		b.WriteString("." + strconv.Quote(strings.ToLower(step)))
	}
	return b.String()
}
func (n *path) parts() []node    { return nil }
func (n *path) with([]node) node { return n }

func (n *path) value(e *env) any {
	var at any = e.event
	for _, step := range n.steps {
		at = e.member(at, step)
	}
	if s, ok := at.(string); ok && n.of.time {
		if t, ok := moment(s); ok {
			return t
		}
	}
	return at
}

// member finds a name without regard to case, as Trino does; of several, the first.
func (e *env) member(of any, name string) any {
	e.steps++
	switch of := of.(type) {
	case map[string]any:
		if v, ok := of[name]; ok {
			return v
		}
		e.steps += len(of)
		found, value := "", any(nil)
		for k, v := range of {
			if strings.EqualFold(k, name) && (found == "" || k < found) {
				found, value = k, v
			}
		}
		return value
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 1 && i <= len(of) {
			return of[i-1]
		}
	}
	return nil
}

type literal struct{ v any }

func (n *literal) named() string    { return string(encoded(n.v)) }
func (n *literal) parts() []node    { return nil }
func (n *literal) with([]node) node { return n }
func (n *literal) value(*env) any   { return n.v }

// kept is what a group keeps under a number: what it is grouped by, or what was counted.
type kept int

func (n kept) named() string    { return "kept " + strconv.Itoa(int(n)) }
func (n kept) parts() []node    { return nil }
func (n kept) with([]node) node { return n }
func (n kept) value(e *env) any { return e.kept[n] }

// A test is an operator that says true, false or NULL.
type test struct {
	op string
	on []node
}

func (n *test) named() string          { return n.op }
func (n *test) parts() []node          { return n.on }
func (n *test) with(parts []node) node { return &test{n.op, parts} }

func (n *test) value(e *env) any {
	switch n.op {
	case "AND", "OR":
		return n.joined(e)
	case "IN":
		return n.among(e)
	}
	a := n.on[0].value(e)
	switch n.op {
	case "IS NULL":
		return a == nil
	case "NOT":
		if b, ok := a.(bool); ok {
			return !b
		}
		return nil
	}
	b := n.on[1].value(e)
	switch n.op {
	case "LIKE":
		if a == nil || b == nil {
			return nil
		}
		return e.like(e.shown(a), e.shown(b))
	case "DISTINCT":
		order, ok := e.compared(a, b)
		return !(ok && order == 0 || a == nil && b == nil)
	case "BETWEEN":
		return both(e.ordered(">=", a, b), e.ordered("<=", a, n.on[2].value(e)))
	}
	return e.ordered(n.op, a, b)
}

// ordered is a comparison; NULL if there is no order.
func (e *env) ordered(op string, a, b any) any {
	order, ok := e.compared(a, b)
	if !ok {
		return nil
	}
	switch op {
	case "=":
		return order == 0
	case "<>":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// both is AND of two.
func both(a, b any) any {
	switch {
	case a == false || b == false:
		return false
	case a == nil || b == nil:
		return nil
	}
	return true
}

// joined is AND or OR: what decides, else NULL if any is, else the other.
func (n *test) joined(e *env) any {
	decides := n.op == "OR"
	var out any = !decides
	for _, x := range n.on {
		switch b, ok := x.value(e).(bool); {
		case !ok:
			out = nil
		case b == decides:
			return decides
		}
	}
	return out
}

func (n *test) among(e *env) any {
	a := n.on[0].value(e)
	var out any = false
	for _, x := range n.on[1:] {
		switch order, ok := e.compared(a, x.value(e)); {
		case !ok:
			out = nil
		case order == 0:
			return true
		}
	}
	return out
}

// A tally counts over events: its value is a group's to keep.
type tally struct {
	name     string // count, min, max, sum or avg
	of       []node // none for count(*)
	distinct bool
}

func (n *tally) named() string          { return n.name + strconv.FormatBool(n.distinct) }
func (n *tally) parts() []node          { return n.of }
func (n *tally) with(parts []node) node { return &tally{n.name, parts, n.distinct} }
func (n *tally) value(*env) any         { return nil }

// find answers whether a node or a part of it is as said.
func find(n node, is func(node) bool) bool {
	if is(n) {
		return true
	}
	for _, p := range n.parts() {
		if find(p, is) {
			return true
		}
	}
	return false
}

func aggregates(n node) bool {
	return find(n, func(n node) bool { _, ok := n.(*tally); return ok })
}

// constant says whether a node has one value for all events.
func constant(n node) bool {
	return !find(n, func(n node) bool {
		switch n.(type) {
		case *path, *tally, *element, kept:
			return true
		}
		return false
	})
}
