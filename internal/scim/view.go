package scim

import "strings"

// A view is what a client wants of resources: of what is there, only some, or all
// but some. id, schemas and meta of the resource are always there.
type view struct {
	only, without []target
	narrowed      bool // only some were asked for
}

// newView reads names with commas between them.
func newView(t *resourceType, only, without []string) (view, error) {
	var v view
	var err error
	if len(only) > 0 && len(without) > 0 {
		return v, badValue("attributes and excludedAttributes cannot both be given.")
	}
	v.narrowed = len(only) > 0
	if v.only, err = targets(t, only); err != nil {
		return v, err
	}
	v.without, err = targets(t, without)
	return v, err
}

// targets finds what names mean. One that is unknown names nothing that is there.
func targets(t *resourceType, names []string) ([]target, error) {
	if len(names) > maxTerms {
		return nil, badValue("More than %d attributes are named.", maxTerms)
	}
	var all []target
	for _, name := range names {
		if at, err := parsePath(t, strings.TrimSpace(name)); err == nil && at.which == nil {
			all = append(all, at)
		}
	}
	return all, nil
}

// wants says whether an attribute of the schema is wanted at all.
func (v view) wants(name string) bool {
	for _, at := range v.without {
		if !at.whole && !at.extension && at.sub == nil && at.attribute.name == name {
			return false
		}
	}
	if !v.narrowed {
		return true
	}
	for _, at := range v.only {
		if !at.whole && !at.extension && at.attribute.name == name {
			return true
		}
	}
	return false
}

// of is what is wanted of a resource.
func (v view) of(o object) object {
	if o == nil || !v.narrowed && len(v.without) == 0 {
		return o
	}
	if !v.narrowed {
		for _, at := range v.without {
			if !at.whole && always(at.attribute.name) {
				continue
			}
			at.drop(o)
		}
		return o
	}
	out := object{}
	for _, name := range []string{"id", "schemas", "meta"} {
		if o[name] != nil {
			out[name] = o[name]
		}
	}
	for _, at := range v.only {
		at.copy(o, out)
	}
	return out
}

func always(name string) bool { return name == "id" || name == "schemas" || name == "meta" }

// drop takes away what is at a target.
func (at target) drop(o object) {
	if at.whole {
		delete(o, enterpriseURN)
		return
	}
	holder := at.container(o)
	if at.sub == nil {
		delete(holder, at.attribute.name)
		return
	}
	for _, x := range listed(holder[at.attribute.name]) {
		delete(x, at.sub.name)
	}
}

// copy copies what is at a target.
func (at target) copy(from, to object) {
	if at.whole {
		if from[enterpriseURN] != nil {
			to[enterpriseURN] = from[enterpriseURN]
		}
		return
	}
	v := at.container(from)[at.attribute.name]
	if v == nil {
		return
	}
	if at.extension {
		inner, _ := to[enterpriseURN].(object)
		if inner == nil {
			inner = object{}
			to[enterpriseURN] = inner
		}
		to = inner
	}
	if at.sub == nil {
		to[at.attribute.name] = v
		return
	}
	// Several parts of one value may be asked for: each is added to what is there.
	have := listed(to[at.attribute.name])
	var all []any
	for i, x := range listed(v) {
		part := object{}
		if i < len(have) {
			part = have[i]
		}
		if x[at.sub.name] != nil {
			part[at.sub.name] = x[at.sub.name]
		}
		all = append(all, part)
	}
	if at.attribute.multi {
		to[at.attribute.name] = all
	} else if len(all) > 0 {
		to[at.attribute.name] = all[0]
	}
}

// listed are the objects of a value, one or many.
func listed(v any) []object {
	switch v := v.(type) {
	case object:
		return []object{v}
	case []any:
		var all []object
		for _, x := range v {
			if o, ok := x.(object); ok {
				all = append(all, o)
			}
		}
		return all
	}
	return nil
}
