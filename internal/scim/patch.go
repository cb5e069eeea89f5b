package scim

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// maxOperations bounds a patch.
const maxOperations = 1000

// A change is one operation of a patch, with its path read.
type change struct {
	op    string // add, replace or remove
	at    target
	value any // as the client sent it
}

// A target is where a patch changes something: a place, and of a list maybe only
// the values that meet a filter.
type target struct {
	place
	which filter // nil: all
	whole bool   // the extension as a whole
}

// readPatch reads the body of a PATCH: operations with a path and, as identity
// providers send them too, with an object of paths.
func readPatch(t *resourceType, body object) ([]change, error) {
	var list []any
	for name, v := range body {
		switch {
		case equal(name, "Operations"):
			list, _ = v.([]any)
		case !equal(name, "schemas"):
			return nil, badSyntax("A patch has no member %q.", clip(name))
		}
	}
	if len(list) == 0 || len(list) > maxOperations {
		return nil, badSyntax("A patch has from 1 to %d Operations.", maxOperations)
	}
	var all []change
	for _, x := range list {
		one, ok := x.(object)
		if !ok {
			return nil, badSyntax("An operation of the patch is not an object.")
		}
		changes, err := readOperation(t, one)
		if err != nil {
			return nil, err
		}
		all = append(all, changes...)
	}
	return all, nil
}

func readOperation(t *resourceType, raw object) ([]change, error) {
	var op, path string
	var value any
	for name, v := range raw {
		text, isText := v.(string)
		switch {
		case equal(name, "op") && isText:
			op = strings.ToLower(text)
		case equal(name, "path") && (isText || v == nil):
			path = text
		case equal(name, "value"):
			value = v
		default:
			return nil, badSyntax("An operation has no member %q of that form.", clip(name))
		}
	}
	switch op {
	case "add", "replace", "remove":
	default:
		return nil, badSyntax("op is add, replace or remove.")
	}
	if path != "" {
		return readChange(t, op, path, value)
	}
	if op == "remove" {
		return nil, faultf(http.StatusBadRequest, "noTarget", "remove needs a path.")
	}
	many, ok := value.(object)
	if !ok {
		return nil, badValue("An operation without a path needs an object.")
	}
	var all []change
	for _, path := range slices.Sorted(maps.Keys(many)) {
		v := many[path]
		if a := find(t.attributes, path); a != nil && a.fixed {
			continue // a whole resource may be sent, with its id and meta
		}
		changes, err := readChange(t, op, path, v)
		if err != nil {
			return nil, err
		}
		all = append(all, changes...)
	}
	return all, nil
}

func readChange(t *resourceType, op, path string, value any) ([]change, error) {
	at, err := parsePath(t, path)
	if f := asFault(err); f != nil && f.kind == "invalidFilter" && !strings.Contains(path, "[") {
		return nil, badPath("%s", f.detail)
	}
	if err != nil {
		return nil, err
	}
	if at.whole {
		return readExtension(t, op, value)
	}
	if at.attribute.fixed || at.sub != nil && at.sub.fixed {
		if find(unstored, at.attribute.name) != nil {
			return nil, nil
		}
		return nil, immutable(at.attribute.name)
	}
	return []change{{op, at, value}}, nil
}

