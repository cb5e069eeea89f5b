package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"bawn.dev/internal/shape"
)

// Limits of an XML document.
const (
	maxXMLDepth = 32
	maxXMLNodes = 60_000 // 10,000 parts of an upload, with number, ETag and checksum each, are 40,002
)

// element is an XML element: what AWS's documents consist of.
type element struct {
	name  string
	attrs []xml.Attr
	text  strings.Builder
	kids  []*element
}

// parseXML reads one document without document types, processing instructions or entities of its own.
func parseXML(body []byte) (*element, error) {
	dec := xml.NewDecoder(bytes.NewReader(body))
	root := &element{}
	stack := []*element{root}
	for nodes := 0; ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.New("the document is not well-formed XML")
		}
		top := stack[len(stack)-1]
		switch t := tok.(type) {
		case xml.StartElement:
			if nodes++; nodes > maxXMLNodes || len(stack) > maxXMLDepth {
				return nil, errors.New("the document is too large")
			}
			e := &element{name: t.Name.Local, attrs: t.Attr}
			top.kids = append(top.kids, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text.Write(t)
		case xml.Directive:
			return nil, errors.New("the document has a document type")
		case xml.ProcInst:
			if t.Target != "xml" || len(root.kids) > 0 {
				return nil, errors.New("the document has a processing instruction")
			}
		}
	}
	if len(root.kids) != 1 || strings.TrimSpace(root.text.String()) != "" {
		return nil, errors.New("the document has not exactly one root element")
	}
	return root.kids[0], nil
}

// xmlReader fills a struct from an XML document.
type xmlReader struct {
	*checker
	op *operation
}

func decodeXML(c *checker, op *operation, f *field, body []byte, dst reflect.Value) error {
	root, err := parseXML(body)
	if err == nil && root.name != f.Wire && root.name != f.value.Name {
		err = fmt.Errorf("the root element is not %s", f.Wire)
	}
	if err == nil {
		err = (&xmlReader{c, op}).value(f, f.value, dst, root, &path{name: f.path})
	}
	return c.malformed(err)
}

// decodeXMLBody fills those members of an input that are the document's elements.
func decodeXMLBody(c *checker, op *operation, body []byte, dst reflect.Value, seen []bool) error {
	root, err := parseXML(body)
	if err == nil && root.name != op.Input.XMLName {
		err = fmt.Errorf("the root element is not %s", op.Input.XMLName)
	}
	if err == nil {
		err = attributes(root)
	}
	if err == nil {
		err = (&xmlReader{c, op}).elements(op.in, dst, root, nil, seen)
	}
	return c.malformed(err)
}

// attributes refuses what is neither a namespace nor a type hint.
func attributes(e *element) error {
	for _, a := range e.attrs {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" || a.Name.Local == "type" && a.Name.Space != "" {
			continue
		}
		return fmt.Errorf("the element %s has an unknown attribute", e.name)
	}
	return nil
}

func (e *element) asks() bool {
	text := strings.TrimSpace(e.text.String())
	if text != "" && !strings.EqualFold(text, "false") {
		return true
	}
	for _, kid := range e.kids {
		if kid.asks() {
			return true
		}
	}
	return false
}

func (r *xmlReader) structure(st *structure, dst reflect.Value, e *element, at *path) error {
	seen := make([]bool, len(st.fields))
	if f := st.typed; f != nil {
		for _, a := range e.attrs {
			if a.Name.Local == "type" && a.Name.Space != "" {
				seen[f.index] = true
				if err := r.setText(f.value, dst.Field(f.index), a.Value, f.TimeFormat, at.at(f.path)); err != nil {
					return err
				}
			}
		}
	}
	if err := r.elements(st, dst, e, at, seen); err != nil {
		return err
	}
	r.end(st, seen, at)
	return nil
}

// elements reads an element's own, and marks what was given.
func (r *xmlReader) elements(st *structure, dst reflect.Value, e *element, at *path, seen []bool) error {
	if strings.TrimSpace(e.text.String()) != "" {
		return fmt.Errorf("the element %s holds text", e.name)
	}
	for _, kid := range e.kids {
		i, known := st.body[kid.name]
		if !known {
			if kid.asks() {
				return r.service.dialect.notServed(r.op.Name, kid.name, st.refused[kid.name])
			}
			continue
		}
		f := &st.fields[i]
		flat := f.Flattened && (f.value.Kind == shape.List || f.value.Kind == shape.Map)
		if seen[i] && !flat {
			return fmt.Errorf("the element %s is given twice", kid.name)
		}
		seen[i] = true
		if flat && f.value.Kind == shape.List {
			if err := r.append(f.value, dst.Field(i), kid, at.at(f.path)); err != nil {
				return err
			}
			continue
		}
		if err := r.value(f, f.value, dst.Field(i), kid, at.at(f.path)); err != nil {
			return err
		}
	}
	for i := range st.fields {
		if st.fields[i].Flattened && seen[i] && st.fields[i].value.Kind == shape.List {
			r.collection(st.fields[i].value, dst.Field(i).Len(), at.at(st.fields[i].path))
		}
	}
	return nil
}

func (r *xmlReader) append(v *value, dst reflect.Value, e *element, at *path) error {
	n := dst.Len()
	dst.Set(reflect.Append(dst, reflect.Zero(dst.Type().Elem())))
	return r.value(nil, v.elem, dst.Index(n), e, at.item(n+1))
}

func (r *xmlReader) value(f *field, v *value, dst reflect.Value, e *element, at *path) error {
	if err := attributes(e); err != nil {
		return err
	}
	switch v.Kind {
	case shape.Structure:
		return r.structure(v.fields, target(dst), e, at)
	case shape.List:
		want := orElse(v.ElemWire, "member")
		dst.Set(reflect.MakeSlice(dst.Type(), 0, len(e.kids)))
		for _, kid := range e.kids {
			if kid.name != want {
				return fmt.Errorf("the element %s is not %s", kid.name, want)
			}
			if err := r.append(v, dst, kid, at); err != nil {
				return err
			}
		}
		r.collection(v, dst.Len(), at)
		return nil
	case shape.Map:
		return fmt.Errorf("the element %s cannot be read", e.name)
	}
	if len(e.kids) > 0 {
		return fmt.Errorf("the element %s holds elements", e.name)
	}
	text := e.text.String()
	if v.Kind != shape.String {
		text = strings.TrimSpace(text)
	}
	format := v.Time
	if f != nil {
		format = f.TimeFormat
	}
	return r.setText(v, dst, text, format, at)
}
