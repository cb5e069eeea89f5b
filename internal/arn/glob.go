package arn

import (
	"strings"
	"unicode/utf8"
)

// A Glob is a compiled wildcard pattern.
//
// Its wildcards are bytes that UTF-8 never contains, so literal text, an
// asterisk included, needs no escape: a Glob is made by appending literals, Any
// and One. Text that is put into a Glob as a literal must pass Literal. The zero
// Glob matches the empty string.
type Glob []byte

// The wildcards of a Glob.
const (
	Any = "\xff" // any run of characters, also none
	One = "\xfe" // any one character
)

// Literal says whether s, put into a Glob, means itself: whether it is free of
// the bytes that a Glob uses for wildcards. Valid UTF-8 always is.
func Literal(s string) bool {
	return strings.IndexByte(s, Any[0]) < 0 && strings.IndexByte(s, One[0]) < 0
}

// CompileGlob reads the wildcards * and ? in pattern, which must be Literal: in
// another one, bytes that are not UTF-8 act as wildcards too.
func CompileGlob(pattern string) Glob {
	g := Glob(pattern)
	for i, c := range g {
		switch c {
		case '*':
			g[i] = Any[0]
		case '?':
			g[i] = One[0]
		}
	}
	return g
}

// Exact says whether g holds no wildcard, and so matches only itself.
func (g Glob) Exact() bool { return Literal(string(g)) }

// Match says whether the whole of s matches.
func (g Glob) Match(s string) bool { return match(g, s, false) }

// MatchFold is Match without regard to the case of ASCII letters. Letters
// outside ASCII are compared as they are, so none of them (such as the Kelvin
// sign) can pass for an ASCII one.
func (g Glob) MatchFold(s string) bool { return match(g, s, true) }

// match is the usual two-pointer walk: on a mismatch it returns to the last Any
// and lets it take one character more.
func match(p Glob, s string, fold bool) bool {
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
