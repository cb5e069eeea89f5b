package identity

import (
	"reflect"
	"regexp"
	"slices"
	"unicode/utf8"

	"bawn.dev/internal/shape"
)

// rules checks values against the constraints of the API's model. The wire checks
// inputs, but does not look into documents, and an input from inside never met it.
type rules struct {
	types    map[string]*shape.Type
	patterns map[string]*regexp.Regexp // by type
}

func newRules(model *shape.Service) (*rules, error) {
	r := &rules{model.Types, map[string]*regexp.Regexp{}}
	for name, t := range model.Types {
		if t.Pattern == "" {
			continue
		}
		p, err := regexp.Compile(`\A(?:` + t.Pattern + `)\z`)
		if err != nil {
			return nil, err
		}
		r.patterns[name] = p
	}
	return r, nil
}

// check says what is wrong with a structure of the model, naming the member and
// never the value. at is where it stands. What is not set is not checked, unless it
// is required.
func (r *rules) check(name string, v any, at string) error {
	return r.structure(r.types[name].Struct, reflect.ValueOf(v).Elem(), at)
}

func (r *rules) structure(st *shape.Struct, v reflect.Value, at string) error {
	for i, f := range st.Fields {
		where := f.Wire
		if at != "" {
			where = at + "." + f.Wire
		}
		if field := v.Field(i); field.IsZero() || field.Kind() == reflect.Slice && field.Len() == 0 {
			if f.Required {
				return invalid("Value at '%s' failed to satisfy constraint: Member must not be null", where)
			}
			continue
		}
		if err := r.value(f.Type, v.Field(i), where); err != nil {
			return err
		}
	}
	return nil
}

func (r *rules) value(t *shape.Type, v reflect.Value, at string) error {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch t.Kind {
	case shape.Structure:
		return r.structure(t.Struct, v, at)
	case shape.List:
		if outside(t, v.Len()) {
			return invalid("Value at '%s' failed to satisfy constraint: Member must have length between %d and %d", at, *t.Min, *t.Max)
		}
		for i := range v.Len() {
			if err := r.value(t.Elem, v.Index(i), at+".member"); err != nil {
				return err
			}
		}
	case shape.String:
		return r.text(t.Name, v.String(), at)
	}
	return nil
}

// text checks a string of a type by the type's name.
func (r *rules) text(name, text, at string) error {
	t, p := r.types[name], r.patterns[name]
	if outside(t, utf8.RuneCountInString(text)) {
		return invalid("Value at '%s' failed to satisfy constraint: Member must have length between %d and %d", at, *t.Min, *t.Max)
	}
	if p != nil && !p.MatchString(text) {
		return invalid("Value at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", at, t.Pattern)
	}
	if len(t.Enum) > 0 && !slices.Contains(t.Enum, text) {
		return invalid("Value at '%s' failed to satisfy constraint: Member must satisfy enum value set: %v", at, t.Enum)
	}
	return nil
}

func outside(t *shape.Type, n int) bool {
	return t.Min != nil && t.Max != nil && (int64(n) < *t.Min || int64(n) > *t.Max)
}
