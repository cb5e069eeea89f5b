package arn

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]ARN{
		"arn:aws:s3:::bucket/a:b":                     {"aws", "s3", "", "", "bucket/a:b"},
		"arn:aws:iam::111122223333:role/team/train":   {"aws", "iam", "", "111122223333", "role/team/train"},
		"arn:aws-cn:kms:cn-north-1:111122223333:key/": {"aws-cn", "kms", "cn-north-1", "111122223333", "key/"},
	} {
		got, err := Parse(s)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v", s, got, err)
		}
		if got.String() != s {
			t.Errorf("%q prints as %q", s, got.String())
		}
	}
	for _, s := range []string{
		"", "arn", "arn:aws:s3::", "arn:aws:s3:::", "ARN:aws:s3:::b", "arn::s3:::b", "arn:aws::::b", "*",
		"arn:aws:s3:::a\nb", "arn:aws:s3:::a\x00", "arn:aws:s3:::" + strings.Repeat("x", MaxLength),
	} {
		if a, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %+v", s, a)
		}
	}
	if s := (ARN{}).String(); s != "" {
		t.Errorf("the zero ARN prints as %q", s)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "arn:aws:s3:::b", true},
		{"*", "anything", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/k", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b", false},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z", true},
		{"arn:aws:s3:::b?d", "arn:aws:s3:::bad", true},
		{"arn:aws:s3:::b?d", "arn:aws:s3:::bd", false},
		{"arn:aws:s3:::b?d", "arn:aws:s3:::bød", true},
		{"arn:aws:s3:::*??", "arn:aws:s3:::€", false},
		{"arn:aws:s3:::b", "arn:aws:s3:::B", false},
		{"arn:aws:iam::*:role/*", "arn:aws:iam::1:role/r", true},
		// A wildcard stays in its part: no name may smuggle parts of its own.
		{"arn:aws:*:role/*", "arn:aws:iam::1:role/r", false},
		{"arn:*", "arn:aws:s3:::b", false},
		{"arn:aws:s3:*:*:b", "arn:aws:s3:::x:b", false},
		{"arn:aws:iam::*:role/admin", "arn:aws:iam::1:user/x:role/admin", false},
		// A wildcard in the name is only a character.
		{"arn:aws:s3:::data", "arn:aws:s3:::*", false},
		{"arn:aws:s3:::d?ta", "arn:aws:s3:::d*ta", true},
		{"arn:aws:s3:::*", "*", false},
		{"", "", false},
	} {
		if got := Match(c.pattern, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
	if p := (&Pattern{}); p.Match("arn:aws:s3:::b") || p.MatchParts(&[6]string{}) {
		t.Error("the zero Pattern matches")
	}
	if _, ok := Compile("arn:aws:s3:::\xff"); ok {
		t.Error("a pattern that is not UTF-8 was compiled, though its bytes are a Glob's wildcards")
	}
}

func TestMatchFold(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"get*", "GetObject", true},
		{"GET?bject", "getobject", true},
		{"k", "\u212a", false}, // Kelvin sign
		{"s", "\u017f", false}, // long s
	} {
		if got := CompileGlob(c.pattern).MatchFold(c.s); got != c.want {
			t.Errorf("%q and %q: %v", c.pattern, c.s, got)
		}
	}
}

// A pattern made to make matching slow takes no more than its product of lengths.
func TestMatchIsNotExponential(t *testing.T) {
	pattern := "arn:aws:s3:::" + strings.Repeat("*a", 500) + "b"
	if Match(pattern, "arn:aws:s3:::"+strings.Repeat("a", 2000)) {
		t.Error("matched")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:s3:::bucket/key")
	f.Add("arn:aws:iam::111122223333:role/r")
	f.Add("arn::::::")
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := Parse(s); err == nil && a.String() != s {
			t.Errorf("%q prints as %q", s, a.String())
		}
	})
}

// FuzzGlob compares matching with regular expressions.
func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*??", "€")
	f.Add("**a*", "banana")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) || len(pattern) > 100 {
			return
		}
		expr := regexp.QuoteMeta(pattern)
		expr = strings.ReplaceAll(strings.ReplaceAll(expr, `\*`, `.*`), `\?`, `.`)
		want := regexp.MustCompile(`(?s)\A` + expr + `\z`).MatchString(s)
		if got := CompileGlob(pattern).Match(s); got != want {
			t.Errorf("%q and %q: got %v, want %v", pattern, s, got, want)
		}
	})
}

func BenchmarkPattern(b *testing.B) {
	p, _ := Compile("arn:aws:s3:::data/*/x.csv")
	b.ReportAllocs()
	for b.Loop() {
		p.Match("arn:aws:s3:::data/2026/11/22/x.csv")
	}
}
