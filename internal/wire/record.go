package wire

import (
	"reflect"
	"time"

	"bawn.dev/internal/shape"
)

// Hidden stands in a record for a value that must not be in it, as in CloudTrail's own records.
const Hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// Limits of what a record carries of a request.
const (
	maxRecordText  = 2_048 // characters of one string
	maxRecordItems = 100   // elements of one list or map
	maxRecordNodes = 1_000 // values in all
)

// RequestParameters renders an input for its record: names as CloudTrail writes them, sensitive values hidden, bytes and streams left
// out, and everything of bounded size. in is a pointer to the operation's input, as Decode filled it; nil gives nil.
func (m *Match) RequestParameters(in any) map[string]any {
	src := reflect.ValueOf(in)
	if m.op == nil || in == nil || src.Type() != m.op.inType || src.IsNil() {
		return nil
	}
	r := &recorder{left: maxRecordNodes}
	fields := r.structure(m.op.in, src.Elem())
	if m.service.Protocol == shape.RestXML {
		if bucket, ok := fields["bucket"]; ok {
			delete(fields, "bucket")
			fields["bucketName"] = bucket
		}
	}
	return fields
}

type recorder struct{ left int }

func (r *recorder) structure(st *structure, src reflect.Value) map[string]any {
	fields := make(map[string]any)
	for i := range st.fields {
		f := &st.fields[i]
		v := src.Field(i)
		if f.Streaming || f.value.Kind == shape.Blob && !f.value.Sensitive || v.IsZero() {
			continue
		}
		if r.left--; r.left < 0 {
			return fields
		}
		fields[f.path] = r.value(f.value, v)
	}
	return fields
}

func (r *recorder) value(v *value, src reflect.Value) any {
	if v.Sensitive {
		return Hidden
	}
	if src.Kind() == reflect.Pointer {
		src = src.Elem()
	}
	switch v.Kind {
	case shape.Structure:
		return r.structure(v.fields, src)
	case shape.List:
		list := make([]any, 0, min(src.Len(), maxRecordItems))
		for i := range src.Len() {
			if r.left--; i == maxRecordItems || r.left < 0 {
				break
			}
			list = append(list, r.value(v.elem, src.Index(i)))
		}
		return list
	case shape.Map:
		m := make(map[string]any)
		for i, key := range sortedKeys(src) {
			if r.left--; i == maxRecordItems || r.left < 0 {
				break
			}
			m[clip(key.String(), maxRecordText)] = r.value(v.elem, src.MapIndex(key))
		}
		return m
	case shape.Any:
		return clip(string(src.Bytes()), maxRecordText)
	case shape.String:
		return clip(src.String(), maxRecordText)
	case shape.Timestamp:
		return src.Interface().(time.Time).UTC().Format(time.RFC3339)
	case shape.Blob:
		return nil
	}
	return src.Interface()
}
