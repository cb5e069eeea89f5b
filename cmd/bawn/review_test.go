package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"bawn.dev/internal/server"
)

// hostile are names that would clear the auditor's screen, set its title, add a
// line of their own, hide by direction, or use the one-byte forms of escapes.
var hostile = []string{
	"\x1b[2J\x1b[1;1Hnothing happened", "\x1b]0;title\x07", "a\n2026-01-01 00:00:00  ann  ok", "a\tb\rc",
	"\u009b2J", "\u202egpj.exe", "\x7f", "\xff\xfe", `\x1b`, "\u2066x\u2069", "\U000e0001",
}

// Whoever may name an object must not write on the terminal of who audits him.
func TestTableHoldsNothingThatATerminalObeys(t *testing.T) {
	for _, name := range hostile {
		raw, err := json.Marshal(map[string]any{
			"eventTime": "2026-01-01T00:00:00Z", "eventName": name, "eventSource": name, "errorCode": name,
			"userIdentity": map[string]any{"arn": name, "invokedBy": name},
			"resources":    []any{map[string]any{"ARN": "arn:aws:s3:::b/" + name}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		w, err := newAuditWriter(&out, "table")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.write(server.AuditLine{Person: name, Event: raw}), w.end()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%q makes %d lines", name, n)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%q leaves %q in the table", name, r)
			}
		}
		line := ascii(raw)
		for _, r := range line {
			if r < ' ' || r >= 0x7f {
				t.Errorf("%q leaves %q in the JSON", name, r)
			}
		}
		var was, is any
		if json.Unmarshal(raw, &was) != nil || json.Unmarshal([]byte(line), &is) != nil {
			t.Fatal("not JSON")
		}
		a, _ := json.Marshal(was)
		b, _ := json.Marshal(is)
		if string(a) != string(b) {
			t.Errorf("%s became %s", a, b)
		}
	}
}

func TestVisibleKeepsWhatIsText(t *testing.T) {
	for _, s := range []string{"arn:aws:s3:::b/Größe 1.csv", "日本語", "a=b,c@d"} {
		if got := visible(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	if visible(`a\x1b`) == visible("a\x1b") {
		t.Error("an escape can be imitated")
	}
}
