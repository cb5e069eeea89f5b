package lake

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// expression reads what OR, AND and NOT tie together.
func (p *parser) expression() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, invalid("the statement nests too deep")
	}
	defer func() { p.depth-- }()
	return p.tied("OR", func() (node, error) { return p.tied("AND", p.negated) })
}

func (p *parser) tied(op string, below func() (node, error)) (node, error) {
	n, err := below()
	if err != nil || !p.peek().is(op) {
		return n, err
	}
	all := []node{n}
	for p.take(op) {
		if n, err = below(); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return &test{op, all}, nil
}

func (p *parser) negated() (node, error) {
	odd := false
	for p.take("NOT") {
		odd = !odd
	}
	n, err := p.comparison()
	if err != nil {
		return nil, err
	}
	return turned(n, odd), nil
}

func (p *parser) comparison() (node, error) {
	a, err := p.operand()
	if err != nil {
		return nil, err
	}
	for _, op := range []string{"<>", "!=", "<=", ">=", "=", "<", ">"} {
		if !p.take(op) {
			continue
		}
		if op == "!=" {
			op = "<>"
		}
		return p.compare(op, a)
	}
	if p.take("IS") {
		not := p.take("NOT")
		if p.take("DISTINCT") {
			if err := p.want("FROM"); err != nil {
				return nil, err
			}
			n, err := p.compare("DISTINCT", a)
			return turned(n, not), err
		}
		return turned(&test{"IS NULL", []node{a}}, not), p.want("NULL")
	}
	not := p.take("NOT")
	var n node
	switch {
	case p.take("LIKE"):
		if n, err = p.operand(); err == nil {
			n = &test{"LIKE", []node{a, n}}
		}
	case p.take("BETWEEN"):
		n, err = p.between(a)
	case p.take("IN"):
		n, err = p.in(a)
	case not:
		return nil, p.unexpected()
	default:
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	return turned(n, not), nil
}

// compare reads the other side of a comparison.
func (p *parser) compare(op string, a node) (node, error) {
	b, err := p.operand()
	if err != nil {
		return nil, err
	}
	on := []node{a, b}
	return &test{op, on}, times(on)
}

func (p *parser) between(a node) (node, error) {
	low, err := p.operand()
	if err != nil {
		return nil, err
	}
	if err := p.want("AND"); err != nil {
		return nil, err
	}
	high, err := p.operand()
	if err != nil {
		return nil, err
	}
	on := []node{a, low, high} // not two comparisons: what nests would be asked twice each time
	return &test{"BETWEEN", on}, times(on)
}

func (p *parser) in(a node) (node, error) {
	if err := p.want("("); err != nil {
		return nil, err
	}
	list, err := p.list()
	if err != nil {
		return nil, err
	}
	on := append([]node{a}, list...)
	if err := times(on); err != nil {
		return nil, err
	}
	return &test{"IN", on}, p.want(")")
}

func turned(n node, not bool) node {
	if not {
		return &test{"NOT", []node{n}}
	}
	return n
}

// times makes times of texts that are compared with one. A text that is no time would
// compare with none, and the answer would look like one.
func times(on []node) error {
	if !slices.ContainsFunc(on, timed) {
		return nil
	}
	for i, n := range on {
		if l, ok := n.(*literal); ok {
			t, ok := asTime(l.v)
			if !ok && l.v != nil {
				return invalid("%s is not a time such as '2026-01-31 18:30:00'", token{text: shown(l.v), kind: text}.brief())
			}
			if ok {
				on[i] = &literal{t}
			}
		}
	}
	return nil
}

func timed(n node) bool {
	switch n := n.(type) {
	case *path:
		return n.of.time
	case *call:
		return n.f.timed
	case *literal:
		_, ok := n.v.(time.Time)
		return ok
	case *tally:
		return (n.name == "min" || n.name == "max") && timed(n.of[0])
	}
	return false
}

func (p *parser) operand() (node, error) {
	t := p.peek()
	next := p.tokens[min(p.at+1, len(p.tokens)-1)]
	switch {
	case p.take("("):
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		return n, p.want(")")
	case t.kind == text:
		p.at++
		return &literal{t.text}, nil
	case t.kind == number || t.is("-"):
		return p.number()
	case p.take("TRUE"):
		return &literal{true}, nil
	case p.take("FALSE"):
		return &literal{false}, nil
	case p.take("NULL"):
		return &literal{nil}, nil
	case (t.is("TIMESTAMP") || t.is("DATE")) && next.kind == text:
		p.at += 2
		at, ok := moment(next.text)
		if !ok {
			return nil, invalid("%s is not a time such as '2026-01-31 18:30:00'", next.brief())
		}
		return &literal{at}, nil
	case p.take("CURRENT_TIMESTAMP"):
		return &call{"now", functions["now"], nil}, nil
	case t.kind != word && t.kind != quoted || reserved(t):
		return nil, p.unexpected()
	}
	p.at++
	if t.kind == word && p.take("(") {
		return p.call(strings.ToLower(t.text))
	}
	return p.path(t.text)
}

func (p *parser) number() (node, error) {
	sign := 1.0
	if p.take("-") {
		sign = -1
	}
	t := p.peek()
	f, err := strconv.ParseFloat(t.text, 64)
	if err != nil || t.kind != number {
		return nil, invalid("%s is not a number", t.brief())
	}
	p.at++
	return &literal{sign * f}, nil
}

func (p *parser) path(first string) (node, error) {
	steps := []string{first}
	for {
		switch {
		case p.take("."):
			if t := p.peek(); t.kind != word && t.kind != quoted {
				return nil, invalid("a name was expected at %s", t.brief())
			}
			steps = append(steps, p.peek().text)
			p.at++
		case p.take("["):
			if t := p.peek(); t.kind != text && t.kind != number {
				return nil, invalid("a name or number was expected at %s", t.brief())
			}
			steps = append(steps, p.peek().text)
			p.at++
			if err := p.want("]"); err != nil {
				return nil, err
			}
		case p.lambda != nil && strings.EqualFold(first, p.lambda.name):
			return p.lambda.element(steps[1:])
		default:
			return resolved(steps)
		}
		if len(steps) > maxDepth {
			return nil, invalid("the statement nests too deep")
		}
	}
}

func (p *parser) call(name string) (node, error) {
	switch name {
	case "count", "min", "max", "sum", "avg":
		return p.tally(name)
	case "any_match":
		return p.anyMatch()
	}
	f, known := functions[name]
	if !known {
		return nil, invalid("there is no function %s", token{word, name}.brief())
	}
	var args []node
	if !p.peek().is(")") {
		var err error
		if args, err = p.list(); err != nil {
			return nil, err
		}
	}
	if len(args) < f.least || len(args) > f.most {
		return nil, invalid("%s does not take %d values", name, len(args))
	}
	if name == "date_add" || name == "date_trunc" {
		unit, ok := args[0].(*literal)
		if !ok || !slices.Contains([]string{"second", "minute", "hour", "day", "week", "month", "year"}, strings.ToLower(shown(unit.v))) {
			return nil, invalid("the unit of %s is second, minute, hour, day, week, month or year", name)
		}
	}
	return &call{name, f, args}, p.want(")")
}

func (p *parser) tally(name string) (node, error) {
	n := &tally{name: name}
	if name == "count" && p.take("*") {
		return n, p.want(")")
	}
	n.distinct = p.take("DISTINCT")
	of, err := p.expression()
	if err != nil {
		return nil, err
	}
	if aggregates(of) {
		return nil, invalid("%s counts what is counted already", name)
	}
	n.of = []node{of}
	return n, p.want(")")
}

// reserved are words that are no names unless they are quoted.
func reserved(t token) bool {
	if t.kind != word {
		return false
	}
	switch w := strings.ToUpper(t.text); w {
	case "FROM", "WHERE", "GROUP", "BY", "HAVING", "ORDER", "LIMIT", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "AS", "DISTINCT", "NULLS",
		"INSERT", "UPDATE", "DELETE", "DROP", "CREATE", "ALTER":
		return true
	default:
		return slices.Contains(unserved, w)
	}
}
