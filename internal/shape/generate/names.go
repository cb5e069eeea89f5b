package main

import (
	"regexp"
	"strings"
	"unicode"
)

func exported(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// structName names the Go struct of a structure: <Operation>Input and <Operation>Output, else the shape's own name.
func structName(shape string) string {
	if op, ok := strings.CutSuffix(shape, ".input"); ok {
		return exported(op) + "Input"
	}
	if op, ok := strings.CutSuffix(shape, ".output"); ok {
		return exported(op) + "Output"
	}
	return exported(shape)
}

// constName names an enum's value: the type's name and the value in camel case.
func constName(kind, value string) string {
	var b strings.Builder
	up := true
	shout := value == strings.ToUpper(value) && strings.ContainsFunc(value, unicode.IsLetter)
	for _, r := range value {
		switch {
		case r == '_' && shout, r == '-', r == ':', r == '.', r == '/', r == ' ', r == '_', r == '*', r == '(', r == ')':
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(r))
			up = false
		case shout:
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(r)
		}
	}
	return exported(kind) + b.String()
}

var (
	javaEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)
	bigRepeat  = regexp.MustCompile(`\{(\d+),(\d{4,})\}`)
)

// pattern turns a model's regular expression into Go's syntax. RE2 has no repeat beyond 1,000; such a bound becomes "any number",
// which the type's maximum length still limits.
func pattern(p string) string {
	// Java's \u takes four digits; the models mean the supplementary planes here.
	p = strings.ReplaceAll(p, `\u10000-\u10FFFF`, `\x{10000}-\x{10FFFF}`)
	p = javaEscape.ReplaceAllString(p, `\x{$1}`)
	return bigRepeat.ReplaceAllString(p, `{$1,}`)
}
