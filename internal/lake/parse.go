package lake

import (
	"slices"
	"strconv"
	"strings"
)

// A Statement is a question that was understood.
type Statement struct {
	Store    string // the id of the event data store that it names
	distinct bool
	columns  []selected
	all      bool // of *
	where    node
	group    []node
	having   node
	order    []ordering
	limit    int // -1: none
	grouped  bool
	tallies  []*tally
}

type selected struct {
	name string
	node node
}

type ordering struct {
	node  node
	desc  bool
	first bool // NULL comes first
}

// Bounds of a question's parts.
const (
	maxDepth   = 50 // of expressions in expressions
	maxColumns = 100
	maxKeys    = 20 // to group or order by
)

type parser struct {
	tokens []token
	at     int
	depth  int
	lambda *lambda // that is being read
}

// Parse reads a question. Its errors are *Invalid.
func Parse(statement string) (*Statement, error) {
	tokens, err := lexed(statement)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	s, err := p.statement()
	if err != nil {
		return nil, err
	}
	p.take(";")
	if p.peek().kind != end {
		return nil, p.unexpected()
	}
	return s, s.settle()
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) take(s string) bool {
	if p.peek().is(s) {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(s string) error {
	if !p.take(s) {
		return invalid("%s was expected at %s", s, p.peek().brief())
	}
	return nil
}

// unserved are words that begin what SQL has and this has not.
var unserved = []string{"JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "UNION", "EXCEPT", "INTERSECT", "WITH", "SELECT", "UNNEST",
	"OFFSET", "FETCH", "WINDOW", "OVER", "EXISTS", "CASE", "CAST", "INTERVAL", "ESCAPE"}

func (p *parser) unexpected() error {
	t := p.peek()
	if t.kind == word && slices.Contains(unserved, strings.ToUpper(t.text)) {
		return invalid("%s is not served: a query is one SELECT from one event data store", strings.ToUpper(t.text))
	}
	return invalid("%s was not expected", t.brief())
}

func (p *parser) statement() (s *Statement, err error) {
	if !p.take("SELECT") {
		return nil, invalid("a query begins with SELECT, and only reads")
	}
	s = &Statement{limit: -1, distinct: p.take("DISTINCT")}
	if s.columns, s.all, err = p.selected(); err != nil {
		return nil, err
	}
	if !p.take("FROM") {
		return nil, p.unexpected()
	}
	if s.Store, err = p.store(); err != nil {
		return nil, err
	}
	if p.take("WHERE") {
		if s.where, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if p.take("GROUP") {
		if s.group, err = p.grouping(s); err != nil {
			return nil, err
		}
	}
	if p.take("HAVING") {
		if s.having, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if p.take("ORDER") {
		if s.order, err = p.ordering(s); err != nil {
			return nil, err
		}
	}
	if p.take("LIMIT") {
		n, err := strconv.Atoi(p.peek().text)
		if p.peek().kind != number || err != nil {
			return nil, invalid("LIMIT takes a number, not %s", p.peek().brief())
		}
		p.at++
		s.limit = n
	}
	return s, nil
}

func (p *parser) selected() (columns []selected, all bool, err error) {
	if p.take("*") {
		return nil, true, nil
	}
	for {
		n, err := p.expression()
		if err != nil {
			return nil, false, err
		}
		c := selected{p.named(n, len(columns)), n}
		t := p.peek()
		switch {
		case p.take("AS"):
			if t = p.peek(); t.kind != word && t.kind != quoted {
				return nil, false, invalid("AS takes a name, not %s", t.brief())
			}
			fallthrough
		case t.kind == quoted, t.kind == word && !reserved(t):
			c.name = t.text
			p.at++
		}
		if columns = append(columns, c); len(columns) > maxColumns {
			return nil, false, invalid("a query selects at most %d columns", maxColumns)
		}
		if !p.take(",") {
			return columns, false, nil
		}
	}
}

// named is what a column is called without AS: as it is written, or as Trino numbers it.
func (p *parser) named(n node, index int) string {
	if _, ok := n.(*path); ok {
		if t := p.tokens[p.at-1]; t.kind == word || t.kind == quoted {
			return t.text
		}
	}
	return "_col" + strconv.Itoa(index)
}

func (p *parser) grouping(s *Statement) (all []node, err error) {
	if err := p.want("BY"); err != nil {
		return nil, err
	}
	for {
		n, err := p.ordinal(s)
		if err != nil {
			return nil, err
		}
		if all = append(all, n); len(all) > maxKeys {
			return nil, invalid("a query groups by at most %d expressions", maxKeys)
		}
		if !p.take(",") {
			return all, nil
		}
	}
}

func (p *parser) ordering(s *Statement) (all []ordering, err error) {
	if err := p.want("BY"); err != nil {
		return nil, err
	}
	for {
		n, err := p.another(s)
		if err != nil {
			return nil, err
		}
		o := ordering{node: n, desc: p.take("DESC")}
		if !o.desc {
			p.take("ASC")
		}
		if p.take("NULLS") {
			if o.first = p.take("FIRST"); !o.first {
				if err := p.want("LAST"); err != nil {
					return nil, err
				}
			}
		}
		if all = append(all, o); len(all) > maxKeys {
			return nil, invalid("a query orders by at most %d expressions", maxKeys)
		}
		if !p.take(",") {
			return all, nil
		}
	}
}

// another is an expression, or the other name of a column that is selected.
func (p *parser) another(s *Statement) (node, error) {
	t, after := p.peek(), p.tokens[min(p.at+1, len(p.tokens)-1)]
	if t.kind == word || t.kind == quoted {
		if after.kind == end || slices.ContainsFunc([]string{",", ";", "ASC", "DESC", "NULLS", "LIMIT"}, after.is) {
			if i := slices.IndexFunc(s.columns, func(c selected) bool { return strings.EqualFold(c.name, t.text) }); i >= 0 {
				p.at++
				return s.columns[i].node, nil
			}
		}
	}
	return p.ordinal(s)
}

// ordinal is an expression, or the number of a column that is selected.
func (p *parser) ordinal(s *Statement) (node, error) {
	n, err := p.expression()
	if err != nil {
		return nil, err
	}
	l, ok := n.(*literal)
	if !ok {
		return n, nil
	}
	i, ok := whole(l.v)
	if _, text := l.v.(string); !ok || text || i < 1 || i > len(s.columns) {
		return nil, invalid("%s is not the number of a column", token{text: shown(l.v), kind: number}.brief())
	}
	return s.columns[i-1].node, nil
}

// store reads the id after FROM: words and numbers with hyphens between.
func (p *parser) store() (string, error) {
	if t := p.peek(); t.kind == quoted {
		p.at++
		return t.text, nil
	}
	var id strings.Builder
	for {
		t := p.peek()
		if t.kind != word && t.kind != number {
			return "", invalid("FROM takes the id of an event data store, not %s", t.brief())
		}
		p.at++
		id.WriteString(t.text)
		if !p.take("-") {
			break
		}
		id.WriteByte('-')
	}
	if p.peek().is(",") {
		return "", invalid("a query is of one event data store")
	}
	return id.String(), nil
}

func (p *parser) list() (all []node, err error) {
	for {
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		if all = append(all, n); !p.take(",") {
			return all, nil
		}
	}
}
