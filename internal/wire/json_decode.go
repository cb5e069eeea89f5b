package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/shape"
)

// Limits of one request's document. They are above AWS's own.
const (
	maxElements = 10_000 // of one list or map
	maxDepth    = 64     // of an open document
)

// jsonReader fills a struct from a JSON document. The tokenizer refuses duplicate names and invalid UTF-8; names are compared exactly.
type jsonReader struct {
	*checker
	dec *jsontext.Decoder
	op  *operation
}

// notServed refuses a member unless its value asks for nothing.
func (r *jsonReader) notServed(st *structure, name string) error {
	asks, err := r.asks()
	if err != nil || !asks {
		return err
	}
	return r.service.dialect.notServed(r.op.Name, name, st.refused[name])
}

// asks reads over a value and tells whether it asks for something: it is not null, "", false, [] or {}.
func (r *jsonReader) asks() (bool, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return false, err
	}
	raw = bytes.TrimSpace(raw)
	switch raw.Kind() {
	case 'n', 'f':
		return false, nil
	case '"':
		return len(raw) > 2, nil
	case '{', '[':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) > 0, nil
	}
	return true, nil
}

// decodeJSON reads the whole document into a struct whose members stand in the body.
func decodeJSON(c *checker, op *operation, st *structure, body []byte, dst reflect.Value) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	r := &jsonReader{checker: c, dec: jsontext.NewDecoder(bytes.NewBuffer(body)), op: op}
	err := r.structure(st, dst, nil)
	if err == nil {
		if _, err = r.dec.ReadToken(); err == nil {
			err = errors.New("data after the document")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return c.malformed(err)
}

// malformed turns what a decoder met into the outward error, unless it is one already.
func (c *checker) malformed(err error) error {
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	if s := (*jsontext.SyntacticError)(nil); errors.As(err, &s) {
		// Its text may quote the request; a position does not.
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return c.service.dialect.malformed("The document names a member twice (at byte %d).", s.ByteOffset)
		}
		return c.service.dialect.malformed("The document is not valid JSON (at byte %d).", s.ByteOffset)
	}
	return c.service.dialect.malformed("%s.", upperFirst(err.Error()))
}

