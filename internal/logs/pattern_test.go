package logs

import (
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, message string
		match            bool
	}{
		{"", "anything", true},
		{"ERROR", "an ERROR here", true},
		{"error", "an ERROR here", false},
		{"ERROR timeout", "timeout before ERROR", true},
		{"ERROR timeout", "ERROR only", false},
		{`"timed out"`, "it timed out", true},
		{`"timed out"`, "out timed", false},
		{`"say \"no\""`, `they say "no" again`, true},
		{"?ERROR ?WARN", "a WARN", true},
		{"?ERROR ?WARN", "an INFO", false},
		{"?ERROR INFO", "an INFO", true},
		{"ERROR -retry", "ERROR, will retry", false},
		{"ERROR -retry", "ERROR for good", true},
		{"-retry", "fine", true},
		{`-"will retry"`, "will retry", false},
		{"größe", "die größe", true},
	} {
		p, err := parsePattern(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
		} else if p.match(c.message) != c.match {
			t.Errorf("%q on %q: not %v", c.pattern, c.message, c.match)
		}
	}
	for _, pattern := range []string{
		"{ $.x = 1 }", "[a, b]", "%x+%", `"open`, `""`, "a.b", "?", "-", "?-x", "a|b", "x=1",
	} {
		if _, err := parsePattern(pattern); err == nil {
			t.Errorf("%q is taken", pattern)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"", "a -b ?c", `"x y" -"z\""`, "{ $.a }", "[x]", "%r%", `"`, "-?", "\x00 \xff"} {
		f.Add(seed, "a message")
	}
	f.Fuzz(func(t *testing.T, pattern, message string) {
		p, err := parsePattern(pattern)
		if err != nil {
			return
		}
		for _, term := range append(append(append([]string{}, p.all...), p.some...), p.none...) {
			if term == "" {
				t.Errorf("%q has an empty term", pattern)
			}
		}
		if p.match(message) {
			for _, term := range p.none {
				if strings.Contains(message, term) {
					t.Errorf("%q matches %q in spite of %q", pattern, message, term)
				}
			}
		}
	})
}

func FuzzPosition(f *testing.F) {
	f.Add(position{1, 2, 3}.String())
	f.Add(theEnd.String())
	f.Add("f/" + theStart.String())
	f.Add(strings.Repeat("9", 56))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePosition(text)
		if err == nil && p.String() != text {
			t.Errorf("%q is read as %v", text, p)
		}
	})
}
