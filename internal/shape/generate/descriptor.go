package main

import (
	"fmt"
	"regexp"
	"strings"
)

// descriptors writes Model and the functions that it calls.
func (g *generator) descriptors() ([]string, error) {
	var ops, opFuncs, typeNames []string
	for _, name := range sorted(g.Operations) {
		text, err := g.operation(name)
		if err != nil {
			return nil, err
		}
		ops = append(ops, "op"+exported(name)+"(),")
		opFuncs = append(opFuncs, text)
	}
	reached := g.reached()
	var simple strings.Builder
	var structs []string
	for _, name := range sorted(g.Shapes) {
		s := g.Shapes[name]
		if s.Exception || !reached[name] || strings.Contains(name, ".") {
			continue
		}
		text, err := g.typeText(name)
		if err != nil {
			return nil, err
		}
		if s.Type == "structure" && !s.Document {
			typeNames = append(typeNames, "type"+exported(name)+"(),")
			structs = append(structs, fmt.Sprintf("func type%s() *shape.Type {\nreturn &shape.Type%s\n}\n", exported(name), text))
		} else {
			simple.WriteString(text + ",\n")
		}
	}
	md := g.Metadata
	signing := md.SigningName
	if signing == "" {
		signing = md.EndpointPrefix
	}
	head := fmt.Sprintf(`// Model makes the descriptor of the API.
func Model() *shape.Service {
	types := append(scalars(), []*shape.Type{
		%s
	}...)
	return shape.Link(&shape.Service{
		Name: %q, ID: %q, Package: %q,
		SigningName: %q, EndpointPrefix: %q,
		Protocol: %q, JSONVersion: %q, TargetPrefix: %q,
		APIVersion: %q, XMLNamespace: %q,
		Operations: []*shape.Operation{
			%s
		},
		Errors: errors(),
	}, types...)
}
`, strings.Join(typeNames, "\n"), g.name, md.ServiceID, g.pkg, signing, md.EndpointPrefix, md.Protocol, md.JSONVersion,
		md.TargetPrefix, md.APIVersion, md.XMLNamespace, strings.Join(ops, "\n"))
	decls := []string{head, g.errors()}
	decls = append(decls, "func scalars() []*shape.Type {\nreturn []*shape.Type{\n"+simple.String()+"}\n}\n")
	decls = append(decls, opFuncs...)
	return append(decls, structs...), nil
}

func (g *generator) operation(name string) (string, error) {
	op := g.Operations[name]
	var b strings.Builder
	fmt.Fprintf(&b, "func op%s() *shape.Operation {\nreturn &shape.Operation{\n", exported(name))
	fmt.Fprintf(&b, "Name: %q, Method: %q, URI: %q,", name, op.HTTP.Method, op.HTTP.RequestURI)
	if op.HTTP.ResponseCode != 0 && op.HTTP.ResponseCode != 200 {
		fmt.Fprintf(&b, " Status: %d,", op.HTTP.ResponseCode)
	}
	if op.Output != nil && op.Output.ResultWrapper != "" {
		fmt.Fprintf(&b, " ResultWrapper: %q,", op.Output.ResultWrapper)
	}
	b.WriteString("\n")
	for _, side := range []struct {
		label string
		ref   *ref
	}{{"Input", op.Input}, {"Output", op.Output}} {
		if side.ref == nil {
			fmt.Fprintf(&b, "%s: &shape.Struct{Name: %q},\n", side.label, exported(name)+side.label)
			continue
		}
		text, err := g.structText(side.ref.Shape, side.ref)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s: &shape.Struct%s,\n", side.label, text)
		for _, r := range g.Shapes[side.ref.Shape].Members {
			if r.Streaming || g.Shapes[r.Shape].Streaming {
				fmt.Fprintf(&b, "Streaming%s: true,\n", map[string]string{"Input": "In", "Output": "Out"}[side.label])
			}
		}
	}
	if len(op.Errors) > 0 {
		fmt.Fprintf(&b, "Errors: %s,\n", goStrings(op.Errors))
	}
	if len(op.Advisory) > 0 {
		fmt.Fprintf(&b, "Advisory: %s,\n", goStrings(op.Advisory))
	}
	fmt.Fprintf(&b, "NewInput: func() any { return new(%sInput) },\nNewOutput: func() any { return new(%sOutput) },\n}\n}\n", exported(name), exported(name))
	return b.String(), nil
}

