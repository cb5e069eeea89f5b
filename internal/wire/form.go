package wire

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"bawn.dev/internal/shape"
)

// Limits of a form. AWS's largest lists stay far below.
const (
	maxParameters = 5_000
	maxNameDepth  = 24 // dots in a parameter's name
)

// node is a parameter, or what a dotted name's prefix stands for.
type node struct {
	name  string // in full, for messages
	value string
	set   bool
	kids  map[string]*node
	order []string
}

func (n *node) text(name string) string {
	if kid := n.kids[name]; kid != nil && kid.set {
		return kid.value
	}
	return ""
}

func (n *node) child(name string) *node {
	kid := n.kids[name]
	if kid == nil {
		kid = &node{name: name}
		if n.name != "" {
			kid.name = n.name + "." + name
		}
		if n.kids == nil {
			n.kids = make(map[string]*node)
		}
		n.kids[name] = kid
		n.order = append(n.order, name)
	}
	return kid
}

// parseForm reads a query string and a form body into one tree. A parameter that is named twice, in whichever of them, is refused.
func parseForm(query string, body []byte) (*node, error) {
	root := &node{}
	count := 0
	for _, text := range []string{query, string(body)} {
		for text != "" {
			var pair string
			pair, text, _ = strings.Cut(text, "&")
			if pair == "" {
				continue
			}
			if count++; count > maxParameters {
				return nil, fmt.Errorf("the request has more than %d parameters", maxParameters)
			}
			if err := root.enter(pair); err != nil {
				return nil, err
			}
		}
	}
	return root, nil
}

func (n *node) enter(pair string) error {
	rawName, rawValue, _ := strings.Cut(pair, "=")
	name, err := url.QueryUnescape(rawName)
	if err != nil {
		return errors.New("a parameter's name is badly escaped")
	}
	value, err := url.QueryUnescape(rawValue)
	if err != nil {
		return fmt.Errorf("the value of %s is badly escaped", clip(name, 200))
	}
	if strings.Count(name, ".") > maxNameDepth {
		return fmt.Errorf("the name of %s is too deep", clip(name, 200))
	}
	for part := range strings.SplitSeq(name, ".") {
		n = n.child(part)
	}
	if n.set {
		return fmt.Errorf("the parameter %s is given twice", clip(name, 200))
	}
	n.set, n.value = true, value
	return nil
}

// asks tells whether a parameter, or anything below it, asks for something: it is neither empty nor false.
func (n *node) asks() *node {
	if n.set && n.value != "" && !strings.EqualFold(n.value, "false") {
		return n
	}
	for _, name := range n.order {
		if found := n.kids[name].asks(); found != nil {
			return found
		}
	}
	return nil
}

// formReader fills a struct from a form.
type formReader struct {
	*checker
	op *operation
}

// signatureArgs are the query string parameters that carry a signature and no input.
func isSignatureArg(name string) bool {
	switch name {
	case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
		"X-Amz-Security-Token", "X-Amz-Content-Sha256":
		return true
	}
	return false
}

func decodeForm(c *checker, op *operation, query string, body []byte, dst reflect.Value) error {
	form, err := parseForm(query, body)
	if err == nil {
		if form.text("Action") != op.Name || form.text("Version") != "" && form.text("Version") != op.service.APIVersion {
			return c.service.dialect.unknownOperation(form.text("Action"))
		}
		for _, name := range form.order {
			if name == "Action" || name == "Version" || isSignatureArg(name) {
				if form.kids[name].kids != nil {
					return c.service.dialect.notServed(op.Name, name, "")
				}
				delete(form.kids, name)
			}
		}
		err = (&formReader{c, op}).structure(op.in, dst, form, nil)
	}
	return c.malformed(err)
}

