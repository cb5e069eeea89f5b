package main

import (
	"fmt"
	"slices"
	"strings"
)

// choice says which members of a structure stay.
type choice struct {
	only    []string // these only, when not nil
	without []string // all but these
}

func (c *choice) keeps(member string) bool {
	switch {
	case c == nil:
		return true
	case c.only != nil:
		return slices.Contains(c.only, member)
	}
	return !slices.Contains(c.without, member)
}

func (c *choice) names() []string {
	if c == nil {
		return nil
	}
	return append(slices.Clone(c.only), c.without...)
}

type extraField struct{ shape, member, kind string }

// mark sets or clears a flag of a shape.
type mark struct {
	shape string
	set   bool
}

type selection struct {
	order  []string
	in     map[string]*choice
	out    map[string]*choice
	shapes map[string]*choice
	fields []extraField
	secret []mark              // what the model's own sensitive marks miss or overdo
	advice map[string][]string // advisory members by operation
	given  map[string][]string // input members, by operation, that may be given empty
	// What Go's expressions cannot say as the model does.
	patterns map[string]string
}

func parseSelection(text string) (*selection, error) {
	s := &selection{in: map[string]*choice{}, out: map[string]*choice{}, shapes: map[string]*choice{}, advice: map[string][]string{}, given: map[string][]string{}, patterns: map[string]string{}}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 2 {
			return nil, fmt.Errorf("line %d: a directive needs a name", i+1)
		}
		var into map[string]*choice
		switch words[0] {
		case "op":
			s.order = append(s.order, words[1])
			into = s.in
		case "out":
			into = s.out
		case "shape":
			into = s.shapes
		case "field":
			if len(words) != 4 {
				return nil, fmt.Errorf("line %d: field needs shape, member and type", i+1)
			}
			s.fields = append(s.fields, extraField{words[1], words[2], words[3]})
			continue
		case "sensitive", "plain":
			s.secret = append(s.secret, mark{words[1], words[0] == "sensitive"})
			continue
		case "pattern":
			if len(words) != 3 {
				return nil, fmt.Errorf("line %d: pattern needs shape and expression", i+1)
			}
			s.patterns[words[1]] = words[2]
			continue
		case "advisory":
			s.advice[words[1]] = append(s.advice[words[1]], words[2:]...)
			continue
		case "given":
			s.given[words[1]] = append(s.given[words[1]], words[2:]...)
			continue
		default:
			return nil, fmt.Errorf("line %d: no directive %q", i+1, words[0])
		}
		c, err := parseChoice(words[2:])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if _, twice := into[words[1]]; twice {
			return nil, fmt.Errorf("line %d: %s is named twice", i+1, words[1])
		}
		into[words[1]] = c
	}
	return s, nil
}

func parseChoice(words []string) (*choice, error) {
	if len(words) == 0 {
		return nil, nil
	}
	if len(words) == 1 && words[0] == "none" {
		return &choice{only: []string{}}, nil
	}
	c := &choice{}
	for _, w := range words {
		if name, ok := strings.CutPrefix(w, "-"); ok {
			c.without = append(c.without, name)
		} else {
			c.only = append(c.only, w)
		}
	}
	if c.only != nil && c.without != nil {
		return nil, fmt.Errorf("a choice either names what stays or what goes")
	}
	return c, nil
}
