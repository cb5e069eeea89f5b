package policy

import (
	"strings"

	"bawn.dev/internal/arn"
)

// resources is a Resource or NotResource element.
type resources struct {
	not      bool
	all      bool // "*" is among the patterns
	patterns []resourcePattern
	keys     []string // of the variables, in lower case
}

// A resourcePattern holds the six parts of a name. They are cut before variables
// are replaced, so that a colon in a value cannot shift text into another part.
type resourcePattern struct {
	parts [6]template
	text  string
}

// resource compiles one pattern. It asks for all six parts: AWS would complete a
// shorter one with wildcards, which is seldom what its author meant.
func (c *compiler) resource(t text, to *resources) error {
	if t.s == "*" {
		to.all = true
		return nil
	}
	p, problem := compileARN(t.s, c.variables)
	if problem != "" {
		return c.src.fault(t.at, "resource %q %s", t.s, problem)
	}
	to.patterns = append(to.patterns, p)
	to.keys = append(to.keys, foldAll(p.keys(nil))...)
	return nil
}

// keys appends the condition keys of the variables, as written.
func (p *resourcePattern) keys(to []string) []string {
	for i := range p.parts {
		to = p.parts[i].keys(to)
	}
	return to
}

// compileARN reads a pattern of six parts.
func compileARN(s string, variables bool) (p resourcePattern, problem string) {
	parts, ok := cutOutsideVariables(s, variables)
	if !ok || parts[0] != "arn" || parts[5] == "" {
		return p, `must be "*" or a name of six parts, arn:partition:service:region:account:resource`
	}
	p.text = s
	for i := range parts {
		if p.parts[i], problem = compileTemplate(parts[i], true, variables); problem != "" {
			return p, problem
		}
	}
	return p, ""
}

// cutOutsideVariables is arn.Split, but for colons within ${…}.
func cutOutsideVariables(s string, variables bool) (parts [6]string, ok bool) {
	n, from := 0, 0
	for i := 0; i < len(s) && n < 5; i++ {
		if variables && strings.HasPrefix(s[i:], "${") {
			if _, length, problem := readVariable(s[i:]); problem == "" {
				i += length - 1
				continue
			}
		}
		if s[i] == ':' {
			parts[n] = s[from:i]
			n, from = n+1, i+1
		}
	}
	parts[n] = s[from:]
	return parts, n == 5
}

// match compares a name's parts. A name that has no six parts matches no pattern.
func (p *resourcePattern) match(ctx Context, parts *[6]string) (matched, known bool) {
	known = true
	for i := range parts {
		m, k := p.parts[i].match(ctx, parts[i])
		if k && !m {
			return false, true
		}
		known = known && k
	}
	return known, known
}

// match says whether the element covers the request's resource. A variable
// without a value matches nothing; that must not turn NotResource of an Allow
// into "everything", so there it fails too.
func (r *resources) match(e *env, deny bool) bool {
	if r.all {
		return !r.not
	}
	if e.unknownKey(r.keys) {
		return deny
	}
	doubt := false
	if e.named {
		for i := range r.patterns {
			m, known := r.patterns[i].match(e.in.Context, &e.parts)
			if m {
				return !r.not
			}
			doubt = doubt || !known
		}
	}
	return r.not && (deny || !doubt)
}

// env is a request prepared for statements.
type env struct {
	in     *Input
	action action
	parts  [6]string // of the resource
	named  bool      // the resource has six parts
}

func newEnv(in *Input) (e env, ok bool) {
	e.in = in
	e.action, ok = cutAction(in.Action)
	e.parts, e.named = arn.Split(in.Resource)
	return e, ok && in.Resource != ""
}

// unknownAction says whether the catalogue misses the request's action.
func (e *env) unknownAction() bool {
	return e.in.Catalogue != nil && !e.in.Catalogue.KnownAction(e.in.Action)
}

// unknownKey says whether the catalogue misses one of the keys.
func (e *env) unknownKey(keys []string) bool {
	if e.in.Catalogue == nil {
		return false
	}
	for _, k := range keys {
		if !e.in.Catalogue.KnownKey(k) {
			return true
		}
	}
	return false
}