// readExtension is an operation on the whole extension: one on each thing in it.
func readExtension(t *resourceType, op string, value any) ([]change, error) {
	inner, ok := value.(object)
	if op != "remove" && !ok {
		return nil, badValue("%s is not an object.", enterpriseURN)
	}
	var all []change
	if op == "remove" {
		for i := range t.extension {
			all = append(all, change{op: op, at: target{place: place{extension: true, attribute: &t.extension[i]}}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inner)) {
		changes, err := readChange(t, op, enterpriseURN+":"+name, inner[name])
		if err != nil {
			return nil, err
		}
		all = append(all, changes...)
	}
	return all, nil
}

// parsePath reads a path: attribute, attribute.part, attribute[filter] and
// attribute[filter].part.
func parsePath(t *resourceType, text string) (target, error) {
	if t.extension != nil && equal(text, enterpriseURN) {
		return target{whole: true}, nil
	}
	if a := find(unstored, text); a != nil && t == users {
		return target{place: place{attribute: a}}, nil
	}
	tokens, err := lex(text)
	if err != nil {
		return target{}, err
	}
	p := &parser{tokens: tokens}
	at := target{}
	if at.place, err = p.place(scope{t: t}); err != nil {
		return at, err
	}
	if p.isMark("[") {
		if at.sub != nil || !at.attribute.multi || at.attribute.sub == nil {
			return at, badPath("%s is no list of values.", at.attribute.name)
		}
		if at.which, err = p.group(scope{t, at.attribute}, "[", "]"); err != nil {
			return at, err
		}
		if p.isMark(".") {
			p.next()
			part := p.next()
			if at.sub = find(at.attribute.sub, part.text); at.sub == nil || part.kind != word {
				return at, badPath("%s has no part of that name.", at.attribute.name)
			}
		}
	}
	if p.peek().kind != end {
		return at, badPath("The path goes on where it should end.")
	}
	return at, nil
}

// apply does one change to a resource that is normal, and leaves it so.
func (c change) apply(o object) error {
	holder := c.at.container(o)
	if holder == nil {
		if c.op == "remove" {
			return nil
		}
		holder = object{}
		o[enterpriseURN] = holder
	}
	a := c.at.attribute
	var err error
	switch {
	case a.multi && (c.at.which != nil || c.at.sub != nil):
		err = c.applySome(holder)
	case a.multi:
		err = c.applyList(holder)
	case c.at.sub != nil:
		inner, _ := holder[a.name].(object)
		if holder[a.name], err = c.set(inner, c.at.sub); err == nil && len(holder[a.name].(object)) == 0 {
			delete(holder, a.name)
		}
	case a.kind == "complex" && c.op != "remove":
		err = c.merge(holder)
	default:
		_, err = c.set(holder, a)
	}
	if c.at.extension && len(holder) == 0 {
		delete(o, enterpriseURN)
	}
	return err
}

// set sets or clears one member of an object.
func (c change) set(o object, a *attribute) (object, error) {
	if o == nil {
		o = object{}
	}
	if c.op == "remove" {
		delete(o, a.name)
		return o, nil
	}
	v, err := normalValue(a, c.value)
	if err != nil {
		return o, err
	}
	if v == nil {
		delete(o, a.name)
		return o, nil
	}
	o[a.name] = v
	return o, nil
}

// merge sets the parts of a complex value that are given and leaves the others.
func (c change) merge(holder object) error {
	a := c.at.attribute
	v, err := normalValue(a, c.value)
	given, ok := v.(object)
	if err != nil || !ok {
		delete(holder, a.name)
		return err
	}
	inner, _ := holder[a.name].(object)
	if inner == nil {
		inner = object{}
	}
	maps.Copy(inner, given)
	holder[a.name] = inner
	return nil
}

// applyList changes a list as a whole.
func (c change) applyList(holder object) error {
	a := c.at.attribute
	v, err := normalValue(a, c.value)
	if err != nil {
		return err
	}
	given, _ := v.([]any)
	have, _ := holder[a.name].([]any)
	var list []any
	switch c.op {
	case "replace":
		list = given
	case "add":
		list = append(list, have...)
		for _, x := range given {
			if !contains(list, x) {
				list = append(list, x)
			}
		}
	case "remove": // all, or those that are given
		for _, x := range have {
			if len(given) > 0 && !contains(given, x) {
				list = append(list, x)
			}
		}
	}
	keep(holder, a, list)
	return nil
}

func contains(list []any, x any) bool {
	for _, y := range list {
		if reflect.DeepEqual(x, y) {
			return true
		}
	}
	return false
}

func keep(holder object, a *attribute, list []any) {
	if len(list) == 0 {
		delete(holder, a.name)
		return
	}
	holder[a.name] = list
}

// applySome changes the values of a list that a filter picks, or a part of each.
// Where it picks none, an identity provider means one to be made that it would pick.
func (c change) applySome(holder object) error {
	a := c.at.attribute
	have, _ := holder[a.name].([]any)
	var list []any
	picked := false
	for _, x := range have {
		one, ok := x.(object)
		if !ok || c.at.which != nil && !c.at.which.holds(one) {
			list = append(list, x)
			continue
		}
		picked = true
		changed, err := c.one(one)
		if err != nil {
			return err
		}
		if len(changed) > 0 {
			list = append(list, changed)
		}
	}
	if !picked && c.op != "remove" {
		made := object{}
		if !implied(c.at.which, made) {
			return faultf(http.StatusBadRequest, "noTarget", "The path picks no value of %s.", a.name)
		}
		changed, err := c.one(made)
		if err != nil {
			return err
		}
		list = append(list, changed)
	}
	keep(holder, a, list)
	return nil
}

// one is a value of a list after the change; empty if it is to go.
func (c change) one(o object) (object, error) {
	if c.at.sub != nil {
		return c.set(o, c.at.sub)
	}
	if c.op == "remove" {
		return nil, nil
	}
	v, err := normalOne(c.at.attribute, c.value)
	given, _ := v.(object)
	maps.Copy(o, given)
	return o, err
}

// implied fills in what a value must have for a filter to pick it, if the filter
// says so plainly.
func implied(f filter, o object) bool {
	switch f := f.(type) {
	case nil:
		return true
	case both:
		return implied(f.a, o) && implied(f.b, o)
	case compare:
		if f.op != "eq" || f.value == nil {
			return false
		}
		o[f.of.attribute.name] = f.value
		return true
	}
	return false
}
