package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"reflect"
	"regexp/syntax"
	"strings"
	"time"
	"unicode/utf8"

	"bawn.dev/internal/shape"
)

// nasty is what a string without constraints holds: everything that a serializer could trip over.
const nasty = "a&<b>\"c' +%2B=é漢😀/x\ny"

// sampler fills structs with values that satisfy every constraint. Its variants take the members of unions and enums in turn.
type sampler struct {
	service string
	variant int
	minimal bool // required members only
	output  bool
}

func (s sampler) structure(st *structure, dst reflect.Value, depth int) {
	for i := range st.fields {
		f := &st.fields[i]
		if st.union && i != s.variant%len(st.fields) || s.minimal && !f.Required && !st.union || depth > 8 || s.skip(st, f) {
			continue
		}
		s.field(f, dst.Field(i), depth)
	}
}

// skip leaves out what cannot be sampled freely: digests that the server verifies.
func (s sampler) skip(st *structure, f *field) bool {
	if !s.output && f.Name == "ContentMD5" && st.payload != nil && !st.payload.Streaming {
		return true
	}
	return s.output && strings.HasPrefix(st.Name, "GetObject") && strings.HasPrefix(f.Name, "Checksum")
}

func (s sampler) field(f *field, dst reflect.Value, depth int) {
	switch {
	case f.Streaming && s.output:
		dst.Set(reflect.ValueOf(io.NopCloser(strings.NewReader(nasty))))
	case f.Streaming:
		dst.Set(reflect.ValueOf(strings.NewReader(nasty)))
	case f.Name == "ContentLength":
		n := int64(len(nasty))
		dst.Set(reflect.ValueOf(&n))
	case f.Name == "Expires":
		target(dst).SetString("Fri, 02 Jan 2026 03:04:05 GMT")
	case f.Location == shape.Header && f.value.Kind == shape.String && f.value.enum == nil && f.value.pattern == nil:
		target(dst).SetString("plain-value 1")
	case f.Location == shape.HeaderPrefix:
		dst.Set(reflect.ValueOf(map[string]string{"one": "first value", "x-two": "2"}))
	case f.value.Kind == shape.Timestamp && s.output && f.Location == shape.Body && f.TimeFormat == shape.DefaultTime && s.millis():
		dst.Set(reflect.ValueOf(time.UnixMilli(1767323045678).UTC()))
	default:
		s.value(f.value, dst, depth)
	}
}

// millis tells whether the service writes milliseconds.
func (s sampler) millis() bool { return s.service != "iam" && s.service != "sts" }

func (s sampler) value(v *value, dst reflect.Value, depth int) {
	dst = target(dst)
	switch v.Kind {
	case shape.Structure:
		s.structure(v.fields, dst, depth+1)
	case shape.List:
		n := 2
		if v.Min != nil {
			n = max(n, int(*v.Min))
		}
		if v.Max != nil {
			n = min(n, int(*v.Max))
		}
		dst.Set(reflect.MakeSlice(dst.Type(), n, n))
		s.minimal = false // an element without any member leaves no trace in a form
		for i := range n {
			s.value(v.elem, dst.Index(i), depth+1)
		}
	case shape.Map:
		key, elem := reflect.New(dst.Type().Key()).Elem(), reflect.New(dst.Type().Elem()).Elem()
		s.value(v.key, key, depth+1)
		s.value(v.elem, elem, depth+1)
		dst.Set(reflect.MakeMap(dst.Type()))
		dst.SetMapIndex(key, elem)
	case shape.String:
		dst.SetString(s.text(v))
	case shape.Boolean:
		dst.SetBool(true)
	case shape.Integer, shape.Long:
		dst.SetInt(int64(clamp(v, 7)))
	case shape.Float, shape.Double:
		dst.SetFloat(clamp(v, 0.5))
	case shape.Blob:
		dst.SetBytes(bytes.Repeat([]byte{0, 254, 255, 'x'}, 8))
	case shape.Timestamp:
		dst.Set(reflect.ValueOf(time.Unix(1767323045, 0).UTC()))
	case shape.Any:
		dst.SetBytes([]byte(`{"Statement":[{"Action":["a","b"],"Effect":"Allow","n":1.5}]}`))
	}
}

func clamp(v *value, n float64) float64 {
	if v.Min != nil {
		n = max(n, float64(*v.Min))
	}
	if v.Max != nil {
		n = min(n, float64(*v.Max))
	}
	return n
}

