package wire

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"

	"bawn.dev/internal/shape"
)

// Encode writes the answer of an operation: out, a pointer to the operation's output, in the form that clients parse. Nothing is
// written before the whole document is made. A stream is copied after the headers and closed; an error from then on means that the
// client has a part of it, and the caller must break the connection off.
//
// An empty string, a nil slice, map or pointer and the zero time are absent, unless the API model requires the member. The lists of
// an answer that is a page, and all lists at the top of a query answer, are written even when they are empty.
func (m *Match) Encode(w http.ResponseWriter, requestID string, out any) error {
	if m.op == nil {
		return fmt.Errorf("wire: there is no operation to encode for")
	}
	src := reflect.ValueOf(out)
	if src.Type() != m.op.outType || src.IsNil() {
		return fmt.Errorf("wire: %s cannot answer %T", m.op.Name, out)
	}
	src = src.Elem()
	if m.op.StreamingOut {
		return m.stream(w, requestID, src)
	}
	body, contentType, err := m.document(requestID, src)
	if err != nil {
		return err
	}
	h := w.Header()
	m.requestID(h, requestID)
	m.outHeaders(h, src)
	if contentType != "" && h.Get("Content-Type") == "" {
		h.Set("Content-Type", contentType)
	}
	if !m.head && m.status(src) != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(m.status(src))
	if m.head || len(body) == 0 {
		return nil
	}
	_, err = w.Write(body)
	return err
}

// document makes the body of an answer.
func (m *Match) document(requestID string, src reflect.Value) (body []byte, contentType string, err error) {
	switch m.service.Protocol {
	case shape.JSON:
		if len(m.op.out.fields) == 0 && len(m.op.Output.Fields) == 0 {
			return []byte("{}"), m.jsonType(), nil
		}
		body, err = (&jsonWriter{}).top(m.op, src)
		return body, m.jsonType(), err
	case shape.RestJSON:
		body, err = (&jsonWriter{}).top(m.op, src)
		return body, "application/json", err
	case shape.Query, shape.EC2:
		x := &xmlWriter{service: m.service}
		err = x.query(m.op, requestID, src)
		return x.buf, "text/xml", err
	}
	if m.head {
		return nil, "", nil
	}
	if p := m.op.out.payload; p != nil && p.value.Kind == shape.String {
		return []byte(src.Field(p.index).String()), "application/json", nil
	}
	x := &xmlWriter{service: m.service}
	if err := x.rest(m.op, src); err != nil || len(x.buf) == 0 {
		return nil, "", err
	}
	return x.buf, "application/xml", nil
}

func (m *Match) jsonType() string {
	return "application/x-amz-json-" + orElse(m.service.JSONVersion, "1.1")
}

// status is the operation's status; part of an object is partial content.
func (m *Match) status(src reflect.Value) int {
	if i, ok := m.op.out.headers["Content-Range"]; ok && src.Field(i).String() != "" {
		return http.StatusPartialContent
	}
	if m.op.Status != 0 {
		return m.op.Status
	}
	return http.StatusOK
}

func (m *Match) requestID(h http.Header, id string) {
	if m.service.Protocol == shape.RestXML {
		h.Set("X-Amz-Request-Id", id)
		h.Set("X-Amz-Id-2", hostID(id))
		return
	}
	h.Set("X-Amzn-Requestid", id)
	h.Set("Cache-Control", "no-store")
}

// hostID is S3's second identifier. There is one host name only, so it says the same as the first.
func hostID(requestID string) string { return "bawn/" + requestID }

// outHeaders sets the members that travel in headers.
func (m *Match) outHeaders(h http.Header, src reflect.Value) {
	for i := range m.op.out.fields {
		f := &m.op.out.fields[i]
		v := src.Field(i)
		switch {
		case f.Location == shape.Header && !absent(f, v):
			h.Set(f.Wire, scalarText(f.value, v, orFormat(f.TimeFormat, shape.RFC822)))
		case f.Location == shape.HeaderPrefix:
			for entry := v.MapRange(); entry.Next(); {
				// In lower case as it stands: clients take what follows the prefix for the key.
				h[f.Wire+entry.Key().String()] = []string{entry.Value().String()}
			}
		}
	}
}

func orFormat(f, other shape.TimeFormat) shape.TimeFormat {
	if f == shape.DefaultTime {
		return other
	}
	return f
}

// stream writes headers and then the body's bytes.
func (m *Match) stream(w http.ResponseWriter, requestID string, src reflect.Value) error {
	body, _ := src.Field(m.op.out.payload.index).Interface().(io.ReadCloser)
	h := w.Header()
	m.requestID(h, requestID)
	m.outHeaders(h, src)
	w.WriteHeader(m.status(src))
	if body == nil {
		return nil
	}
	_, err := io.Copy(w, body)
	if closed := body.Close(); err == nil {
		err = closed
	}
	return err
}

// absent tells whether a member is left out of an answer.
func absent(f *field, v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return v.IsNil()
	case reflect.Slice, reflect.Map:
		return v.IsNil() && !(f.Required && f.value.Kind != shape.Any)
	case reflect.String:
		return v.Len() == 0 && !(f.Required && f.Location == shape.Body)
	case reflect.Struct:
		return f.value.Kind == shape.Timestamp && v.IsZero()
	}
	return false
}

// pageList tells whether an empty list is written all the same.
func (op *operation) pageList(f *field) bool {
	if f.value.Kind != shape.List || f.Flattened || f.Location != shape.Body {
		return false
	}
	return op.page || op.service.Protocol == shape.Query || op.service.Protocol == shape.EC2
}
