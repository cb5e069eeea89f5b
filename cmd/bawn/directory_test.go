package main

import (
	"bytes"
	"strings"
	"testing"

	"bawn.dev/internal/identity"
)

// What a directory calls its entries does nothing to the operator's terminal.
func TestReportIsShownAsText(t *testing.T) {
	var out bytes.Buffer
	err := reported(&out, &identity.SourceReport{Troubled: 7, Error: "no\x1b[2J", Problems: []identity.SourceProblem{{Entry: "cn=\x1b]0;x\x07\nada: ok", Why: "why\r"}}})
	if err == nil || strings.ContainsAny(out.String()+err.Error(), "\x1b\x07\r") || strings.Count(out.String(), "\n") != 4 || !strings.Contains(out.String(), "6 more") {
		t.Errorf("%q %v", out.String(), err)
	}
}