func goStrings(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "[]string{" + strings.Join(quoted, ", ") + "}"
}

func (g *generator) errors() string {
	var b strings.Builder
	b.WriteString("func errors() map[string]*shape.Error {\nreturn map[string]*shape.Error{\n")
	for _, name := range sorted(g.Shapes) {
		s := g.Shapes[name]
		if !s.Exception {
			continue
		}
		code, status, server := name, 400, s.Fault
		if s.Error != nil {
			if s.Error.Code != "" {
				code = s.Error.Code
			}
			status = s.Error.HTTPStatusCode
			server = server || s.Error.SenderFault != nil && !*s.Error.SenderFault || status >= 500
		}
		if status == 0 || s.Error == nil && server {
			status = map[bool]int{false: 400, true: 500}[server]
		}
		fmt.Fprintf(&b, "%q: {Name: %q, Code: %q, Status: %d, Server: %t", name, name, code, status, server)
		var members []string
		for _, m := range sorted(s.Members) {
			if strings.EqualFold(m, "message") {
				fmt.Fprintf(&b, ", Message: %q", m)
			} else {
				members = append(members, m)
			}
		}
		if members != nil {
			b.WriteString(", Members: " + goStrings(members))
		}
		b.WriteString("},\n")
	}
	b.WriteString("}\n}\n")
	return b.String()
}

var kinds = map[string]string{
	"string": "String", "character": "String", "boolean": "Boolean", "integer": "Integer", "long": "Long", "float": "Float",
	"double": "Double", "blob": "Blob", "timestamp": "Timestamp", "list": "List", "map": "Map", "structure": "Structure",
}

var timeFormats = map[string]string{"iso8601": "ISO8601", "rfc822": "RFC822", "unixTimestamp": "UnixTime"}

