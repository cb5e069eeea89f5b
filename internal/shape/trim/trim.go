package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
)

type object = map[string]any

// What is copied from a model. Everything else, prose above all, is dropped.
var (
	metadataKeys  = []string{"apiVersion", "endpointPrefix", "jsonVersion", "protocol", "serviceId", "signingName", "targetPrefix", "xmlNamespace"}
	operationKeys = []string{"name", "http", "input", "output", "unsignedPayload"}
	shapeKeys     = []string{"type", "required", "min", "max", "pattern", "enum", "sensitive", "flattened", "payload", "document", "union", "exception", "fault", "error", "timestampFormat", "locationName", "xmlNamespace", "streaming"}
	refKeys       = []string{"shape", "location", "locationName", "queryName", "xmlNamespace", "xmlAttribute", "flattened", "streaming", "idempotencyToken", "jsonvalue", "timestampFormat", "resultWrapper"}
)

func pick(from object, keys []string) object {
	to := object{}
	for _, k := range keys {
		if v, ok := from[k]; ok {
			to[k] = v
		}
	}
	return to
}

type trimmer struct {
	full object // the model's shapes
	sel  *selection
	kept object
}

func trim(full object, sel *selection) (object, error) {
	t := &trimmer{full: full["shapes"].(object), sel: sel, kept: object{}}
	for _, f := range sel.fields {
		shape, ok := t.full[f.shape].(object)
		if !ok || t.full[f.kind] == nil {
			return nil, fmt.Errorf("field %s.%s: no such shape or type", f.shape, f.member)
		}
		shape["members"].(object)[f.member] = object{"shape": f.kind}
	}
	operations := object{}
	for _, name := range sel.order {
		op, ok := full["operations"].(object)[name].(object)
		if !ok {
			return nil, fmt.Errorf("no operation %s", name)
		}
		small, err := t.operation(name, op)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		operations[name] = small
	}
	for name := range sel.out {
		if operations[name] == nil {
			return nil, fmt.Errorf("out %s: no such operation", name)
		}
	}
	for _, m := range sel.secret {
		shape, ok := t.kept[m.shape].(object)
		if !ok {
			return nil, fmt.Errorf("sensitive %s: the shape is not reached", m.shape)
		}
		shape["sensitive"] = m.set
	}
	for name, pattern := range sel.patterns {
		shape, ok := t.kept[name].(object)
		if !ok {
			return nil, fmt.Errorf("pattern %s: no such shape", name)
		}
		shape["pattern"] = pattern
	}
	for name, members := range sel.advice {
		op, ok := operations[name].(object)
		if !ok {
			return nil, fmt.Errorf("advisory %s: no such operation", name)
		}
		op["advisory"] = members
	}
	for name, members := range sel.given {
		input, _ := t.kept[name+".input"].(object)
		kept, _ := input["members"].(object)
		for _, m := range members {
			ref, ok := kept[m].(object)
			if !ok {
				return nil, fmt.Errorf("given %s: no such input member %s", name, m)
			}
			ref["given"] = true
		}
	}
	for name, c := range sel.shapes {
		if kept, _ := t.kept[name].(object); kept["type"] != "structure" && c != nil {
			return nil, fmt.Errorf("shape %s is not reached, or no structure", name)
		}
	}
	return object{
		"metadata":   pick(full["metadata"].(object), metadataKeys),
		"operations": operations,
		"shapes":     t.kept,
	}, nil
}

func (t *trimmer) operation(name string, op object) (object, error) {
	small := pick(op, operationKeys)
	for _, side := range []struct {
		key    string
		choice *choice
	}{{"input", t.sel.in[name]}, {"output", t.sel.out[name]}} {
		ref, ok := op[side.key].(object)
		if !ok {
			if side.choice != nil && len(side.choice.names()) > 0 {
				return nil, fmt.Errorf("it has no %s", side.key)
			}
			continue
		}
		// Top-level structures are kept under a name of their own, since operations may share them and choose differently.
		own := name + "." + side.key
		small[side.key] = pick(ref, refKeys)
		small[side.key].(object)["shape"] = own
		if err := t.structure(own, t.full[ref["shape"].(string)].(object), side.choice); err != nil {
			return nil, err
		}
	}
	var errors []string
	list, _ := op["errors"].([]any)
	for _, e := range list {
		shape := e.(object)["shape"].(string)
		errors = append(errors, shape)
		if err := t.shape(shape); err != nil {
			return nil, err
		}
	}
	if errors != nil {
		small["errors"] = errors
	}
	return small, nil
}

// shape keeps a shape and what it reaches.
func (t *trimmer) shape(name string) error {
	if t.kept[name] != nil {
		return nil
	}
	from, ok := t.full[name].(object)
	if !ok {
		return fmt.Errorf("no shape %s", name)
	}
	if from["type"] == "structure" {
		return t.structure(name, from, t.sel.shapes[name])
	}
	to := pick(from, shapeKeys)
	t.kept[name] = to
	for _, k := range []string{"member", "key", "value"} {
		if ref, ok := from[k].(object); ok {
			to[k] = pick(ref, refKeys)
			if err := t.shape(ref["shape"].(string)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *trimmer) structure(name string, from object, c *choice) error {
	to := pick(from, shapeKeys)
	t.kept[name] = to
	all := from["members"].(object)
	for _, n := range c.names() {
		if all[n] == nil {
			return fmt.Errorf("%s has no member %s", name, n)
		}
	}
	members := object{}
	refused := []any{}
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		ref := pick(all[n].(object), refKeys)
		if !c.keeps(n) {
			delete(ref, "shape")
			ref["name"] = n
			refused = append(refused, ref)
			continue
		}
		members[n] = ref
		if err := t.shape(ref["shape"].(string)); err != nil {
			return err
		}
	}
	to["members"] = members
	if len(refused) > 0 {
		to["refused"] = refused
	}
	if required, ok := from["required"].([]any); ok {
		to["required"] = slices.DeleteFunc(slices.Clone(required), func(n any) bool { return members[n.(string)] == nil })
	}
	if _, ok := to["min"].(json.Number); ok && from["type"] == "structure" {
		delete(to, "min")
	}
	return nil
}
