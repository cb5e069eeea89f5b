package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/alecthomas/kong"

	"bawn.dev/internal/config"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/server"
)

// Whoever may write a policy, or name an object, must not write on the terminal of
// who asks why.
func TestExplanationsHoldNothingThatATerminalObeys(t *testing.T) {
	for _, name := range hostile {
		all := &server.Explanations{Recorded: &server.Recorded{RequestID: name, Event: name, Error: name, Message: name}, Demands: []*server.Explanation{{
			Verdict: name, Message: name, Principal: name, Action: name, Resource: name, ResourceAccount: name, Notes: []string{name},
			Context: map[string][]string{name: {name}}, Lacking: []string{name},
			Policies: []server.Heard{{Kind: name, Policy: name, Statements: []policy.StatementTrace{{
				Sid: name, Effect: name, Element: name, Why: name,
				Conditions: []policy.ConditionTrace{{Operator: name, Key: name, Want: []string{name}, Why: name}},
			}, {Matched: true, Why: name}}}},
		}}}
		var out, plain strings.Builder
		if err := explain(&out, all); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%q leaves %q in the text", name, r)
			}
		}
		all.Demands[0].Notes = []string{"plain"}
		if err := explain(&plain, all); err != nil {
			t.Fatal(err)
		}
		if a, b := strings.Count(out.String(), "\n"), strings.Count(plain.String(), "\n"); a != b {
			t.Errorf("%q makes %d lines, not %d", name, a, b)
		}
	}
}

// The exit status tells a denial from a question without an answer. No server runs:
// the command opens the directory itself.
func TestExplainExitStatus(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Config{Fixed: config.Fixed{AccountID: config.DefaultAccountID, Region: config.DefaultRegion}, Data: dir, Listen: "127.0.0.1:0"}
	if err := server.Init(context.Background(), cfg, logger()); err != nil {
		t.Fatal(err)
	}
	admin := "arn:aws:iam::" + config.DefaultAccountID + ":user/admin"
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"allowed":   {[]string{"--principal", admin, "--action", "s3:GetObject", "--context", "s3:prefix=a,b=c"}, 0},
		"denied":    {[]string{"--principal", "sagemaker.amazonaws.com", "--action", "s3:GetObject", "--output", "json"}, exitDenied},
		"no answer": {[]string{"--principal", admin + "2", "--action", "s3:GetObject"}, 1},
		"no action": {[]string{"--principal", admin}, 1},
		"no pair":   {[]string{"--principal", admin, "--action", "s3:GetObject", "--context", "s3:prefix"}, 1},
		"no record": {[]string{"--request", "00000000-0000-0000-0000-000000000000"}, 1},
	} {
		var parsed cli
		parser, err := kong.New(&parsed, variables())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(append([]string{"explain", "--data", dir}, c.args...)); err != nil {
			t.Fatal(err)
		}
		got := 0
		if err := parsed.Explain.Run(context.Background()); err != nil {
			got = exitCode(err)
			if errors.Is(err, errDenied) != (c.want == exitDenied) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got != c.want {
			t.Errorf("%s: exit status %d, not %d", name, got, c.want)
		}
	}
}
