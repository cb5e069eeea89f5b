package arn

import "unicode/utf8"

// A Pattern is a compiled pattern for names, as in the Resource element of a
// policy: "*", or six parts, each compared by itself with the wildcards * and ?
// (IAM user guide, "ARN condition operators"). A wildcard never reaches over a
// colon, except in the resource part, which may hold colons. The zero Pattern
// matches nothing.
type Pattern struct {
	all   bool
	valid bool
	parts [6]Glob
}

// Compile prepares a pattern. One that is neither "*" nor made of six parts of
// which the first is "arn", or that is not UTF-8, gives a Pattern that matches
// nothing, and false.
func Compile(pattern string) (Pattern, bool) {
	if pattern == "*" {
		return Pattern{all: true, valid: true}, true
	}
	parts, ok := Split(pattern)
	if !ok || parts[0] != "arn" || !utf8.ValidString(pattern) {
		return Pattern{}, false
	}
	p := Pattern{valid: true}
	for i, s := range parts {
		p.parts[i] = CompileGlob(s)
	}
	return p, true
}

// Match says whether s is a name that the pattern covers.
func (p *Pattern) Match(s string) bool {
	if p.all {
		return p.valid
	}
	parts, ok := Split(s)
	return ok && p.MatchParts(&parts)
}

// MatchParts is Match for a name that Split has cut already.
func (p *Pattern) MatchParts(parts *[6]string) bool {
	if !p.valid {
		return false
	}
	if p.all {
		return true
	}
	for i := range parts {
		if !p.parts[i].Match(parts[i]) {
			return false
		}
	}
	return true
}

// Match says whether the name s is covered by pattern. It compiles the pattern
// on each call; use Compile where one pattern meets many names.
func Match(pattern, s string) bool {
	p, _ := Compile(pattern)
	return p.Match(s)
}
