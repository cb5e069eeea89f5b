package saml

import (
	"io"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Bounds of a document, so that a small one costs little: what is signed is walked
// several times, with all namespaces in scope.
const (
	maxDepth      = 32
	maxAttributes = 32 // of one element
)

// parse reads a document of one root, without DTD, processing instructions or
// repeated attributes. Entities are XML's own five.
func parse(text []byte, limit int) (*etree.Element, error) {
	if len(text) > limit {
		return nil, refuse(Malformed, "the document is longer than %d bytes", limit)
	}
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{
		PreserveDuplicateAttrs: true, // so that they are seen
		MaxDepth:               maxDepth,
		CharsetReader: func(string, io.Reader) (io.Reader, error) {
			return nil, refuse(Malformed, "the encoding is not UTF-8")
		},
	}
	if err := doc.ReadFromBytes(text); err != nil {
		return nil, refuse(Malformed, "the document is not well-formed XML")
	}
	roots := 0
	for i, t := range doc.Child {
		switch t := t.(type) {
		case *etree.Element:
			roots++
		case *etree.ProcInst:
			if i != 0 || t.Target != "xml" {
				return nil, refuse(Malformed, "the document has a processing instruction")
			}
		case *etree.CharData:
			if strings.Trim(t.Data, "\ufeff \t\r\n") != "" {
				return nil, refuse(Malformed, "the document has text beside its root")
			}
		case *etree.Comment:
		default:
			return nil, refuse(Malformed, "the document has a DTD")
		}
	}
	if roots != 1 {
		return nil, refuse(Malformed, "the document has %d roots", roots)
	}
	return doc.Root(), plain(doc.Root())
}

// plain refuses what has no place in an element.
func plain(e *etree.Element) error {
	seen := make(map[etree.Attr]bool, len(e.Attr))
	for _, a := range e.Attr {
		name := etree.Attr{Space: a.Space, Key: a.Key}
		if seen[name] {
			return refuse(Malformed, "an element has the same attribute twice")
		}
		seen[name] = true
	}
	if len(seen) > maxAttributes {
		return refuse(Malformed, "an element has more than %d attributes", maxAttributes)
	}
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			if err := plain(t); err != nil {
				return err
			}
		case *etree.CharData, *etree.Comment:
		default:
			return refuse(Malformed, "the document has a directive or a processing instruction")
		}
	}
	return nil
}

func is(e *etree.Element, namespace, name string) bool {
	return e.Tag == name && e.NamespaceURI() == namespace
}

// children are the elements of a name directly below e.
func children(e *etree.Element, namespace, name string) []*etree.Element {
	var all []*etree.Element
	for _, c := range e.ChildElements() {
		if is(c, namespace, name) {
			all = append(all, c)
		}
	}
	return all
}

// only is the one element of a name directly below e, or nil if there is none.
func only(e *etree.Element, namespace, name string) (*etree.Element, error) {
	all := children(e, namespace, name)
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	}
	return nil, refuse(Malformed, "%s has several %s", e.Tag, name)
}

// needed is only, where there must be one.
func needed(e *etree.Element, namespace, name string) (*etree.Element, error) {
	c, err := only(e, namespace, name)
	if c == nil && err == nil {
		err = refuse(Malformed, "%s has no %s", e.Tag, name)
	}
	return c, err
}

// attr is an attribute without a namespace, or empty. A prefixed one of the same
// name is another attribute.
func attr(e *etree.Element, name string) string {
	for _, a := range e.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value
		}
	}
	return ""
}

// text is all text directly in e, comments passed over, without the white space
// around it. ok is false where there are elements in e.
func text(e *etree.Element) (s string, ok bool) {
	var b strings.Builder
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.CharData:
			b.WriteString(t.Data)
		case *etree.Element:
			return "", false
		}
	}
	return strings.Trim(b.String(), " \t\r\n"), true
}

// moment reads an attribute that is a time with its zone; zero where there is none.
func moment(e *etree.Element, name string) (time.Time, error) {
	s := attr(e, name)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, refuse(Malformed, "%s of %s is no time in UTC", name, e.Tag)
	}
	return t.UTC(), nil
}
