package scim

import "strings"

// A filter is a condition on a resource (RFC 7644, section 3.4.2.2).
type filter interface{ holds(object) bool }

type (
	both    struct{ a, b filter }
	either  struct{ a, b filter }
	not     struct{ x filter }
	compare struct {
		of    place
		op    string // in lower case
		value any    // of pr: nil
	}
	// some holds where one value of a list meets a filter of its own.
	some struct {
		of    place
		inner filter
	}
)

// A place is where a value is: an attribute of the schema or of its extension, and
// maybe a part of it.
type place struct {
	extension bool
	attribute *attribute
	sub       *attribute // nil: the attribute itself
}

// A scope is what names mean: the attributes of a resource, or those of one value
// of a list.
type scope struct {
	t      *resourceType
	within *attribute
}

type parser struct {
	tokens []token
	terms  int
	depth  int
}

// parseFilter reads a filter on resources of a type.
func parseFilter(t *resourceType, text string) (filter, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	f, err := p.or(scope{t: t})
	if err != nil {
		return nil, err
	}
	if p.peek().kind != end {
		return nil, badFilter("The filter goes on where it should end.")
	}
	return f, nil
}

func (p *parser) peek() token { return p.tokens[0] }

func (p *parser) next() token {
	t := p.tokens[0]
	if t.kind != end {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) isWord(text string) bool {
	t := p.peek()
	return t.kind == word && equal(t.text, text)
}

func (p *parser) isMark(text string) bool {
	t := p.peek()
	return t.kind == mark && t.text == text
}

func (p *parser) or(s scope) (filter, error) {
	a, err := p.and(s)
	for err == nil && p.isWord("or") {
		p.next()
		var b filter
		b, err = p.and(s)
		a = either{a, b}
	}
	return a, err
}

func (p *parser) and(s scope) (filter, error) {
	a, err := p.term(s)
	for err == nil && p.isWord("and") {
		p.next()
		var b filter
		b, err = p.term(s)
		a = both{a, b}
	}
	return a, err
}

func (p *parser) term(s scope) (filter, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, badFilter("The filter nests deeper than %d.", maxDepth)
	}
	if p.terms++; p.terms > maxTerms {
		return nil, badFilter("The filter has more than %d terms.", maxTerms)
	}
	if p.isWord("not") && p.tokens[1].kind == mark && p.tokens[1].text == "(" {
		p.next()
		x, err := p.group(s, "(", ")")
		return not{x}, err
	}
	if p.isMark("(") {
		return p.group(s, "(", ")")
	}
	of, err := p.place(s)
	if err != nil {
		return nil, err
	}
	if p.isMark("[") {
		if of.sub != nil || !of.attribute.multi || of.attribute.sub == nil || s.within != nil {
			return nil, badFilter("%s is no list of values.", of.attribute.name)
		}
		within := scope{s.t, of.attribute}
		inner, err := p.group(within, "[", "]")
		if err == nil && p.isMark(".") { // Entra ID asks for emails[type eq "work"].value eq "…"
			p.next()
			var last filter
			last, err = p.term(within)
			inner = both{inner, last}
		}
		return some{of, inner}, err
	}
	return p.comparison(of)
}

func (p *parser) group(s scope, open, closing string) (filter, error) {
	if p.next().text != open {
		return nil, badFilter("The filter lacks %q.", open)
	}
	x, err := p.or(s)
	if err != nil {
		return nil, err
	}
	if !p.isMark(closing) {
		return nil, badFilter("The filter lacks %q.", closing)
	}
	p.next()
	return x, nil
}

// place reads the name of an attribute, and of a part of it.
func (p *parser) place(s scope) (place, error) {
	t := p.next()
	if t.kind != word {
		return place{}, badFilter("The filter has no attribute where one should be.")
	}
	of, err := s.named(t.text)
	if err != nil || !p.isMark(".") {
		return of, err
	}
	p.next()
	part := p.next()
	sub := find(of.attribute.sub, part.text)
	if part.kind != word || sub == nil || s.within != nil {
		return of, badFilter("%s has no part of that name.", of.attribute.name)
	}
	of.sub = sub
	return of, nil
}

// named finds what a name means, with or without its schema before it.
func (s scope) named(name string) (place, error) {
	list, extension, rest := s.t.attributes, false, name
	switch {
	case s.within != nil:
		list = s.within.sub
	case s.t.extension != nil && prefixed(name, enterpriseURN+":"):
		list, extension, rest = s.t.extension, true, name[len(enterpriseURN)+1:]
	case prefixed(name, s.t.urn+":"):
		rest = name[len(s.t.urn)+1:]
	}
	a := find(list, rest)
	if a == nil || find(unstored, rest) != nil && s.within == nil && !extension {
		return place{}, badFilter("%q is not an attribute.", clip(name))
	}
	return place{extension: extension, attribute: a}, nil
}

func prefixed(s, prefix string) bool {
	return len(s) > len(prefix) && equal(s[:len(prefix)], prefix)
}

var operators = map[string]bool{"eq": true, "ne": true, "co": true, "sw": true, "ew": true, "gt": true, "ge": true, "lt": true, "le": true}

func (p *parser) comparison(of place) (filter, error) {
	t := p.next()
	op := strings.ToLower(t.text)
	if t.kind == word && op == "pr" {
		return compare{of: of, op: "pr"}, nil
	}
	if t.kind != word || !operators[op] {
		return nil, badFilter("The filter has no operator after %s.", of.attribute.name)
	}
	v := p.next()
	if v.kind != value {
		return nil, badFilter("The filter has no value after %s.", op)
	}
	if leaf := of.leaf(); leaf != nil && leaf.kind == "boolean" { // Entra ID asks for roles[primary eq "True"]
		if b, err := normalOne(leaf, v.value); err == nil {
			v.value = b
		}
	}
	return compare{of, op, v.value}, of.comparable(op, v.value)
}

// leaf is the attribute whose values are compared: of a list of values, the values.
func (of place) leaf() *attribute {
	if of.sub != nil {
		return of.sub
	}
	if of.attribute.kind == "complex" {
		return find(of.attribute.sub, "value")
	}
	return of.attribute
}

// comparable refuses what can mean nothing.
func (of place) comparable(op string, v any) error {
	leaf := of.leaf()
	if leaf == nil {
		return badFilter("%s is not compared as a whole.", of.attribute.name)
	}
	switch v.(type) {
	case nil:
		if op == "eq" || op == "ne" {
			return nil
		}
	case bool:
		if leaf.kind == "boolean" && (op == "eq" || op == "ne") {
			return nil
		}
	case string:
		if leaf.kind != "boolean" {
			return nil
		}
	}
	return badFilter("%s is not compared with such a value by %s.", leaf.name, op)
}
