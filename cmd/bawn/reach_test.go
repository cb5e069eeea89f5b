package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/alecthomas/kong"

	"bawn.dev/internal/config"
	"bawn.dev/internal/server"
)

// Descriptions of rules, names of jobs and of people are text that others chose.
func TestPathsHoldNothingThatATerminalObeys(t *testing.T) {
	lines := 0
	for _, name := range append([]string{"plain"}, hostile...) {
		end := server.ReachEnd{ID: name, VPC: name, Subnet: name, Address: name, Name: name, Groups: []string{name}, Owner: name, Person: name, MadeUp: true}
		var out strings.Builder
		if err := reached(&out, &server.Reached{
			Verdict: name, From: end, To: end, What: name, Notes: []string{name}, Advice: []string{name},
			Steps: []server.ReachStep{{Where: name, Gate: name, Why: name, Rules: []string{name}}, {Where: name, Back: true, Gate: name, Allowed: true, Why: name}},
		}); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%q leaves %q in the text", name, r)
			}
		}
		if n := strings.Count(out.String(), "\n"); lines == 0 {
			lines = n
		} else if n != lines {
			t.Errorf("%q makes %d lines, not %d", name, n, lines)
		}
	}
}

func TestPathsAreShown(t *testing.T) {
	var out strings.Builder
	if err := reached(&out, &server.Reached{
		Verdict: "refused by the acl gate for the replies of vpc-0aaaaaaaaaaaaaaa1: acl-0aaaaaaaaaaaaaaa1 denies tcp port 32768 into subnet-0aaaaaaaaaaaaaaa1 by entry 90",
		From: server.ReachEnd{ID: "eni-0aaaaaaaaaaaaaaa1", VPC: "vpc-0aaaaaaaaaaaaaaa1", Subnet: "subnet-0aaaaaaaaaaaaaaa1", Address: "10.0.1.10",
			Groups: []string{"sg-0aaaaaaaaaaaaaaa1"}, Owner: "arn:aws:sagemaker:eu-west-1:111122223333:training-job/night", Person: "ada"},
		To: server.ReachEnd{Address: "10.1.1.20"}, What: "tcp port 5432",
		Steps: []server.ReachStep{
			{Where: "vpc-0aaaaaaaaaaaaaaa1", Gate: "egress", Allowed: true, Why: "an egress rule allows it", Rules: []string{"sgr-0aaaaaaaaaaaaaaa1 out: tcp 5432 to 10.1.0.0/16"}},
			{Where: "tgw-0aaaaaaaaaaaaaaa1", Gate: "transit", Allowed: true, Why: "the route table leads on"},
			{Where: "vpc-0aaaaaaaaaaaaaaa1", Back: true, Gate: "acl", Why: "acl-0aaaaaaaaaaaaaaa1 denies tcp port 32768 into subnet-0aaaaaaaaaaaaaaa1 by entry 90"},
		},
		Notes: []string{"Only connections from these source ports pass: tcp 40000-50000."}, Advice: []string{"aws ec2 create-network-acl-entry --rule-number 80"},
	}); err != nil {
		t.Fatal(err)
	}
	golden(t, "reach.txt", out.String())
}

// The exit status tells a refusal from a question without an answer.
func TestNetworkCommandsExitStatus(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Config{Fixed: config.Fixed{AccountID: config.DefaultAccountID, Region: config.DefaultRegion}, Data: dir, Listen: "127.0.0.1:0"}
	if err := server.Init(context.Background(), cfg, logger()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"no workload": {[]string{"reach", "--data", dir, "night", "s3", "443"}, 1},
		"no port":     {[]string{"reach", "--data", dir, "night", "s3", "https"}, 1},
		"no VPC":      {[]string{"network", "--data", dir, "--vpc", "vpc-00000000000000000"}, 1},
		"a drawing":   {[]string{"network", "--data", dir, "--svg", dir + "/a.svg"}, 0},
		"nowhere":     {[]string{"network", "--data", dir, "--svg", dir + "/no/a.svg"}, 1},
		"a tree":      {[]string{"network", "--data", dir}, 0},
		"JSON":        {[]string{"network", "--data", dir, "--output", "json"}, 0},
	} {
		var parsed cli
		parser, err := kong.New(&parsed, variables())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		run := parsed.Network.Run
		if c.args[0] == "reach" {
			run = parsed.Reach.Run
		}
		got := 0
		if err := run(context.Background()); err != nil {
			if got = exitCode(err); errors.Is(err, errDenied) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got != c.want {
			t.Errorf("%s: exit status %d, not %d", name, got, c.want)
		}
	}
}
