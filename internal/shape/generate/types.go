package main

import (
	"fmt"
	"strings"
)

// typeDecls writes the Go structs and enums.
func (g *generator) typeDecls() ([]string, error) {
	var decls []string
	for _, name := range sorted(g.Operations) {
		for _, side := range []string{"Input", "Output"} {
			if g.Shapes[name+"."+strings.ToLower(side)] == nil {
				decls = append(decls, fmt.Sprintf("%stype %s%s struct{}\n", sideDoc(name, side), exported(name), side))
			}
		}
	}
	for _, name := range g.structures() {
		d, err := g.structDecl(name)
		if err != nil {
			return nil, err
		}
		decls = append(decls, d)
	}
	reached := g.reached()
	for _, name := range sorted(g.Shapes) {
		if s := g.Shapes[name]; s.Type == "string" && len(s.Enum) > 0 && reached[name] {
			decls = append(decls, enumDecl(name, s))
		}
	}
	return decls, nil
}

func sideDoc(op, side string) string {
	verb := "takes"
	if side == "Output" {
		verb = "answers"
	}
	return fmt.Sprintf("// %s%s is what %s %s.\n", exported(op), side, op, verb)
}

func (g *generator) structDecl(name string) (string, error) {
	s := g.Shapes[name]
	var b strings.Builder
	if op, side, ok := strings.Cut(name, "."); ok {
		b.WriteString(sideDoc(op, exported(side)))
	} else {
		fmt.Fprintf(&b, "// %s is a structure of the API.\n", structName(name))
	}
	if len(s.Refused) > 0 && strings.HasSuffix(name, ".input") {
		var refused []string
		for _, r := range s.Refused {
			refused = append(refused, r.Name)
		}
		b.WriteString("// Refused by name: " + strings.Join(refused, ", ") + ".\n")
	}
	fmt.Fprintf(&b, "type %s struct {\n", structName(name))
	for _, m := range sorted(s.Members) {
		kind, err := g.goField(name, m)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\t%s %s%s\n", exported(m), kind, g.remark(name, m))
	}
	b.WriteString("}\n")
	return b.String(), nil
}

// remark says in a comment what the Go type does not: required, sensitive.
func (g *generator) remark(name, member string) string {
	s := g.Shapes[name]
	var words []string
	if g.required(s, member) {
		words = append(words, "required")
	}
	t := g.Shapes[s.Members[member].Shape]
	if t.Sensitive {
		words = append(words, "sensitive")
	}
	if s.Members[member].IdempotencyToken {
		words = append(words, "idempotency token")
	}
	if len(words) == 0 {
		return ""
	}
	return " // " + strings.Join(words, ", ")
}

func (g *generator) required(s *shapeDef, member string) bool {
	for _, r := range s.Required {
		if r == member {
			return true
		}
	}
	return false
}

func (g *generator) goField(owner, member string) (string, error) {
	s := g.Shapes[owner]
	r := s.Members[member]
	t := g.Shapes[r.Shape]
	if r.Streaming || t.Streaming {
		if strings.HasSuffix(owner, ".input") {
			return "io.Reader", nil
		}
		return "io.ReadCloser", nil
	}
	kind, err := g.goType(r.Shape)
	if err != nil {
		return "", err
	}
	switch t.Type {
	case "structure":
		if !t.Document {
			kind = "*" + kind
		}
	case "string":
		if r.Given {
			kind = "*" + kind
		}
	case "integer", "long", "float", "double", "boolean":
		if !g.required(s, member) {
			kind = "*" + kind
		}
	}
	return kind, nil
}

func (g *generator) goType(name string) (string, error) {
	t := g.Shapes[name]
	if t.Document {
		return "shape.Document", nil
	}
	switch t.Type {
	case "string":
		if len(t.Enum) > 0 {
			return exported(name), nil
		}
		return "string", nil
	case "character":
		return "string", nil
	case "boolean":
		return "bool", nil
	case "integer":
		return "int32", nil
	case "long":
		return "int64", nil
	case "float", "double":
		return "float64", nil
	case "blob":
		return "[]byte", nil
	case "timestamp":
		return "time.Time", nil
	case "structure":
		return structName(name), nil
	case "list":
		elem, err := g.goType(t.Member.Shape)
		return "[]" + elem, err
	case "map":
		key, err := g.goType(t.Key.Shape)
		if err != nil {
			return "", err
		}
		elem, err := g.goType(t.Value.Shape)
		return "map[" + key + "]" + elem, err
	}
	return "", fmt.Errorf("%s: no Go type for %q", name, t.Type)
}

func enumDecl(name string, s *shapeDef) string {
	var b strings.Builder
	fmt.Fprintf(&b, "// %s is an enumeration of the API.\ntype %s string\n\n// The values of %s.\nconst (\n", exported(name), exported(name), exported(name))
	seen := map[string]bool{}
	for _, v := range s.Enum {
		c := constName(name, v)
		if v == "" || seen[c] {
			continue
		}
		seen[c] = true
		fmt.Fprintf(&b, "\t%s %s = %q\n", c, exported(name), v)
	}
	b.WriteString(")\n")
	return b.String()
}
