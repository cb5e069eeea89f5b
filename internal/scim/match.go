package scim

import (
	"strings"
	"time"

	"bawn.dev/internal/identity"
)

func (f both) holds(o object) bool   { return f.a.holds(o) && f.b.holds(o) }
func (f either) holds(o object) bool { return f.a.holds(o) || f.b.holds(o) }
func (f not) holds(o object) bool    { return !f.x.holds(o) }

func (f some) holds(o object) bool {
	list, _ := f.of.container(o)[f.of.attribute.name].([]any)
	for _, x := range list {
		if one, ok := x.(object); ok && f.inner.holds(one) {
			return true
		}
	}
	return false
}

// container is the object that has the attribute; it may be nil.
func (of place) container(o object) object {
	if !of.extension {
		return o
	}
	inner, _ := o[enterpriseURN].(object)
	return inner
}

// values are all that a resource has at a place.
func (of place) values(o object) []any {
	v := of.container(o)[of.attribute.name]
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	leaf := of.leaf()
	if of.attribute.kind != "complex" || leaf == nil {
		return list
	}
	var out []any
	for _, x := range list {
		if one, ok := x.(object); ok && one[leaf.name] != nil {
			out = append(out, one[leaf.name])
		}
	}
	return out
}

func (f compare) holds(o object) bool {
	values := f.of.values(o)
	switch {
	case f.op == "pr":
		return len(values) > 0
	case f.value == nil:
		return (len(values) == 0) == (f.op == "eq")
	case f.op == "ne":
		return !anyIs(values, f.of.leaf(), "eq", f.value)
	}
	return anyIs(values, f.of.leaf(), f.op, f.value)
}

func anyIs(values []any, a *attribute, op string, want any) bool {
	for _, v := range values {
		switch want := want.(type) {
		case bool:
			if v == want {
				return true
			}
		case string:
			if have, ok := v.(string); ok && textIs(a, op, have, want) {
				return true
			}
		}
	}
	return false
}

// textIs compares two texts as the directory itself compares names: a letter that
// merely looks like another in lower case does not pass for it.
func textIs(a *attribute, op, have, want string) bool {
	if a.kind == "dateTime" {
		return timeIs(op, have, want)
	}
	if !a.exact {
		have, want = identity.Fold(have), identity.Fold(want)
	}
	switch op {
	case "eq":
		return have == want
	case "co":
		return strings.Contains(have, want)
	case "sw":
		return strings.HasPrefix(have, want)
	case "ew":
		return strings.HasSuffix(have, want)
	}
	return ordered(op, strings.Compare(have, want))
}

func timeIs(op, have, want string) bool {
	h, err := time.Parse(time.RFC3339, have)
	if err != nil {
		return false
	}
	w, err := time.Parse(time.RFC3339, want)
	if err != nil {
		return false
	}
	if op == "eq" {
		return h.Equal(w)
	}
	return ordered(op, h.Compare(w))
}

func ordered(op string, sign int) bool {
	switch op {
	case "gt":
		return sign > 0
	case "ge":
		return sign >= 0
	case "lt":
		return sign < 0
	case "le":
		return sign <= 0
	}
	return false
}

// A look-up is a condition that the directory answers by an index: equality of what
// is unique.
type lookup struct{ attribute, value string }

// indexed finds a look-up that every resource for which a filter holds must meet.
func indexed(t *resourceType, f filter) (lookup, bool) {
	switch f := f.(type) {
	case both:
		if l, ok := indexed(t, f.a); ok {
			return l, true
		}
		return indexed(t, f.b)
	case some:
		if inner, ok := indexedValue(f.inner); ok && f.of.attribute.name == "emails" {
			return lookup{"emails", inner}, true
		}
	case compare:
		text, ok := f.value.(string)
		if !ok || f.op != "eq" || f.of.extension {
			return lookup{}, false
		}
		switch name := f.of.attribute.name; {
		case name == "id", name == "externalId":
			return lookup{name, text}, true
		case t == users && name == "userName", t == groups && name == "displayName":
			return lookup{name, text}, true
		case (name == "emails" || name == "members") && f.of.leaf().name == "value":
			return lookup{name, text}, true
		}
	}
	return lookup{}, false
}

// indexedValue is the value that a filter of one value of a list demands.
func indexedValue(f filter) (string, bool) {
	switch f := f.(type) {
	case both:
		if v, ok := indexedValue(f.a); ok {
			return v, true
		}
		return indexedValue(f.b)
	case compare:
		text, ok := f.value.(string)
		return text, ok && f.op == "eq" && f.of.attribute.name == "value"
	}
	return "", false
}

// members are the people whom a filter on groups names by `members eq "id"`, alone
// or in brackets. Of a group that may have many it is not asked anything else.
func members(f filter) ([]string, error) {
	switch f := f.(type) {
	case both:
		return membersOf(f.a, f.b)
	case either:
		return membersOf(f.a, f.b)
	case not:
		return members(f.x)
	case some:
		if id, ok := indexedValue(f.inner); ok {
			return []string{id}, nil
		}
		return nil, badFilter("Members are found by value eq only.")
	case compare:
		if f.of.attribute.name != "members" {
			return nil, nil
		}
		if id, ok := f.value.(string); ok && f.op == "eq" && f.of.leaf().name == "value" {
			return []string{id}, nil
		}
		return nil, badFilter("Members are found by value eq only.")
	}
	return nil, nil
}

func membersOf(a, b filter) ([]string, error) {
	first, err := members(a)
	if err != nil {
		return nil, err
	}
	second, err := members(b)
	return append(first, second...), err
}
