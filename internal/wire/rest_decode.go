package wire

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"bawn.dev/internal/shape"
)

// restReader fills a struct from labels, query string, headers and body.
type restReader struct {
	*checker
	op   *operation
	m    *Match
	req  *http.Request
	dst  reflect.Value
	seen []bool
	// items counts what was added to each list in the query string.
	items map[int]int
}

func decodeREST(c *checker, m *Match, req *http.Request, body io.Reader, dst reflect.Value) error {
	r := &restReader{checker: c, op: m.op, m: m, req: req, dst: dst, seen: make([]bool, len(m.op.in.fields))}
	for _, step := range []func() error{r.labels, r.args, r.headers} {
		if err := step(); err != nil {
			return r.argument(err)
		}
	}
	if err := r.body(body); err != nil {
		return err
	}
	r.end(m.op.in, r.seen, nil)
	return nil
}

// argument is the error of what cannot be read in label, query or header.
func (r *restReader) argument(err error) error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return Errorf(r.service.dialect.validation, "%s.", upperFirst(err.Error()))
}

func (r *restReader) set(i int, text string, format shape.TimeFormat) error {
	f := &r.op.in.fields[i]
	if r.seen[i] {
		return fmt.Errorf("%s is given twice", f.Wire)
	}
	r.seen[i] = true
	if f.TimeFormat != shape.DefaultTime {
		format = f.TimeFormat
	}
	if f.value.Kind == shape.List {
		return fmt.Errorf("%s is a list and cannot be read", f.Wire)
	}
	return r.setText(f.value, r.dst.Field(i), text, format, &path{name: f.path})
}

func (r *restReader) labels() error {
	for i := range r.op.in.fields {
		f := &r.op.in.fields[i]
		if text, ok := r.m.labels[f.Wire]; f.Location == shape.Label && ok {
			if err := r.set(i, text, shape.ISO8601); err != nil {
				return err
			}
		}
	}
	return nil
}

// args reads the query string. Anything that is neither input nor signature is refused, whatever its value: a bare name has a meaning.
func (r *restReader) args() error {
	st := r.op.in
	given := map[string]bool{}
	count := 0
	for pair := range strings.SplitSeq(r.req.URL.RawQuery, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(rawName)
		text, err2 := url.QueryUnescape(rawValue)
		if err1 != nil || err2 != nil || !utf8.ValidString(name) {
			return fmt.Errorf("the query string is badly escaped")
		}
		i, known := st.args[name]
		list := known && st.fields[i].value.Kind == shape.List
		if given[name] && !list {
			return fmt.Errorf("the parameter %s is given twice", clip(name, 200))
		}
		given[name] = true
		if count++; count > 200 {
			return fmt.Errorf("the query string has too many parameters")
		}
		if _, fixed := r.op.route.fixed[name]; fixed || isSignatureArg(name) {
			continue
		}
		if name == "x-id" {
			if text != r.op.Name {
				return fmt.Errorf("the parameter x-id does not name %s", r.op.Name)
			}
			continue
		}
		take := func() error { return r.arg(st, name, text) }
		if list {
			take = func() error { return r.item(i, text) }
		}
		if err := take(); err != nil {
			return err
		}
	}
	for i, n := range r.items {
		r.collection(st.fields[i].value, n, &path{name: st.fields[i].path})
	}
	return nil
}

// item adds a value to a list that travels as one parameter for each.
func (r *restReader) item(i int, text string) error {
	f, list := &r.op.in.fields[i], r.dst.Field(i)
	if r.items == nil {
		r.items = map[int]int{}
	}
	n := r.items[i]
	r.items[i], r.seen[i] = n+1, true
	list.Set(reflect.Append(list, reflect.Zero(list.Type().Elem())))
	return r.setText(f.value.elem, list.Index(n), text, shape.ISO8601, (&path{name: f.path}).item(n+1))
}

func (r *restReader) arg(st *structure, name, text string) error {
	if i, ok := st.args[name]; ok {
		return r.set(i, text, shape.ISO8601)
	}
	// A presigned URL may carry the service's own headers in its query string.
	header := textproto.CanonicalMIMEHeaderKey(name)
	if i, ok := st.headers[header]; ok && strings.HasPrefix(header, "X-Amz-") {
		if len(r.req.Header.Values(header)) > 0 {
			return fmt.Errorf("%s is given twice", name)
		}
		return r.set(i, text, shape.RFC822)
	}
	return r.service.dialect.notServed(r.op.Name, name, st.noArg[name])
}

func (r *restReader) headers() error {
	st := r.op.in
	for name, values := range r.req.Header {
		i, known := st.headers[name]
		if !known {
			if err := r.otherHeader(name, values); err != nil {
				return err
			}
			continue
		}
		if st.fields[i].value.Kind == shape.List {
			if err := r.listed(i, values); err != nil {
				return err
			}
			continue
		}
		if len(values) != 1 {
			return fmt.Errorf("the header %s is given twice", name)
		}
		text := strings.TrimSpace(values[0])
		if text == "" && strings.HasPrefix(name, "X-Amz-") {
			continue // asks for nothing
		}
		switch name {
		case "Content-Encoding":
			if text = withoutChunked(text); text == "" {
				continue
			}
		case "Content-Length":
			continue
		}
		if err := r.set(i, text, shape.RFC822); err != nil {
			return err
		}
	}
	return r.contentLength()
}

