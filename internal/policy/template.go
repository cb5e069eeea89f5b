package policy

import (
	"strings"

	"bawn.dev/internal/arn"
)

// A template is text with wildcards and policy variables, compiled. Without
// variables it is one Glob; with them it is joined anew for each request, with
// values as literals: nothing in a value acts as a wildcard.
type template struct {
	glob  arn.Glob // whole text, where pieces is nil
	exact bool     // glob has no wildcard
	// pieces are joined in order; prefix is the literal text before the first
	// wildcard or variable, for a quick no.
	pieces []piece
	prefix string
}

// maxPattern bounds what one comparison can cost: matching takes at most as many
// steps as pattern and value have bytes, multiplied.
const maxPattern = arn.MaxLength

// A piece is text, or a variable with an optional default.
type piece struct {
	glob       arn.Glob
	key        string // of the variable; lower case; empty for text
	written    string // the key as written
	deflt      string
	hasDefault bool
}

// compileTemplate reads s. With globs, * and ? are wildcards; with variables,
// ${…} is read as the language's newer version does. The second result says what
// is wrong, and is empty where nothing is.
func compileTemplate(s string, globs, variables bool) (t template, problem string) {
	if len(s) > maxPattern {
		return template{}, "is longer than 2,048 bytes, which no name is"
	}
	var text []byte
	flush := func() {
		if len(text) > 0 {
			t.pieces = append(t.pieces, piece{glob: arn.Glob(text)})
			text = nil
		}
	}
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case variables && strings.HasPrefix(s[i:], "${"):
			p, n, problem := readVariable(s[i:])
			if problem != "" {
				return template{}, problem
			}
			i += n
			if p.key == "" {
				text = append(text, p.glob...)
				continue
			}
			flush()
			t.pieces = append(t.pieces, p)
			continue
		case globs && c == '*':
			text = append(text, arn.Any...)
		case globs && c == '?':
			text = append(text, arn.One...)
		default:
			text = append(text, c)
		}
		i++
	}
	flush()
	switch {
	case len(t.pieces) == 0:
		return template{exact: true}, ""
	case len(t.pieces) == 1 && t.pieces[0].key == "":
		g := t.pieces[0].glob
		return template{glob: g, exact: g.Exact()}, ""
	}
	if first := t.pieces[0]; first.key == "" {
		t.prefix = string(first.glob)
		for _, wildcard := range []string{arn.Any, arn.One} {
			t.prefix, _, _ = strings.Cut(t.prefix, wildcard)
		}
	}
	return t, ""
}

// readVariable reads the variable at the beginning of s: ${key}, ${key,
// 'default'}, or one of the escapes ${*}, ${?} and ${$}, which give text. It
// returns the length of what it read.
func readVariable(s string) (p piece, n int, problem string) {
	body := s[2:]
	if len(body) >= 2 && body[1] == '}' && strings.IndexByte("*?$", body[0]) >= 0 {
		return piece{glob: arn.Glob(body[:1])}, 4, ""
	}
	end := strings.IndexAny(body, "},")
	if end < 0 {
		return p, 0, "has a policy variable that does not end; close it with }, or write ${$} for a dollar sign before a brace"
	}
	key := body[:end]
	switch {
	case key == "":
		return p, 0, "has an empty policy variable; name a condition key in it"
	case strings.ContainsAny(key, " ${'*?"):
		return p, 0, "has a policy variable with a character that condition keys lack in variables"
	case !validKey(key):
		return p, 0, "has a policy variable that is no condition key; write it as ${service:key}"
	}
	p.key, p.written = fold(key), key
	if body[end] == '}' {
		return p, 2 + end + 1, ""
	}
	rest := strings.TrimLeft(body[end+1:], " ")
	value, after, ok := strings.Cut(strings.TrimPrefix(rest, "'"), "'")
	after = strings.TrimLeft(after, " ")
	if !ok || !strings.HasPrefix(rest, "'") || !strings.HasPrefix(after, "}") {
		return p, 0, "has a policy variable whose default is not in single quotes; write ${key, 'default'}"
	}
	p.deflt, p.hasDefault = value, true
	return p, len(s) - len(after) + 1, ""
}

// validKey says whether s has the form of a condition key, prefix:name. The prefix
// is a service's, or the host and path of an identity provider. Names may be those
// of tags or encryption contexts, and hold nearly anything.
func validKey(s string) bool {
	prefix, name, ok := strings.Cut(s, ":")
	if !ok || prefix == "" || name == "" || len(s) > 512 {
		return false
	}
	host, path, _ := strings.Cut(prefix, "/")
	if path != "" && !strings.Contains(host, ".") {
		return false
	}
	for i, c := range []byte(prefix) {
		if c = lower(c); !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || i >= len(host) && strings.IndexByte("/_~%", c) >= 0) {
			return false
		}
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] == 0x7f {
			return false
		}
	}
	return true
}

// keys appends the condition keys of the variables, as written.
func (t *template) keys(to []string) []string {
	for _, p := range t.pieces {
		if p.key != "" {
			to = append(to, p.written)
		}
	}
	return to
}

// join appends the text with the variables' values to b. AWS replaces variables of
// single-valued keys only; one that has no value, several, or one that cannot
// stand as a literal could be anything, and becomes a wildcard: then known is
// false.
func (t *template) join(b []byte, ctx Context) (joined []byte, known bool) {
	known = true
	for i := range t.pieces {
		p := &t.pieces[i]
		if p.key == "" {
			b = append(b, p.glob...)
			continue
		}
		values := ctx[p.key]
		switch {
		case len(values) == 1 && arn.Literal(values[0]):
			b = append(b, values[0]...)
		case len(values) == 0 && p.hasDefault:
			b = append(b, p.deflt...)
		default:
			b, known = append(b, arn.Any...), false
		}
	}
	return b, known
}

// match compares s with the template, its wildcards included. Known is false if
// that hangs on a variable without a value.
func (t *template) match(ctx Context, s string) (matched, known bool) {
	switch {
	case t.pieces == nil && t.exact:
		return string(t.glob) == s, true
	case t.pieces == nil:
		return t.glob.Match(s), true
	case !strings.HasPrefix(s, t.prefix):
		return false, true
	}
	var buf [256]byte
	b, known := t.join(buf[:0], ctx)
	matched = arn.Glob(b).Match(s)
	return matched && known, known || !matched
}

// equal compares s with the text of a template without wildcards, with or
// without regard to case.
func (t *template) equal(ctx Context, s string, folding bool) (is, known bool) {
	if t.pieces == nil {
		return equalText(t.glob, s, folding), true
	}
	var buf [256]byte
	b, known := t.join(buf[:0], ctx)
	if known {
		return equalText(b, s, folding), true
	}
	return false, !folding && !arn.Glob(b).Match(s)
}
