package policy

import (
	"unicode"
	"unicode/utf8"

	"bawn.dev/internal/arn"
)

// A stringMatcher compares text: exactly, without regard to case, or with
// wildcards.
type stringMatcher struct {
	family         family
	allowVariables bool
	templates      []template
}

func (m *stringMatcher) add(v string) string {
	t, problem := compileTemplate(v, m.family == likeStrings, m.allowVariables)
	m.templates = append(m.templates, t)
	return problem
}

func (m *stringMatcher) variables(to []string) []string {
	for i := range m.templates {
		to = m.templates[i].keys(to)
	}
	return to
}

func (m *stringMatcher) match(ctx Context, v string) (matched, known bool) {
	known = true
	for i := range m.templates {
		var is, k bool
		if m.family == likeStrings {
			is, k = m.templates[i].match(ctx, v)
		} else {
			is, k = m.templates[i].equal(ctx, v, m.family == foldedStrings)
		}
		if is {
			return true, true
		}
		known = known && k
	}
	return false, known
}

// equalText compares two texts. With folding, letters match in either case, but
// an ASCII letter only ever matches an ASCII letter: Unicode would let the Kelvin
// sign pass for k and the long s for s.
func equalText[T string | []byte | arn.Glob](a T, b string, folding bool) bool {
	if !folding {
		return string(a) == b
	}
	for len(a) > 0 && len(b) > 0 {
		if a[0] < utf8.RuneSelf || b[0] < utf8.RuneSelf {
			if lower(a[0]) != lower(b[0]) {
				return false
			}
			a, b = a[1:], b[1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(string(a))
		q, m := utf8.DecodeRuneInString(b)
		if !equalRune(r, q) || r == utf8.RuneError && string(a[:n]) != b[:m] {
			return false
		}
		a, b = a[n:], b[m:]
	}
	return len(a) == 0 && len(b) == 0
}

// equalRune says whether two runes outside ASCII are one letter.
func equalRune(r, q rune) bool {
	if r == q {
		return true
	}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		if f == q {
			return true
		}
	}
	return false
}

// An arnMatcher compares names part by part. ArnEquals and ArnLike do the same.
type arnMatcher struct {
	allowVariables bool
	all            bool
	patterns       []resourcePattern
}

func (m *arnMatcher) add(v string) string {
	if v == "*" {
		m.all = true
		return ""
	}
	p, problem := compileARN(v, m.allowVariables)
	m.patterns = append(m.patterns, p)
	return problem
}

func (m *arnMatcher) variables(to []string) []string {
	for i := range m.patterns {
		to = m.patterns[i].keys(to)
	}
	return to
}

func (m *arnMatcher) match(ctx Context, v string) (matched, known bool) {
	if m.all {
		return true, true
	}
	parts, ok := arn.Split(v)
	if !ok {
		return false, false
	}
	known = true
	for i := range m.patterns {
		is, k := m.patterns[i].match(ctx, &parts)
		if is {
			return true, true
		}
		known = known && k
	}
	return false, known
}
