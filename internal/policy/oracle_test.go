package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A coverage counts what happened in generated cases.
type coverage map[string]int

func (c coverage) count(words ...string) { c[strings.Join(words, " ")]++ }

// kind is the sort of caller in the words of the coverage.
func (p Principal) kind() string {
	switch {
	case p.Kind == WebIdentity && p.Federated == samlProvider:
		return "SAML bearer"
	case p.Kind == WebIdentity:
		return "OIDC bearer"
	case p.Kind == Session && p.Federated != "":
		return "federated role session"
	case p.Kind == Service && p.Account != "":
		return "service of the account"
	}
	return [...]string{"anonymous", "root user", "user", "role session", "federated user", "", "service"}[p.Kind]
}

// TestOracle compares Decide and Explain with the naive evaluator on 352,000
// cases, and counts what they reach.
func TestOracle(t *testing.T) {
	const shards, sets, requests = 8, 1100, 40
	var reached [shards]coverage
	t.Run("cases", func(t *testing.T) {
		for shard := range shards {
			reached[shard] = coverage{}
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				made := map[string]*regexp.Regexp{}
				for i := range uint64(sets) {
					compareWithNaive(t, uint64(shard)*sets+i, requests, made, reached[shard])
				}
			})
		}
	})
	total := coverage{}
	for _, c := range reached {
		for k, n := range c {
			total[k] += n
		}
	}
	if !t.Failed() {
		total.demand(t)
	}
}

// compareWithNaive decides many requests under the policies of a seed.
func compareWithNaive(t *testing.T, seed uint64, requests int, made map[string]*regexp.Regexp, seen coverage) {
	m := newMaker(t, seed, 7)
	in := m.policies()
	plain := naive{&in, m.text, map[*Policy]naiveDocument{}, made, seen}
	for range requests {
		m.request(&in)
		want := plain.decide()
		x := Explain(&in)
		got, d := silent, Decide(&in)
		switch {
		case d != x.Decision:
			t.Fatalf("seed %d: Decide says %+v, Explain %+v", seed, d, x.Decision)
		case d.Allowed:
			got = allowed
		case d.Explicit:
			got = denied
		}
		if got != want {
			t.Fatalf("seed %d: got %s, want %s\n%+v\n%s\n%v", seed, got, want, in, x, m.text)
		}
		where := map[string]string{home: "at home", other: "abroad", "": "nowhere"}[in.ResourceAccount]
		seen.count(in.Principal.kind(), got.String())
		seen.count(where, got.String())
		seen.count("by", d.Gate.String(), got.String())
		seen.count("cases")
	}
}

// demand fails for whatever the cases should have reached and did not, often
// enough to find a fault.
func (c coverage) demand(t *testing.T) {
	const often = 10
	var want []string
	each := func(lists ...[]string) {
		all := []string{""}
		for _, list := range lists {
			var next []string
			for _, a := range all {
				for _, b := range list {
					next = append(next, strings.TrimSpace(a+" "+b))
				}
			}
			all = next
		}
		want = append(want, all...)
	}
	operators := []string{"Bool", "BinaryEquals"}
	operators = slices.Concat(operators, stringOperators, arnOperators, addressMatches)
	for _, o := range comparisons {
		operators = append(operators, "Numeric"+o, "Date"+o)
	}
	effects, outcomes := []string{"in an Allow", "in a Deny"}, []string{"met", "unmet"}
	verdicts := []string{"allowed", "denied", "silent"}
	for _, o := range operators {
		for _, set := range []string{"", "ForAllValues:", "ForAnyValue:"} {
			for _, suffix := range []string{"", "IfExists"} {
				each([]string{set + o + suffix}, effects, outcomes)
				each([]string{set + o + suffix}, []string{"without the key"})
			}
		}
	}
	each([]string{"Null"}, effects, outcomes)
	each([]string{"a comparison that cannot be told", "a key that does not exist"}, effects)
	each([]string{"a variable"}, []string{"has a value", "has a default", "has no value", "is ${*}", "is ${?}", "is ${$}"})
	each([]string{"identity", "boundary", "session", "resource", "trust", "endpoint", "SCP", "RCP"}, []string{"Allow", "Deny"}, []string{"matches", "does not match"})
	want = slices.DeleteFunc(want, func(s string) bool { return s == "RCP Allow does not match" }) // it allows everything
	each([]string{"Action", "NotAction"}, []string{"names the action", "does not name the action"})
	each([]string{"Resource", "NotResource"}, []string{"names it", "might name it", "does not name it"})
	kinds := map[string]bool{}
	for _, p := range callers() {
		kinds[p.kind()] = true
	}
	each(slices.Sorted(maps.Keys(kinds)), verdicts)
	each([]string{"at home", "abroad", "nowhere"}, verdicts)
	each([]string{"NotPrincipal"}, slices.Sorted(maps.Keys(kinds)), []string{"means"})
	delete(kinds, "anonymous") // whom nobody can name
	each([]string{"NotPrincipal"}, slices.Sorted(maps.Keys(kinds)), []string{"spares"})
	each([]string{"by identity-based policy", "by resource-based policy", "by role trust policy"}, verdicts)
	each([]string{"by service control policy", "by resource control policy", "by VPC endpoint policy", "by permissions boundary", "by session policy"}, verdicts[1:])
	want = append(want, "by grant allowed", "by request silent", "root repairs a bucket policy")
	for _, k := range want {
		if c[k] < often {
			t.Errorf("only %d times: %s", c[k], k)
		}
	}
	if c["cases"] < 200_000 {
		t.Errorf("%d cases", c["cases"])
	}
}