func (s sampler) text(v *value) string {
	switch {
	case v.Name == "BucketName":
		return "example-bucket"
	case v.Name == "ChecksumAlgorithm":
		return "CRC32" // the one that botocore makes without help
	case len(v.Enum) > 0:
		return v.Enum[s.variant%len(v.Enum)]
	}
	low, high := int64(1), int64(1<<20)
	if v.Min != nil {
		low = max(low, *v.Min)
	}
	if v.Max != nil {
		high = *v.Max
	}
	if v.pattern == nil {
		text := nasty
		for int64(utf8.RuneCountInString(text)) < low {
			text += nasty
		}
		if r := []rune(text); int64(len(r)) > high {
			return string(r[:high])
		}
		return text
	}
	re, err := syntax.Parse(v.Pattern, syntax.Perl)
	if err != nil {
		panic(err)
	}
	for repeat := range 4096 {
		text := match(re.Simplify(), repeat)
		if n := int64(utf8.RuneCountInString(text)); n >= low && n <= high && v.pattern.MatchString(text) {
			return text
		}
	}
	panic("no sample for " + v.Name + ": " + v.Pattern)
}

// match makes a string that a regular expression matches, repeating what may be repeated.
func match(re *syntax.Regexp, repeat int) string {
	var b strings.Builder
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return string(pick(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "a"
	case syntax.OpStar:
		return strings.Repeat(match(re.Sub[0], 0), repeat)
	case syntax.OpPlus:
		return strings.Repeat(match(re.Sub[0], 0), max(1, repeat))
	case syntax.OpQuest:
		if repeat > 0 {
			return match(re.Sub[0], repeat-1)
		}
	case syntax.OpAlternate:
		return match(re.Sub[repeat%len(re.Sub)], repeat)
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			b.WriteString(match(sub, repeat))
		}
	}
	return b.String()
}

func pick(ranges []rune) rune {
	for _, want := range "ae1-" {
		for i := 0; i < len(ranges); i += 2 {
			if want >= ranges[i] && want <= ranges[i+1] {
				return want
			}
		}
	}
	return ranges[0]
}

// plain renders a struct as the JSON that the oracle exchanges, without what is empty.
func plain(st *structure, src reflect.Value) map[string]any {
	fields := map[string]any{}
	for i := range st.fields {
		f := &st.fields[i]
		v := src.Field(i)
		if v.IsZero() {
			continue
		}
		if f.Streaming {
			text, err := io.ReadAll(v.Interface().(io.Reader))
			if err != nil {
				panic(err)
			}
			fields[f.Name] = map[string]any{"$blob": base64.StdEncoding.EncodeToString(text)}
			continue
		}
		fields[f.Name] = plainValue(f.value, v)
	}
	return fields
}

func plainValue(v *value, src reflect.Value) any {
	if src.Kind() == reflect.Pointer {
		src = src.Elem()
	}
	switch v.Kind {
	case shape.Structure:
		return plain(v.fields, src)
	case shape.List:
		list := []any{}
		for i := range src.Len() {
			list = append(list, plainValue(v.elem, src.Index(i)))
		}
		return list
	case shape.Map:
		m := map[string]any{}
		for _, key := range src.MapKeys() {
			m[key.String()] = plainValue(v.elem, src.MapIndex(key))
		}
		return m
	case shape.Blob:
		return map[string]any{"$blob": base64.StdEncoding.EncodeToString(src.Bytes())}
	case shape.Timestamp:
		return map[string]any{"$time": src.Interface().(time.Time).UnixMilli()}
	case shape.Any:
		var any any
		if err := json.Unmarshal(src.Bytes(), &any); err != nil {
			panic(err)
		}
		return any
	case shape.String:
		return src.String()
	}
	return src.Interface()
}

// pruned drops empty strings, lists and maps, which stand for nothing.
func pruned(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for k, e := range t {
			if e = pruned(e); e == nil {
				delete(t, k)
			} else {
				t[k] = e
			}
		}
		if len(t) == 0 {
			return nil
		}
	case []any:
		if len(t) == 0 {
			return nil
		}
		for i := range t {
			t[i] = pruned(t[i])
		}
	case string:
		if t == "" {
			return nil
		}
	}
	return v
}

// viaJSON gives a value the types that it has after a round trip through JSON.
func viaJSON(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var back any
	if err := json.Unmarshal(raw, &back); err != nil {
		panic(err)
	}
	return back
}