func (r *formReader) structure(st *structure, dst reflect.Value, n *node, at *path) error {
	if n.set && n.value != "" {
		return fmt.Errorf("%s has members and takes no value of its own", n.name)
	}
	seen := make([]bool, len(st.fields))
	for _, name := range n.order {
		kid := n.kids[name]
		if kid == nil {
			continue
		}
		i, known := st.query[name]
		if !known {
			asking := kid.asks()
			if asking == nil || at == nil && st.ignored[name] {
				continue
			}
			return r.service.dialect.notServed(r.op.Name, asking.name, st.refused[name])
		}
		f := &st.fields[i]
		seen[i] = true
		if err := r.value(f, f.value, dst.Field(i), kid, at.at(f.path)); err != nil {
			return err
		}
	}
	r.end(st, seen, at)
	return nil
}

func (r *formReader) value(f *field, v *value, dst reflect.Value, n *node, at *path) error {
	switch v.Kind {
	case shape.Structure:
		return r.structure(v.fields, target(dst), n, at)
	case shape.List:
		return r.list(f, v, dst, n, at)
	case shape.Map:
		return r.dict(f, v, dst, n, at)
	}
	if len(n.order) > 0 {
		return r.service.dialect.notServed(r.op.Name, n.kids[n.order[0]].name, "")
	}
	format := v.Time
	if f != nil {
		format = f.TimeFormat
	}
	return r.setText(v, dst, n.value, format, at)
}

// items finds the numbered elements of a list or map, which must be 1, 2, 3 and so on.
func (r *formReader) items(n *node, wrapper string) ([]*node, error) {
	if n.set && n.value != "" {
		return nil, fmt.Errorf("%s is a list and takes no value of its own", n.name)
	}
	if wrapper != "" {
		for _, name := range n.order {
			if name != wrapper {
				return nil, r.service.dialect.notServed(r.op.Name, n.kids[name].name, "")
			}
		}
		if n = n.kids[wrapper]; n == nil {
			return nil, nil
		}
		if n.set {
			return nil, fmt.Errorf("%s takes no value of its own", n.name)
		}
	}
	items := make([]*node, len(n.order))
	for _, name := range n.order {
		i, err := strconv.Atoi(name)
		if err != nil || i < 1 || i > len(items) || strconv.Itoa(i) != name {
			return nil, fmt.Errorf("the elements of %s are not numbered 1, 2, 3", n.name)
		}
		items[i-1] = n.kids[name]
	}
	return items, nil
}

func (r *formReader) list(f *field, v *value, dst reflect.Value, n *node, at *path) error {
	wrapper := ""
	if r.service.Protocol == shape.Query && !v.Flattened && (f == nil || !f.Flattened) {
		wrapper = "member"
		if v.ElemWire != "" {
			wrapper = v.ElemWire
		}
	}
	items, err := r.items(n, wrapper)
	if err != nil {
		return err
	}
	list := reflect.MakeSlice(dst.Type(), len(items), len(items))
	for i, item := range items {
		if err := r.value(nil, v.elem, list.Index(i), item, at.item(i+1)); err != nil {
			return err
		}
	}
	dst.Set(list)
	r.collection(v, len(items), at)
	return nil
}

func (r *formReader) dict(f *field, v *value, dst reflect.Value, n *node, at *path) error {
	wrapper := "entry"
	if v.Flattened || f != nil && f.Flattened {
		wrapper = ""
	}
	items, err := r.items(n, wrapper)
	if err != nil {
		return err
	}
	keyName, valueName := orElse(v.KeyWire, "key"), orElse(v.ElemWire, "value")
	m := reflect.MakeMap(dst.Type())
	for _, item := range items {
		k, e := item.kids[keyName], item.kids[valueName]
		if k == nil || e == nil || len(item.order) != 2 {
			return fmt.Errorf("%s is not a %s and a %s", item.name, keyName, valueName)
		}
		key, elem := reflect.New(dst.Type().Key()).Elem(), reflect.New(dst.Type().Elem()).Elem()
		if err := r.value(nil, v.key, key, k, at.at("key")); err != nil {
			return err
		}
		if err := r.value(nil, v.elem, elem, e, at.at(clip(k.value, 128)).at("member")); err != nil {
			return err
		}
		if m.MapIndex(key).IsValid() {
			return fmt.Errorf("%s names the key of another entry", item.name)
		}
		m.SetMapIndex(key, elem)
	}
	dst.Set(m)
	r.collection(v, m.Len(), at)
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
