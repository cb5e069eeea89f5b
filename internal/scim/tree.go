package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/go-json-experiment/json"
)

// An object is a resource, or a complex value, in SCIM's JSON with the names that
// the schema spells: what a client sent comes through normal.
type object = map[string]any

// normal brings an object that a client sent into the form of the schema: names as
// the schema spells them, values of its types, nothing that is null or empty, and
// nothing that only the server sets. What the schema does not know is refused by
// name. Entra ID writes truth as text, and an object where it means a list of one.
func normal(t *resourceType, raw object) (object, error) {
	out := object{}
	for name, v := range raw {
		if t.extension != nil && equal(name, enterpriseURN) {
			inner, ok := v.(object)
			if !ok && v != nil {
				return nil, badValue("%s is not an object.", enterpriseURN)
			}
			ext, err := normalObject(t.extension, inner, enterpriseURN)
			if err != nil {
				return nil, err
			}
			if err := put(out, enterpriseURN, ext, len(ext) > 0); err != nil {
				return nil, err
			}
			continue
		}
		a := find(t.attributes, name)
		if a == nil {
			return nil, badSyntax("%s has no attribute %q.", t.name, clip(name))
		}
		if a.fixed {
			continue
		}
		value, err := normalValue(a, v)
		if err != nil {
			return nil, err
		}
		if err := put(out, a.name, value, value != nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// put refuses a name that came twice, in two spellings.
func put(out object, name string, value any, there bool) error {
	if _, twice := out[name]; twice {
		return badSyntax("%s is there twice.", name)
	}
	if there {
		out[name] = value
	}
	return nil
}

func normalObject(list []attribute, raw object, of string) (object, error) {
	out := object{}
	for name, v := range raw {
		a := find(list, name)
		if a == nil {
			return nil, badSyntax("%s has no attribute %q.", of, clip(name))
		}
		if a.fixed {
			continue
		}
		value, err := normalValue(a, v)
		if err != nil {
			return nil, err
		}
		if err := put(out, a.name, value, value != nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// normalValue is a value of an attribute; nil for what is null or empty.
func normalValue(a *attribute, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if !a.multi {
		if list, ok := v.([]any); ok && len(list) == 1 && a.kind == "complex" {
			v = list[0]
		}
		return normalOne(a, v)
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []any
	for _, x := range list {
		one, err := normalOne(a, x)
		if err != nil {
			return nil, err
		}
		if one != nil {
			out = append(out, one)
		}
	}
	if out == nil {
		return nil, nil
	}
	return out, nil
}

func normalOne(a *attribute, v any) (any, error) {
	switch a.kind {
	case "complex":
		if s, ok := v.(string); ok && find(a.sub, "value") != nil {
			v = object{"value": s}
		}
		raw, ok := v.(object)
		if !ok {
			return nil, badValue("%s is not an object.", a.name)
		}
		out, err := normalObject(a.sub, raw, a.name)
		if err != nil || len(out) == 0 {
			return nil, err
		}
		return out, nil
	case "boolean":
		if s, ok := v.(string); ok {
			switch strings.ToLower(s) {
			case "true":
				return true, nil
			case "false":
				return false, nil
			case "":
				return nil, nil
			}
		}
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, badValue("%s is true or false.", a.name)
	}
	s, ok := v.(string)
	if !ok {
		return nil, badValue("%s is not a string.", a.name)
	}
	if s == "" {
		return nil, nil
	}
	return s, nil
}

// version is the entity tag of a resource: of all that it says but meta.
func version(o object) (string, error) {
	said := object{}
	for name, v := range o {
		if name != "meta" {
			said[name] = v
		}
	}
	raw, err := json.Marshal(said, json.Deterministic(true))
	sum := sha256.Sum256(raw)
	return `W/"` + hex.EncodeToString(sum[:16]) + `"`, err
}

// clip bounds what is told of a name that a client chose.
func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
