package wire

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/shape"
)

// jsonWriter makes a JSON document.
type jsonWriter struct {
	buf []byte
}

func (j *jsonWriter) top(op *operation, src reflect.Value) ([]byte, error) {
	j.buf = make([]byte, 0, 1024)
	err := j.structure(op.out, src, op)
	return j.buf, err
}

func (j *jsonWriter) name(name string) error {
	if last := j.buf[len(j.buf)-1]; last != '{' {
		j.buf = append(j.buf, ',')
	}
	return j.quote(name, ':')
}

// quote appends a string, and a byte if it is not zero. Invalid UTF-8 is an error: nothing that came in over the wire has any.
func (j *jsonWriter) quote(s string, after byte) error {
	b, err := jsontext.AppendQuote(j.buf, s)
	if err != nil {
		return err
	}
	if j.buf = b; after != 0 {
		j.buf = append(j.buf, after)
	}
	return nil
}

// structure writes an object. op is set for the answer itself only.
func (j *jsonWriter) structure(st *structure, src reflect.Value, op *operation) error {
	j.buf = append(j.buf, '{')
	for i := range st.fields {
		f := &st.fields[i]
		v := src.Field(i)
		if f.Location != shape.Body || absent(f, v) && !(op != nil && op.pageList(f)) {
			continue
		}
		if err := j.name(f.Wire); err != nil {
			return err
		}
		if err := j.value(f.value, v, f.TimeFormat); err != nil {
			return fmt.Errorf("%s.%s: %w", st.Name, f.Name, err)
		}
	}
	j.buf = append(j.buf, '}')
	return nil
}

func (j *jsonWriter) value(v *value, src reflect.Value, format shape.TimeFormat) error {
	if src.Kind() == reflect.Pointer {
		src = src.Elem()
	}
	switch v.Kind {
	case shape.Structure:
		return j.structure(v.fields, src, nil)
	case shape.List:
		j.buf = append(j.buf, '[')
		for i := range src.Len() {
			if i > 0 {
				j.buf = append(j.buf, ',')
			}
			if err := j.value(v.elem, src.Index(i), shape.DefaultTime); err != nil {
				return err
			}
		}
		j.buf = append(j.buf, ']')
	case shape.Map:
		return j.dict(v, src)
	case shape.Any:
		raw := jsontext.Value(src.Bytes())
		if !raw.IsValid() {
			return fmt.Errorf("the document is not valid JSON")
		}
		j.buf = append(j.buf, raw...)
	case shape.String:
		return j.quote(src.String(), 0)
	case shape.Boolean:
		j.buf = strconv.AppendBool(j.buf, src.Bool())
	case shape.Integer, shape.Long:
		j.buf = strconv.AppendInt(j.buf, src.Int(), 10)
	case shape.Float, shape.Double:
		if f := src.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%v has no form in JSON", f)
		}
		j.buf = strconv.AppendFloat(j.buf, src.Float(), 'g', -1, 64)
	case shape.Blob:
		j.buf = append(j.buf, '"')
		j.buf = base64.StdEncoding.AppendEncode(j.buf, src.Bytes())
		j.buf = append(j.buf, '"')
	case shape.Timestamp:
		t := src.Interface().(time.Time)
		if format == shape.DefaultTime || format == shape.UnixTime {
			j.buf = appendUnix(j.buf, t)
			return nil
		}
		return j.quote(formatTime(t, format, true), 0)
	}
	return nil
}

// dict writes a map in the order of its keys, so that equal answers are equal bytes.
func (j *jsonWriter) dict(v *value, src reflect.Value) error {
	j.buf = append(j.buf, '{')
	for _, key := range sortedKeys(src) {
		if err := j.name(key.String()); err != nil {
			return err
		}
		if err := j.value(v.elem, src.MapIndex(key), shape.DefaultTime); err != nil {
			return err
		}
	}
	j.buf = append(j.buf, '}')
	return nil
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.String() < b.String():
			return -1
		case a.String() > b.String():
			return 1
		}
		return 0
	})
	return keys
}