// listed reads a list that travels in a header, in one line or several.
func (r *restReader) listed(i int, values []string) error {
	for text := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if r.items[i] >= 100 {
			return fmt.Errorf("%s has too many items", r.op.in.fields[i].Wire)
		}
		if err := r.item(i, text); err != nil {
			return err
		}
	}
	r.collection(r.op.in.fields[i].value, r.items[i], &path{name: r.op.in.fields[i].path})
	return nil
}

// contentLength is the length of the content proper, not of its chunked form.
func (r *restReader) contentLength() error {
	i, ok := r.op.in.headers["Content-Length"]
	if !ok {
		return nil
	}
	if decoded := r.req.Header.Get("X-Amz-Decoded-Content-Length"); decoded != "" {
		return r.set(i, decoded, shape.DefaultTime)
	}
	if r.req.ContentLength >= 0 {
		return r.set(i, strconv.FormatInt(r.req.ContentLength, 10), shape.DefaultTime)
	}
	return nil
}

// withoutChunked drops the transfer form from a content encoding.
func withoutChunked(text string) string {
	var kept []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" && !strings.EqualFold(part, "aws-chunked") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ",")
}

// otherHeader takes headers that share a prefix, lets transport and signature pass, and refuses the rest that means something.
func (r *restReader) otherHeader(name string, values []string) error {
	for _, i := range r.op.in.prefixes {
		f := &r.op.in.fields[i]
		if rest, ok := cutPrefixFold(name, f.Wire); ok && rest != "" {
			return r.prefixed(i, strings.ToLower(rest), values)
		}
	}
	if known, refused := r.op.in.noHeader[name]; refused {
		return r.refuseHeader(name, known, values)
	}
	if !strings.HasPrefix(name, "X-Amz-") {
		if strings.HasPrefix(name, "If-") || name == "Content-Range" {
			return r.refuseHeader(name, "", values) // a condition that is not looked at would be taken for one that holds
		}
		return nil
	}
	switch name {
	case "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-User-Agent", "X-Amz-Decoded-Content-Length",
		"X-Amz-Trailer", "X-Amz-Te":
		return nil
	case "X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Crc64nvme", "X-Amz-Checksum-Sha1", "X-Amz-Checksum-Sha256",
		"X-Amz-Sdk-Checksum-Algorithm":
		if (r.op.Method == http.MethodPut || r.op.Method == http.MethodPost || r.service.Name == s3Control) && !r.op.StreamingIn {
			return nil // of a document: checked against its bytes in body
		}
	}
	return r.refuseHeader(name, "", values)
}

func (r *restReader) refuseHeader(name, known string, values []string) error {
	for _, v := range values {
		if v != "" && !strings.EqualFold(v, "false") {
			return r.service.dialect.notServed(r.op.Name, strings.ToLower(name), known).With("Header", strings.ToLower(name))
		}
	}
	return nil
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

func (r *restReader) prefixed(i int, key string, values []string) error {
	if len(values) != 1 {
		return fmt.Errorf("the header %s%s is given twice", r.op.in.fields[i].Wire, key)
	}
	if !utf8.ValidString(values[0]) {
		return fmt.Errorf("the header %s%s is not valid UTF-8", r.op.in.fields[i].Wire, key)
	}
	m := r.dst.Field(i)
	if m.IsNil() {
		m.Set(reflect.MakeMap(m.Type()))
	}
	r.seen[i] = true
	m.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(strings.TrimSpace(values[0])))
	return nil
}

// body reads the document, or hands the stream over.
func (r *restReader) body(body io.Reader) error {
	st := r.op.in
	if r.op.StreamingIn {
		r.dst.Field(st.payload.index).Set(reflect.ValueOf(&body).Elem())
		r.seen[st.payload.index] = true
		return nil
	}
	text, err := readBody(body)
	if err != nil {
		return err
	}
	stated, err := checkSums(r.op.in.headers, r.req.Header, text)
	if err != nil {
		return err
	}
	if !stated && r.service.Package == "s3" && slices.Contains(s3Summed(), r.op.Name) {
		return Errorf("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	switch {
	case st.payload == nil && len(st.body) == 0:
		if len(text) > 0 {
			return r.service.dialect.malformed("%s takes no body.", r.op.Name)
		}
		return nil
	case r.service.Protocol == shape.RestJSON && st.payload == nil:
		r.restBody()
		return decodeJSON(r.checker, r.op, st, text, r.dst)
	case st.payload == nil && len(text) == 0:
		return nil
	case st.payload == nil:
		return decodeXMLBody(r.checker, r.op, text, r.dst, r.seen)
	case len(text) == 0:
		if st.payload.Required {
			return Errorf("MissingRequestBodyError", "Request body is empty.")
		}
		return nil
	}
	return r.document(st.payload, text)
}

// restBody marks body members as seen: the JSON reader checks those itself.
func (r *restReader) restBody() {
	for i := range r.op.in.fields {
		if r.op.in.fields[i].Location == shape.Body {
			r.seen[i] = true
		}
	}
}

func (r *restReader) document(f *field, text []byte) error {
	dst := r.dst.Field(f.index)
	r.seen[f.index] = true
	switch {
	case f.value.Kind == shape.String:
		if err := r.setText(f.value, dst, string(text), shape.DefaultTime, &path{name: f.path}); err != nil {
			return r.argument(err)
		}
		return nil
	case f.value.Kind == shape.Blob:
		dst.SetBytes(text)
		return nil
	case f.value.Kind == shape.Structure && r.service.Protocol == shape.RestXML:
		return decodeXML(r.checker, r.op, f, text, dst)
	case f.value.Kind == shape.Structure:
		return decodeJSON(r.checker, r.op, f.value.fields, text, target(dst))
	}
	return r.service.dialect.malformed("%s cannot be read.", r.op.Name)
}
