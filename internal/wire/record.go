package wire

import (
	"crypto/sha256"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/shape"
)

// Hidden stands in a record for a value that must not be in it, as in CloudTrail's own records.
const Hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// Limits of what a record carries of a request.
const (
	maxRecordText  = 6_144 // characters of one string: as many as a managed policy has
	maxRecordItems = 128   // elements of one list or map: as many as an encryption context has
	maxRecordNodes = 1_000 // values in all
)

// RequestParameters renders an input for its record, as a JSON object: names as CloudTrail writes them, sensitive values hidden, bytes
// and streams left out, and everything of bounded size. in is a pointer to the operation's input, as Decode filled it; nil, and one of
// which nothing is to be said, gives nil.
func (m *Match) RequestParameters(in any) jsontext.Value {
	src := reflect.ValueOf(in)
	if m.op == nil || in == nil || src.Type() != m.op.inType || src.IsNil() {
		return nil
	}
	return m.rendered(m.op.in, src.Elem())
}

// ResponseElements renders an output for its record, under the rules of RequestParameters.
func (m *Match) ResponseElements(out any) jsontext.Value {
	src := reflect.ValueOf(out)
	if m.op == nil || out == nil || src.Type() != m.op.outType || src.IsNil() {
		return nil
	}
	return m.rendered(m.op.out, src.Elem())
}

func (m *Match) rendered(st *structure, src reflect.Value) jsontext.Value {
	r := &recorder{jsonWriter: jsonWriter{buf: make([]byte, 0, 256)}, left: maxRecordNodes}
	if r.structure(st, src, m.service.Protocol == shape.RestXML && st == m.op.in); len(r.buf) == len("{}") {
		return nil
	}
	return r.buf
}

type recorder struct {
	jsonWriter
	left int
}

// text writes a string of bounded length. What is no UTF-8 came from inside. Of what is
// cut the record has the hash, so that nobody can say later that it was something else.
func (r *recorder) text(s string) {
	if cut := clip(s, maxRecordText); len(cut) != len(s) {
		s = cut + fmt.Sprintf(" (%d bytes, SHA-256 %x)", len(s), sha256.Sum256([]byte(s)))
	}
	_ = r.quote(strings.ToValidUTF8(s, "\uFFFD"), 0)
}

func (r *recorder) member(name string) {
	if r.buf[len(r.buf)-1] != '{' {
		r.buf = append(r.buf, ',')
	}
	r.text(name)
	r.buf = append(r.buf, ':')
}

// structure writes an object. S3's bucket has another name in records than in its API.
func (r *recorder) structure(st *structure, src reflect.Value, s3 bool) {
	r.buf = append(r.buf, '{')
	for i := range st.fields {
		f := &st.fields[i]
		v := src.Field(i)
		if f.Streaming || f.value.Kind == shape.Blob && !f.value.Sensitive || v.IsZero() {
			continue
		}
		if r.left--; r.left < 0 {
			break
		}
		if s3 && f.path == "bucket" {
			r.member("bucketName")
		} else {
			r.member(f.path)
		}
		r.value(f.value, v)
	}
	r.buf = append(r.buf, '}')
}

func (r *recorder) value(v *value, src reflect.Value) {
	if v.Sensitive {
		r.text(Hidden)
		return
	}
	if src.Kind() == reflect.Pointer {
		src = src.Elem()
	}
	switch v.Kind {
	case shape.Structure:
		r.structure(v.fields, src, false)
	case shape.List:
		r.buf = append(r.buf, '[')
		for i := range src.Len() {
			if r.left--; i == maxRecordItems || r.left < 0 {
				break
			}
			if i > 0 {
				r.buf = append(r.buf, ',')
			}
			r.value(v.elem, src.Index(i))
		}
		r.buf = append(r.buf, ']')
	case shape.Map:
		r.dict(v, src)
	case shape.Any:
		r.text(string(src.Bytes()))
	case shape.String:
		r.text(src.String())
	case shape.Timestamp:
		r.text(src.Interface().(time.Time).UTC().Format(time.RFC3339))
	case shape.Boolean:
		r.buf = strconv.AppendBool(r.buf, src.Bool())
	case shape.Integer, shape.Long:
		r.buf = strconv.AppendInt(r.buf, src.Int(), 10)
	case shape.Float, shape.Double:
		f := src.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			f = 0 // no request brings one
		}
		r.buf = strconv.AppendFloat(r.buf, f, 'g', -1, 64)
	default:
		r.buf = append(r.buf, "null"...)
	}
}

// dict writes a map. Of two keys that are the same once they are cut, the first stays.
func (r *recorder) dict(v *value, src reflect.Value) {
	r.buf = append(r.buf, '{')
	last := ""
	for i, key := range sortedKeys(src) {
		if r.left--; i == maxRecordItems || r.left < 0 {
			break
		}
		name := clip(key.String(), maxRecordText)
		if i > 0 && name == last {
			continue
		}
		last = name
		r.member(name)
		r.value(v.elem, src.MapIndex(key))
	}
	r.buf = append(r.buf, '}')
}
