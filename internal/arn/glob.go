package arn

import (
	"strings"
	"unicode/utf8"
)

// A Glob is a compiled wildcard pattern.
//
// Its wildcards are bytes that UTF-8 never contains, so literal text, an
// asterisk included, needs no escape: a Glob is made by joining literals with
// Any and One. Text that is put into a Glob as a literal must pass Literal.
type Glob string

// The wildcards of a Glob.
const (
	Any Glob = "\xff" // any run of characters, also none
	One Glob = "\xfe" // any one character
)

// Literal says whether s, put into a Glob, means itself: whether it is free of
// the bytes that a Glob uses for wildcards. Valid UTF-8 always is.
func Literal(s string) bool {
	return strings.IndexByte(s, Any[0]) < 0 && strings.IndexByte(s, One[0]) < 0
}

// CompileGlob reads the wildcards * and ? in pattern. A pattern that is not
// Literal matches nothing.
func CompileGlob(pattern string) Glob {
	if !Literal(pattern) {
		return never
	}
	b := []byte(pattern)
	for i, c := range b {
		switch c {
		case '*':
			b[i] = Any[0]
		case '?':
			b[i] = One[0]
		}
	}
	return Glob(b)
}

// never is the Glob that matches nothing, not even itself.
const never Glob = "\xfd"

// Exact says whether g holds no wildcard, and so matches only itself.
func (g Glob) Exact() bool { return Literal(string(g)) }

// Match says whether the whole of s matches.
func (g Glob) Match(s string) bool { return match(string(g), s, false) }

// MatchBytes is Glob(g).Match(s) for a Glob that was just joined in a buffer.
func MatchBytes(g []byte, s string) bool { return match(g, s, false) }

// MatchFold is Match without regard to the case of ASCII letters. Letters
// outside ASCII are compared as they are, so none of them (such as the Kelvin
// sign) can pass for an ASCII one.
func (g Glob) MatchFold(s string) bool { return match(string(g), s, true) }

// match is the usual two-pointer walk: on a mismatch it returns to the last Any
// and lets it take one character more.
func match[P string | []byte](p P, s string, fold bool) bool {
	if string(p) == string(never) {
		return false
	}
	i, j := 0, 0
	star, from := -1, 0
	for j < len(s) {
		if i < len(p) {
			switch c := p[i]; {
			case c == Any[0]:
				if i == len(p)-1 {
					return true
				}
				star, from = i, j
				i++
				continue
			case c == One[0]:
				i++
				j += width(s, j)
				continue
			case c == s[j] || fold && lower(c) == lower(s[j]):
				i++
				j++
				continue
			}
		}
		if star < 0 {
			return false
		}
		from += width(s, from)
		i, j = star+1, from
	}
	for i < len(p) && p[i] == Any[0] {
		i++
	}
	return i == len(p)
}

// width is the number of bytes of the character of s that begins at i.
func width(s string, i int) int {
	if s[i] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return n
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
