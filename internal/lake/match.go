package lake

import (
	"strconv"
	"strings"
)

// An anyMatch says whether something holds of any element of a list. None stands in
// another: what a question costs would grow by the power of the lists.
type anyMatch struct{ on []node } // the list, and what is to hold

func (n *anyMatch) named() string          { return "any_match" }
func (n *anyMatch) parts() []node          { return n.on }
func (n *anyMatch) with(parts []node) node { return &anyMatch{parts} }

func (n *anyMatch) value(e *env) any {
	list, ok := n.on[0].value(e).([]any)
	if !ok {
		return nil
	}
	var out any = false
	for _, v := range list {
		if e.steps++; e.steps > maxSteps {
			return nil
		}
		e.element = v
		switch b, ok := n.on[1].value(e).(bool); {
		case !ok:
			out = nil
		case b:
			return true
		}
	}
	return out
}

// An element leads into the element of a list that is looked at.
type element struct{ steps []string }

func (n *element) named() string {
	return "element " + strconv.Quote(strings.ToLower(strings.Join(n.steps, "\x00")))
}
func (n *element) parts() []node    { return nil }
func (n *element) with([]node) node { return n }

func (n *element) value(e *env) any {
	at := e.element
	for _, step := range n.steps {
		at = e.member(at, step)
	}
	return at
}

// A lambda is what is read of any_match: what it calls an element, and what those have.
type lambda struct {
	name string
	of   *column // nil: anything
}

// anyMatch reads "list, name -> condition)".
func (p *parser) anyMatch() (node, error) {
	if p.lambda != nil {
		return nil, invalid("any_match does not stand in another")
	}
	list, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.want(","); err != nil {
		return nil, err
	}
	t := p.peek()
	if t.kind != word || reserved(t) {
		return nil, invalid("any_match takes a list and a condition such as x -> x.ARN = 'a', not %s", t.brief())
	}
	p.at++
	if err := p.want("->"); err != nil {
		return nil, err
	}
	p.lambda = &lambda{name: t.text}
	defer func() { p.lambda = nil }()
	if l, ok := list.(*path); ok && l.of.list && len(l.steps) == 1 {
		p.lambda.of = l.of
	}
	body, err := p.expression()
	if err != nil {
		return nil, err
	}
	if aggregates(list) || aggregates(body) {
		return nil, invalid("any_match is asked of each event: it counts nothing")
	}
	return &anyMatch{[]node{list, body}}, p.want(")")
}

// element is a path into an element.
func (l *lambda) element(steps []string) (node, error) {
	if l.of == nil || len(steps) == 0 {
		return &element{steps}, nil
	}
	n, err := within(l.of, steps, true)
	if err != nil {
		return nil, err
	}
	return &element{n.steps}, nil
}
