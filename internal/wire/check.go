package wire

import (
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"

	"bawn.dev/internal/shape"
)

// Check holds an input that no request was decoded into, as one made of a page's form, to the constraints that Decode checks. What is
// zero is absent. in is a pointer to the operation's input.
func (m *Match) Check(in any) error {
	src := reflect.ValueOf(in)
	if m.op == nil || src.Type() != m.op.inType || src.IsNil() {
		return fmt.Errorf("wire: %T is no input that can be checked", in)
	}
	c := &checker{service: m.service, op: m.op.Name}
	if err := c.structure(m.op.in, src.Elem(), nil); err != nil {
		return err
	}
	return c.err()
}

func (c *checker) structure(st *structure, src reflect.Value, at *path) error {
	seen := make([]bool, len(st.fields))
	for i := range st.fields {
		f := &st.fields[i]
		if src.Field(i).IsZero() || f.Streaming {
			continue
		}
		seen[i] = true
		if err := c.value(f.value, src.Field(i), at.at(f.path)); err != nil {
			return err
		}
	}
	c.end(st, seen, at)
	return nil
}

func (c *checker) value(v *value, src reflect.Value, at *path) error {
	if src.Kind() == reflect.Pointer {
		src = src.Elem()
	}
	switch v.Kind {
	case shape.String:
		if !utf8.ValidString(src.String()) {
			return c.service.dialect.malformed("The value of %s is not valid UTF-8.", at.String())
		}
		c.text(v, src.String(), at)
	case shape.Integer, shape.Long:
		c.number(v, float64(src.Int()), strconv.FormatInt(src.Int(), 10), at)
	case shape.Float, shape.Double:
		c.number(v, src.Float(), strconv.FormatFloat(src.Float(), 'g', -1, 64), at)
	case shape.Blob:
		if src.Kind() == reflect.Slice {
			c.length(v, int64(src.Len()), "'[bytes]'", at)
		}
	case shape.Structure:
		return c.structure(v.fields, src, at)
	case shape.List:
		c.collection(v, src.Len(), at)
		for i := range src.Len() {
			if err := c.value(v.elem, src.Index(i), at.item(i+1)); err != nil {
				return err
			}
		}
	case shape.Map:
		c.collection(v, src.Len(), at)
		for _, key := range sortedKeys(src) {
			if err := c.value(v.key, key, at); err != nil {
				return err
			}
			if err := c.value(v.elem, src.MapIndex(key), at.at(key.String())); err != nil {
				return err
			}
		}
	}
	return nil
}