func (r *jsonReader) structure(st *structure, dst reflect.Value, at *path) error {
	if err := r.open('{', at, "an object"); err != nil {
		return err
	}
	var few [64]bool
	seen := few[:]
	if len(st.fields) > len(few) {
		seen = make([]bool, len(st.fields))
	}
	for r.dec.PeekKind() != '}' {
		name, err := r.name()
		if err != nil {
			return err
		}
		i, known := st.body[name]
		if !known {
			if at == nil && st.ignored[name] {
				err = r.dec.SkipValue()
			} else {
				err = r.notServed(st, name)
			}
			if err != nil {
				return err
			}
			continue
		}
		if r.dec.PeekKind() == 'n' {
			if err := r.dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		seen[i] = true
		f := &st.fields[i]
		if err := r.value(f.value, f.TimeFormat, dst.Field(i), at.at(f.path)); err != nil {
			return err
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	r.markOthers(st, seen)
	r.end(st, seen, at)
	return nil
}

// markOthers leaves members that travel outside the body to whoever reads those places.
func (r *jsonReader) markOthers(st *structure, seen []bool) {
	for i := range st.fields {
		if st.fields[i].Location != shape.Body {
			seen[i] = true
		}
	}
}

func (r *jsonReader) name() (string, error) {
	tok, err := r.dec.ReadToken()
	if err != nil {
		return "", err
	}
	return tok.String(), nil
}

// open reads the first token of an object or array.
func (r *jsonReader) open(kind jsontext.Kind, at *path, what string) error {
	if got := r.dec.PeekKind(); got != kind && got != 0 {
		return mistyped(at, what)
	}
	_, err := r.dec.ReadToken()
	return err
}

func mistyped(at *path, what string) error {
	if at == nil {
		return fmt.Errorf("the document is not %s", what)
	}
	return fmt.Errorf("the value of %s is not %s", at.String(), what)
}

func (r *jsonReader) value(v *value, format shape.TimeFormat, dst reflect.Value, at *path) error {
	switch v.Kind {
	case shape.Structure:
		return r.structure(v.fields, target(dst), at)
	case shape.List:
		return r.list(v, dst, at)
	case shape.Map:
		return r.dict(v, dst, at)
	case shape.Any:
		return r.document(dst, at)
	}
	return r.scalar(v, format, target(dst), at)
}

func (r *jsonReader) list(v *value, dst reflect.Value, at *path) error {
	if err := r.open('[', at, "a list"); err != nil {
		return err
	}
	list := reflect.MakeSlice(dst.Type(), 0, 4)
	zero := reflect.Zero(dst.Type().Elem())
	for n := 0; r.dec.PeekKind() != ']'; n++ {
		if n == maxElements {
			return fmt.Errorf("%s has more than %d elements", at.String(), maxElements)
		}
		list = reflect.Append(list, zero)
		if err := r.value(v.elem, shape.DefaultTime, list.Index(n), at.item(n+1)); err != nil {
			return err
		}
	}
	dst.Set(list)
	r.collection(v, list.Len(), at)
	_, err := r.dec.ReadToken()
	return err
}

func (r *jsonReader) dict(v *value, dst reflect.Value, at *path) error {
	if err := r.open('{', at, "an object"); err != nil {
		return err
	}
	m := reflect.MakeMap(dst.Type())
	for r.dec.PeekKind() != '}' {
		if m.Len() == maxElements {
			return fmt.Errorf("%s has more than %d entries", at.String(), maxElements)
		}
		name, err := r.name()
		if err != nil {
			return err
		}
		key := reflect.New(dst.Type().Key()).Elem()
		key.SetString(name)
		r.text(v.key, name, at.at("key"))
		elem := reflect.New(dst.Type().Elem()).Elem()
		if err := r.value(v.elem, shape.DefaultTime, elem, at.at(clip(name, 128)).at("member")); err != nil {
			return err
		}
		m.SetMapIndex(key, elem)
	}
	dst.Set(m)
	r.collection(v, m.Len(), at)
	_, err := r.dec.ReadToken()
	return err
}

// document keeps an open value as its bytes, of bounded depth.
func (r *jsonReader) document(dst reflect.Value, at *path) error {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return err
	}
	depth := 0
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch tok.Kind() {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth > maxDepth {
			return fmt.Errorf("%s is nested more than %d deep", at.String(), maxDepth)
		}
	}
	dst.SetBytes(bytes.Clone(raw))
	return nil
}

func (r *jsonReader) scalar(v *value, format shape.TimeFormat, dst reflect.Value, at *path) error {
	want, what := jsontext.Kind('"'), "a string"
	switch v.Kind {
	case shape.Boolean:
		want, what = 't', "a boolean"
	case shape.Integer, shape.Long, shape.Float, shape.Double:
		want, what = '0', "a number"
	case shape.Timestamp:
		if format == shape.DefaultTime || format == shape.UnixTime {
			want, what = '0', "a timestamp in seconds"
		}
	}
	got := r.dec.PeekKind()
	if got != want && !(want == 't' && got == 'f') && got != 0 {
		return mistyped(at, what)
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return err
	}
	switch v.Kind {
	case shape.String:
		s := tok.String()
		dst.SetString(s)
		r.text(v, s, at)
	case shape.Boolean:
		dst.SetBool(tok.Bool())
	case shape.Integer, shape.Long:
		return r.integer(v, dst, tok.String(), at)
	case shape.Blob:
		b, err := base64.StdEncoding.Strict().DecodeString(tok.String())
		if err != nil {
			return mistyped(at, "base64")
		}
		dst.SetBytes(b)
		r.length(v, int64(len(b)), "'[bytes]'", at)
	case shape.Timestamp:
		var t time.Time
		if want == '0' {
			t, err = parseUnix(tok.String())
		} else {
			t, err = parseTime(tok.String(), format)
		}
		if err != nil {
			return mistyped(at, "a timestamp")
		}
		dst.Set(reflect.ValueOf(t))
	default:
		return r.setText(v, dst, tok.String(), format, at)
	}
	return nil
}

// integer takes whole numbers, also such as are written 1e3 or 5.0.
func (r *jsonReader) integer(v *value, dst reflect.Value, s string, at *path) error {
	n, err := strconv.ParseInt(s, 10, dst.Type().Bits())
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 || dst.OverflowInt(int64(f)) {
			return mistyped(at, fmt.Sprintf("an integer of %d bits", dst.Type().Bits()))
		}
		n = int64(f)
	}
	dst.SetInt(n)
	r.number(v, float64(n), s, at)
	return nil
}
