package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/shape"
	"bawn.dev/internal/trail"
	"bawn.dev/internal/wire"
)

// hushed is a secret, and its beginning is as well: nothing may tell a part of it.
const hushed = "MARKEDSECRET-0123456789abcdef"

var hushedBase64 = base64.StdEncoding.EncodeToString([]byte(hushed))

func tells(text string) bool {
	return strings.Contains(text, hushed[:12]) || strings.Contains(text, hushedBase64[:16])
}

// tellsNobody fails the test if the record or the log has a part of the secret.
func tellsNobody(t *testing.T, b *servertest.Bawn) {
	t.Helper()
	err := b.Trail().Follow(stopped(context.Background()), 0, func(entry trail.Entry) error {
		if tells(string(entry.Event)) {
			t.Errorf("the record holds the secret: %s", entry.Event)
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.Log.String()) {
		if tells(line) {
			t.Errorf("the log holds the secret: %.2000s", line)
		}
	}
}

// A marked secret in every sensitive member of every operation, at any depth, of who may
// and of who may not, reaches neither record nor log nor error.
func TestSensitiveMembersStayOut(t *testing.T) {
	b := servertest.Start(t)
	ctx := context.Background()
	root := strings.TrimSpace(b.Python(t, `print(client("iam").get_user()["User"]["UserId"])`))
	filled := 0
	for _, claim := range []api.Claim{nobody(t, b), {Kind: api.KindUser, Account: b.Config.AccountID, ID: root, Issued: time.Now()}} {
		for _, e := range b.Door().Entries() {
			in := example(t, e)
			if mark(reflect.ValueOf(in).Elem(), e.Model.Input) == 0 {
				continue
			}
			filled++
			call, err := b.Door().Begin(ctx, claim, "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err = api.InvokeAny(ctx, call, e.Name, in); err != nil && tells(err.Error()) {
				t.Errorf("%s tells the secret in its error: %v", e.Name, err)
			}
		}
	}
	if filled < 50 {
		t.Errorf("only %d calls held a secret", filled)
	}
	tellsNobody(t, b)
}

// What an operation answers is hidden in its record where it is sensitive.
func TestSensitiveAnswersStayOut(t *testing.T) {
	b := servertest.Start(t)
	filled := 0
	for _, e := range b.Door().Entries() {
		out := e.Model.NewOutput()
		if mark(reflect.ValueOf(out).Elem(), e.Model.Output) == 0 {
			continue
		}
		filled++
		router, err := wire.NewRouter(e.Service.Model)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(router.Inside(e.Service.Model, e.Model.Name).ResponseElements(out)); tells(text) || !strings.Contains(text, wire.Hidden) {
			t.Errorf("the record of %s would say %s", e.Name, text)
		}
	}
	if filled < 10 {
		t.Errorf("only %d answers held a secret", filled)
	}
}

// Over the wire a secret may also be cut off, be too long, of another type, or said twice.
func TestSensitiveTextStaysOutOfRefusals(t *testing.T) {
	b := servertest.Start(t)
	c := newClient(t, b.Config.Data, b.URL)
	sent := 0
	for _, e := range b.Door().Entries() {
		for _, f := range e.Model.Input.Fields {
			for _, l := range leaves(f.Type, false, f.Flattened, 0) {
				for _, r := range l.requests(t, e, &f) {
					sent++
					r.send(t, b, c, e)
				}
			}
		}
	}
	if sent < 500 {
		t.Errorf("only %d requests were sent", sent)
	}
	tellsNobody(t, b)
}

// mark puts the secret wherever a structure may hold one, and makes room for it.
func mark(v reflect.Value, st *shape.Struct) (n int) {
	for i := range st.Fields {
		n += markValue(v.Field(i), st.Fields[i].Type, false, 0)
	}
	return n
}

// nesting bounds how deep a secret is looked for: some types hold themselves.
const nesting = 6

func markValue(v reflect.Value, t *shape.Type, secret bool, depth int) (n int) {
	secret = secret || t.Sensitive
	if depth > nesting || !holds(t, secret, depth) || v.Kind() == reflect.Interface {
		return 0
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	switch t.Kind {
	case shape.String:
		v.SetString(hushed)
		return 1
	case shape.Blob:
		v.SetBytes([]byte(hushed))
		return 1
	case shape.Any:
		v.SetBytes([]byte(`{"` + hushed + `":"` + hushed + `"}`))
		return 1
	case shape.Structure:
		for i := range t.Struct.Fields {
			n += markValue(v.Field(i), t.Struct.Fields[i].Type, secret, depth+1)
		}
	case shape.List:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			n += markValue(v.Index(i), t.Elem, secret, depth+1)
		}
	case shape.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.SetString("name")
		if secret {
			key.SetString(hushed)
		}
		n = markValue(value, t.Elem, secret, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	}
	return n
}

// holds says whether values of a type may hold a secret.
func holds(t *shape.Type, secret bool, depth int) bool {
	secret = secret || t.Sensitive
	switch {
	case depth > nesting:
		return false
	case t.Kind == shape.String:
		return secret && len(t.Enum) == 0
	case t.Kind == shape.Blob, t.Kind == shape.Any:
		return secret
	case t.Kind == shape.Structure:
		return slices.ContainsFunc(t.Struct.Fields, func(f shape.Field) bool { return holds(f.Type, secret, depth+1) })
	case t.Elem != nil:
		return holds(t.Elem, secret, depth+1)
	}
	return false
}

// A leaf is a text that is secret somewhere in an input: how JSON leads to it, and how a
// form does.
type leaf struct {
	json func(any) any
	form string
	blob bool
}

func leaves(t *shape.Type, secret, flat bool, depth int) (all []leaf) {
	secret = secret || t.Sensitive
	if depth > nesting || !holds(t, secret, depth) {
		return nil
	}
	switch t.Kind {
	case shape.String, shape.Blob:
		return []leaf{{func(v any) any { return v }, "", t.Kind == shape.Blob}}
	case shape.Structure:
		for _, f := range t.Struct.Fields {
			for _, l := range leaves(f.Type, secret, f.Flattened, depth+1) {
				all = append(all, leaf{func(v any) any { return map[string]any{f.Wire: l.json(v)} }, "." + f.Wire + l.form, l.blob})
			}
		}
	case shape.List:
		at := ".member.1"
		if flat || t.Flattened {
			at = ".1"
		}
		for _, l := range leaves(t.Elem, secret, false, depth+1) {
			all = append(all, leaf{func(v any) any { return []any{l.json(v)} }, at + l.form, l.blob})
		}
	case shape.Map:
		for _, l := range leaves(t.Elem, secret, false, depth+1) {
			all = append(all, leaf{func(v any) any { return map[string]any{"name": l.json(v)} }, ".entry.1.value" + l.form, l.blob})
		}
	}
	return all
}

// A sending is one way to bring a secret.
type sending struct {
	method, query string
	header        http.Header
	body          []byte
}

func (l leaf) requests(t *testing.T, e api.Entry, f *shape.Field) (all []sending) {
	t.Helper()
	m, secret := e.Service.Model, hushed
	if l.blob {
		secret = hushedBase64
	}
	switch {
	case f.Location == shape.Header:
		for _, value := range []string{secret, secret + "=", strings.Repeat(secret, 300)} {
			all = append(all, sending{e.Model.Method, "", http.Header{http.CanonicalHeaderKey(f.Wire): {value}}, nil})
		}
		return append(all, sending{e.Model.Method, "", http.Header{http.CanonicalHeaderKey(f.Wire): {secret, secret}}, nil})
	case f.Location == shape.QueryString:
		for _, value := range []string{secret, secret + "%zz", strings.Repeat(secret, 300), secret + "&" + f.Wire + "=" + secret} {
			all = append(all, sending{e.Model.Method, f.Wire + "=" + value, http.Header{}, nil})
		}
		return all
	case f.Location != shape.Body || m.Protocol == shape.RestXML:
		t.Errorf("%s: this test knows no way to send %s", e.Name, f.Name)
		return nil
	case m.Protocol == shape.Query || m.Protocol == shape.EC2:
		name := f.Wire + l.form
		action := "Action=" + e.Model.Name + "&Version=" + m.APIVersion + "&"
		for _, pairs := range []string{name + "=" + secret, name + "=" + secret + "&" + name + "=" + secret, name + "=" + secret + "%zz", name + ".1.x=" + secret,
			name + "=" + strings.Repeat(secret, 3000), name + "=" + secret + "%00%0A", secret} {
			all = append(all, sending{"POST", "", http.Header{"Content-Type": form["Content-Type"]}, []byte(action + pairs)})
			if len(pairs) < 1000 {
				all = append(all, sending{"GET", action + pairs, http.Header{}, nil})
			}
		}
		return append(all, sending{"POST", "", http.Header{"Content-Type": form["Content-Type"]}, []byte(action + name + "=" + strings.Repeat(secret, 100_000))})
	}
	document := func(v any) []byte {
		raw, err := json.Marshal(map[string]any{f.Wire: l.json(v)})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	good := document(secret)
	cut := bytes.Index(good, []byte(secret)) + len(secret)
	for _, body := range [][]byte{
		good, good[:cut], append(good[:cut:cut], `" : }`...), append(good[:len(good):len(good)], secret...), []byte(secret), []byte(`"` + secret + `"`),
		document(map[string]any{secret: secret}), document([]any{secret}), document(secret + "\x00\n"), document(strings.Repeat(secret, 3000)),
		document(strings.Repeat(secret, 100_000)), append(append(good[:len(good)-1:len(good)-1], ','), good[1:]...),
	} {
		header := http.Header{"Content-Type": {"application/json"}}
		if m.Protocol == shape.JSON {
			header = http.Header{"Content-Type": {"application/x-amz-json-" + m.JSONVersion}, "X-Amz-Target": {m.TargetPrefix + "." + e.Model.Name}}
		}
		all = append(all, sending{e.Model.Method, "", header, body})
	}
	return all
}

// send makes a request, signed by the administrator where it is to be, and fails the
// test if a refusal tells what it was sent.
func (r sending) send(t *testing.T, b *servertest.Bawn, c *client, e api.Entry) {
	t.Helper()
	path := "/"
	if p := e.Service.Model.Protocol; p == shape.RestJSON || p == shape.RestXML {
		path = strings.NewReplacer("{Bucket}", "some", "{Key+}", "some").Replace(e.Model.URI)
	}
	if r.query != "" {
		path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + r.query
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, b.URL, bytes.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL = &url.URL{Scheme: "https", Host: req.URL.Host, Opaque: path}
	req.Header = r.header.Clone()
	if !e.Open {
		if req.URL, err = url.Parse(b.URL + strings.ReplaceAll(path, "%zz", "%25zz")); err != nil {
			t.Fatal(err)
		}
		if err := c.sign(req, e.Service.Model.SigningName, r.body); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", e.Name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= 300 && tells(string(body)) {
		t.Errorf("%s answers %.300q with %d %.1000s", e.Name, r.body, resp.StatusCode, body)
	}
}