// typeText writes the composite literal of a type, without the type's name before it.
func (g *generator) typeText(name string) (string, error) {
	s := g.Shapes[name]
	kind := kinds[s.Type]
	if s.Document {
		kind = "Any"
	}
	if kind == "" {
		return "", fmt.Errorf("%s: unknown type %q", name, s.Type)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{Name: %q, Kind: shape.%s", name, kind)
	if s.Min != "" && kind != "Any" {
		fmt.Fprintf(&b, ", Min: shape.Int(%s)", s.Min)
	}
	if s.Max != "" && kind != "Any" {
		fmt.Fprintf(&b, ", Max: shape.Int(%s)", s.Max)
	}
	if s.Pattern != "" {
		p := pattern(s.Pattern)
		if _, err := regexp.Compile(`\A(?:` + p + `)\z`); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(&b, ", Pattern: %q", p)
	}
	if len(s.Enum) > 0 {
		b.WriteString(", Enum: " + goStrings(s.Enum))
	}
	if s.Sensitive {
		b.WriteString(", Sensitive: true")
	}
	if s.Flattened {
		b.WriteString(", Flattened: true")
	}
	if s.TimestampFormat != "" {
		fmt.Fprintf(&b, ", Time: shape.%s", timeFormats[s.TimestampFormat])
	}
	elem := s.Member
	if elem == nil {
		elem = s.Value
	}
	if elem != nil {
		fmt.Fprintf(&b, ", ElemName: %q", elem.Shape)
		if elem.LocationName != "" {
			fmt.Fprintf(&b, ", ElemWire: %q", elem.LocationName)
		}
	}
	if s.Key != nil {
		fmt.Fprintf(&b, ", KeyName: %q", s.Key.Shape)
		if s.Key.LocationName != "" {
			fmt.Fprintf(&b, ", KeyWire: %q", s.Key.LocationName)
		}
	}
	if s.Type == "structure" && !s.Document {
		text, err := g.structText(name, nil)
		if err != nil {
			return "", err
		}
		if s.Union {
			b.WriteString(", Union: true")
		}
		b.WriteString(", Struct: &shape.Struct" + text)
	}
	return b.String() + "}", nil
}

var locations = map[string]string{
	"": "Body", "header": "Header", "headers": "HeaderPrefix", "querystring": "QueryString", "uri": "Label", "statusCode": "StatusCode",
}

func (g *generator) structText(name string, top *ref) (string, error) {
	s := g.Shapes[name]
	var b strings.Builder
	fmt.Fprintf(&b, "{Name: %q", structName(name))
	if s.Payload != "" && s.Members[s.Payload] != nil {
		fmt.Fprintf(&b, ", Payload: %q", s.Payload)
	}
	root, ns := s.LocationName, (*xmlNamespace)(nil)
	if top != nil && top.LocationName != "" {
		root, ns = top.LocationName, top.XMLNamespace
	}
	if root != "" {
		fmt.Fprintf(&b, ", XMLName: %q", root)
	}
	if ns != nil {
		fmt.Fprintf(&b, ", XMLNS: %q", ns.URI)
	}
	b.WriteString(", Fields: []shape.Field{\n")
	for _, m := range sorted(s.Members) {
		text, err := g.fieldText(s, m)
		if err != nil {
			return "", fmt.Errorf("%s.%s: %w", name, m, err)
		}
		b.WriteString(text + ",\n")
	}
	b.WriteString("}")
	if len(s.Refused) > 0 && !strings.HasSuffix(name, ".output") {
		b.WriteString(", Refused: []shape.Refused{\n")
		for _, r := range s.Refused {
			wire := r.LocationName
			if wire == "" {
				wire = r.Name
			}
			fmt.Fprintf(&b, "{Name: %q, Location: shape.%s, Wire: %q},\n", r.Name, locations[r.Location], wire)
		}
		b.WriteString("}")
	}
	return b.String() + "}", nil
}

func (g *generator) fieldText(s *shapeDef, member string) (string, error) {
	r := s.Members[member]
	t := g.Shapes[r.Shape]
	location, ok := locations[r.Location]
	if !ok {
		return "", fmt.Errorf("unknown location %q", r.Location)
	}
	if member == s.Payload {
		location = "Payload"
	}
	wire := r.LocationName
	if wire == "" {
		wire = member
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{Name: %q, GoName: %q, TypeName: %q, Location: shape.%s, Wire: %q", member, exported(member), r.Shape, location, wire)
	if q := r.queryName(member); g.Metadata.Protocol == "ec2" && q != wire {
		fmt.Fprintf(&b, ", Query: %q", q)
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"Required", g.required(s, member)}, {"Token", r.IdempotencyToken}, {"Flattened", r.Flattened || t.Flattened},
		{"Attribute", r.XMLAttribute}, {"Streaming", r.Streaming || t.Streaming}, {"JSONInValue", r.JSONValue},
	} {
		if flag.set {
			fmt.Fprintf(&b, ", %s: true", flag.name)
		}
	}
	if r.XMLNamespace != nil {
		fmt.Fprintf(&b, ", Namespace: %q, NSPrefix: %q", r.XMLNamespace.URI, r.XMLNamespace.Prefix)
	}
	format := r.TimestampFormat
	if format == "" {
		format = t.TimestampFormat
	}
	if format != "" {
		if timeFormats[format] == "" {
			return "", fmt.Errorf("unknown timestamp format %q", format)
		}
		fmt.Fprintf(&b, ", TimeFormat: shape.%s", timeFormats[format])
	}
	return b.String() + "}", nil
}

// queryName is the member's name in an EC2 form: its own query name, else the capitalized element name.
func (r *ref) queryName(member string) string {
	switch {
	case r.QueryName != "":
		return r.QueryName
	case r.LocationName != "":
		return exported(r.LocationName)
	}
	return member
}
