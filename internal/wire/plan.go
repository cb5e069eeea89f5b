package wire

import (
	"fmt"
	"net/textproto"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"bawn.dev/internal/shape"
)

// operation is an operation with what reflection and regular expressions cost worked out once, when the router is built.
type operation struct {
	*shape.Operation
	service *service
	in, out *structure
	inType  reflect.Type // of the pointer that Decode takes
	outType reflect.Type // of the pointer that Encode takes
	route   route
	page    bool // the answer is a page of a list
}

// structure is the plan of a struct: where each member comes from and which Go field takes it.
type structure struct {
	*shape.Struct
	fields   []field
	union    bool
	payload  *field
	typed    *field         // of an XML document: that of its type attribute
	body     map[string]int // by JSON member or XML element
	query    map[string]int // by form name
	headers  map[string]int // by canonical header
	args     map[string]int // by query string key
	refused  map[string]string
	noHeader map[string]string // refused members that travel in headers
	noArg    map[string]string // and in the query string
	ignored  map[string]bool   // advisory members
	prefixes []int             // fields that are maps of headers
}

type field struct {
	*shape.Field
	index int
	value *value
	path  string // the name as AWS's constraint messages write it
}

// value is the plan of a type.
type value struct {
	*shape.Type
	pattern *regexp.Regexp
	enum    map[string]bool
	elem    *value
	key     *value
	fields  *structure
}

// planner compiles descriptors, each type once, so that recursive types end.
type planner struct {
	protocol shape.Protocol
	types    map[*shape.Type]*value
}

func (p *planner) value(t *shape.Type, g reflect.Type) (*value, error) {
	if v := p.types[t]; v != nil {
		return v, nil
	}
	v := &value{Type: t}
	p.types[t] = v
	if g.Kind() == reflect.Pointer {
		g = g.Elem()
	}
	if t.Pattern != "" {
		var err error
		if v.pattern, err = regexp.Compile(`\A(?:` + t.Pattern + `)\z`); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	if len(t.Enum) > 0 {
		v.enum = make(map[string]bool, len(t.Enum))
		for _, e := range t.Enum {
			v.enum[e] = true
		}
	}
	if !slices.Contains(goKinds(t.Kind), g.Kind()) {
		return nil, fmt.Errorf("%s: the Go type %s does not fit", t.Name, g)
	}
	var err error
	switch t.Kind {
	case shape.List:
		v.elem, err = p.value(t.Elem, g.Elem())
	case shape.Map:
		if v.key, err = p.value(t.Key, g.Key()); err == nil {
			v.elem, err = p.value(t.Elem, g.Elem())
		}
	case shape.Structure:
		v.fields, err = p.structure(t.Struct, g)
		if err == nil {
			v.fields.union = t.Union
		}
	}
	return v, err
}

// goKinds are the kinds of Go types that hold a kind of value.
func goKinds(k shape.Kind) []reflect.Kind {
	switch k {
	case shape.String:
		return []reflect.Kind{reflect.String}
	case shape.Boolean:
		return []reflect.Kind{reflect.Bool}
	case shape.Integer:
		return []reflect.Kind{reflect.Int32}
	case shape.Long:
		return []reflect.Kind{reflect.Int64}
	case shape.Float, shape.Double:
		return []reflect.Kind{reflect.Float64}
	case shape.Blob:
		return []reflect.Kind{reflect.Slice, reflect.Interface}
	case shape.List, shape.Any:
		return []reflect.Kind{reflect.Slice}
	case shape.Map:
		return []reflect.Kind{reflect.Map}
	case shape.Structure, shape.Timestamp:
		return []reflect.Kind{reflect.Struct}
	}
	return nil
}

func (p *planner) structure(s *shape.Struct, g reflect.Type) (*structure, error) {
	if g.NumField() != len(s.Fields) {
		return nil, fmt.Errorf("%s: the Go struct has %d fields, the descriptor %d", s.Name, g.NumField(), len(s.Fields))
	}
	st := &structure{
		Struct: s, fields: make([]field, len(s.Fields)),
		body: map[string]int{}, query: map[string]int{}, headers: map[string]int{}, args: map[string]int{},
		refused: map[string]string{}, noHeader: map[string]string{}, noArg: map[string]string{},
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if g.Field(i).Name != f.GoName {
			return nil, fmt.Errorf("%s: Go field %d is %s, the descriptor says %s", s.Name, i, g.Field(i).Name, f.GoName)
		}
		if f.JSONInValue {
			return nil, fmt.Errorf("%s.%s: JSON in headers is not supported", s.Name, f.Name)
		}
		if f.Attribute && f.Wire != typeAttribute {
			return nil, fmt.Errorf("%s.%s: of attributes only %s is supported", s.Name, f.Name, typeAttribute)
		}
		v, err := p.value(f.Type, g.Field(i).Type)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", s.Name, f.Name, err)
		}
		st.fields[i] = field{Field: f, index: i, value: v, path: lowerFirst(f.Name)}
		st.place(i, p.protocol)
	}
	for _, r := range s.Refused {
		switch r.Location {
		case shape.Header, shape.HeaderPrefix:
			st.noHeader[textproto.CanonicalMIMEHeaderKey(r.Wire)] = r.Name
		case shape.QueryString:
			st.noArg[r.Wire] = r.Name
		default:
			st.refused[r.Wire] = r.Name
			st.refused[upperFirst(r.Wire)] = r.Name // as EC2's forms write it
		}
	}
	return st, nil
}

// place enters a field into the map of its location.
func (st *structure) place(i int, protocol shape.Protocol) {
	f := &st.fields[i]
	if f.Attribute {
		st.typed = f
		return
	}
	switch f.Location {
	case shape.Body:
		st.body[f.Wire] = i
		name := f.Wire
		if protocol == shape.EC2 && f.Query != "" {
			name = f.Query
		}
		st.query[name] = i
	case shape.Header:
		st.headers[textproto.CanonicalMIMEHeaderKey(f.Wire)] = i
	case shape.HeaderPrefix:
		st.prefixes = append(st.prefixes, i)
	case shape.QueryString:
		st.args[f.Wire] = i
	case shape.Payload:
		st.payload = f
	}
}

// isPage tells whether an answer is a page of a list: its lists are written even when they are empty, as clients expect.
func (st *structure) isPage() bool {
	for i := range st.fields {
		switch strings.ToLower(st.fields[i].Name) {
		case "nexttoken", "nextmarker", "marker", "istruncated", "continuationtoken":
			return true
		}
	}
	return false
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
