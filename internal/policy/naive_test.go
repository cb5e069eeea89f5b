package policy

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// naive is a second evaluator, written from the documentation with other means:
// it walks the JSON text of the policies anew for each request, uses regular
// expressions, rationals and package net, and knows nothing of compilation. Slow
// and plain; where it and Decide differ, one of them is wrong.
type naive struct {
	*Input
	text map[*Policy]string
	read map[*Policy]naiveDocument
}

type naiveDocument struct {
	Version   string
	Statement []map[string]any
}

// answer is a verdict of three.
type answer int

const (
	silent answer = iota
	allowed
	denied
)

// tri is a truth value: a missing variable makes some answers unknown.
type tri int

const (
	no tri = iota
	maybe
	yes
)

func (n naive) decide() answer {
	all := slices.Concat(slices.Concat(n.SCPs...), slices.Concat(n.RCPs...), n.Endpoint, n.Session, n.Identity)
	for _, d := range []*Doc{n.Boundary, n.ResourcePolicy} {
		if d != nil {
			all = append(all, *d)
		}
	}
	for _, d := range all {
		if n.ask(d, "Deny") != nil {
			return denied
		}
	}
	allows := func(docs ...Doc) bool {
		return slices.ContainsFunc(docs, func(d Doc) bool { return n.ask(d, "Allow") != nil })
	}
	if n.Catalogue != nil && !n.Catalogue.KnownAction(n.Action) {
		return silent
	}
	for _, level := range slices.Concat(n.SCPs, n.RCPs) {
		if !allows(level...) {
			return silent
		}
	}
	for _, d := range n.Endpoint {
		if !allows(d) {
			return silent
		}
	}

	var how []string // how the resource's policy names the caller
	if n.ResourcePolicy != nil {
		how = n.ask(*n.ResourcePolicy, "Allow")
	}
	if n.Granted {
		how = append(how, "origin")
	}
	who := n.Principal
	home := who.Account != "" && who.Account == n.ResourceAccount
	fits := (n.Boundary == nil || allows(*n.Boundary)) &&
		(!n.HasSession && who.Kind != Federated || allows(n.Session...))
	own := (who.Kind == Root || allows(n.Identity...)) && fits

	ok := false
	switch who.Kind {
	case Anonymous, WebIdentity:
		ok = slices.Contains(how, "self")
	case Service:
		ok = slices.Contains(how, "self") || n.Granted || home && own && !n.RootOfTrust
	default:
		switch {
		case !home:
			ok = len(how) > 0 && own
		case slices.Contains(how, "self"):
			ok = true
		case slices.Contains(how, "origin"):
			ok = fits
		case n.RootOfTrust:
			ok = slices.Contains(how, "account") && own
		default:
			ok = own
		}
	}
	if ok {
		return allowed
	}
	return silent
}

// ask lists how the matching statements of an effect name the caller; nil if
// none matches.
func (n naive) ask(d Doc, effect string) (how []string) {
	document, ok := n.read[d.Policy]
	if !ok {
		if err := json.Unmarshal([]byte(n.text[d.Policy]), &document); err != nil {
			panic(err)
		}
		n.read[d.Policy] = document
	}
	for _, s := range document.Statement {
		if s["Effect"] != effect {
			continue
		}
		name := n.names(s, effect == "Deny")
		if name != "" && n.actions(s) && n.resources(s, document.Version, effect == "Deny") && n.conditions(s, document.Version, effect == "Deny") {
			how = append(how, name)
		}
	}
	return how
}

func list(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			out = append(out, list(x)...)
		}
	case bool:
		return []string{strconv.FormatBool(v)}
	}
	return out
}

func (n naive) names(s map[string]any, deny bool) string {
	if p, ok := s["NotPrincipal"]; ok {
		names := list(p.(map[string]any)["AWS"])
		has := func(s string) bool { return slices.Contains(names, s) }
		account := has(n.Principal.Account) || has("arn:aws:iam::"+n.Principal.Account+":root")
		spared := false
		switch n.Principal.Kind {
		case Root:
			spared = account
		case User:
			spared = account && has(n.Principal.ARN)
		case Session, Federated:
			spared = account && has(n.Principal.ARN) && has(n.Principal.RoleARN)
		}
		if spared && n.Boundary == nil {
			return ""
		}
		return "self"
	}
	p, ok := s["Principal"]
	if !ok {
		return "self"
	}
	who := n.Principal
	if p == "*" {
		if who.Kind == WebIdentity && !deny {
			return ""
		}
		return "self"
	}
	m := p.(map[string]any)
	if slices.Contains(list(m["AWS"]), "*") && (who.Kind != WebIdentity || deny) {
		return "self"
	}
	best := ""
	for _, v := range list(m["AWS"]) {
		switch {
		case v == who.ARN && who.Kind != Root && who.ARN != "":
			return "self"
		case v == who.RoleARN && who.RoleARN != "":
			best = "origin"
		case who.Account != "" && (v == who.Account || v == "arn:aws:iam::"+who.Account+":root"):
			if who.Kind == Root {
				return "self"
			}
			if best == "" && who.Kind != Service {
				best = "account"
			}
		}
	}
	if who.Kind == Service && slices.Contains(list(m["Service"]), who.Service) ||
		who.Kind == WebIdentity && slices.Contains(list(m["Federated"]), who.Federated) {
		return "self"
	}
	return best
}

func (n naive) actions(s map[string]any) bool {
	key, want := "Action", true
	if _, ok := s["NotAction"]; ok {
		key, want = "NotAction", false
	}
	for _, a := range list(s[key]) {
		if a == "*" || globbed(strings.ToLower(a)).MatchString(strings.ToLower(n.Action)) {
			return want
		}
	}
	return !want
}

// globbed turns wildcards into a regular expression.
func globbed(s string) *regexp.Regexp {
	s = regexp.QuoteMeta(s)
	s = strings.ReplaceAll(s, `\*`, ".*")
	s = strings.ReplaceAll(s, `\?`, ".")
	return regexp.MustCompile("(?s)^" + s + "$")
}

var variable = regexp.MustCompile(`\$\{([^},]*)(?:, *'([^']*)')?\}`)

// filled replaces variables by marks, and returns what the marks stand for: a
// regular expression each. Unknown says that one has no value.
func (n naive) filled(s, version string) (marked string, stand []string, unknown bool, keys []string) {
	if version != Version2012 {
		return s, nil, false, nil
	}
	marked = variable.ReplaceAllStringFunc(s, func(v string) string {
		m := variable.FindStringSubmatch(v)
		with := ""
		switch have, _ := n.Context.Get(m[1]); {
		case m[1] == "*" || m[1] == "?" || m[1] == "$":
			with = regexp.QuoteMeta(m[1])
		case len(have) == 1 && utf8.ValidString(have[0]):
			keys = append(keys, m[1])
			with = regexp.QuoteMeta(have[0])
		case len(have) == 0 && strings.Contains(v, "'"):
			keys = append(keys, m[1])
			with = regexp.QuoteMeta(m[2])
		default:
			keys = append(keys, m[1])
			with, unknown = ".*", true
		}
		stand = append(stand, with)
		return string(rune(0xE000 + len(stand) - 1))
	})
	return marked, stand, unknown, keys
}

func unmark(expression string, stand []string) *regexp.Regexp {
	for i, s := range stand {
		expression = strings.ReplaceAll(expression, string(rune(0xE000+i)), s)
	}
	return regexp.MustCompile(expression)
}

func (n naive) name(pattern, version, have string) (tri, []string) {
	if pattern == "*" {
		return yes, nil
	}
	marked, stand, unknown, keys := n.filled(pattern, version)
	want, got := strings.SplitN(marked, ":", 6), strings.SplitN(have, ":", 6)
	if len(got) != 6 {
		return no, keys
	}
	for i := range want {
		if !unmark(globbed(want[i]).String(), stand).MatchString(got[i]) {
			return no, keys
		}
	}
	if unknown {
		return maybe, keys
	}
	return yes, keys
}

func (n naive) resources(s map[string]any, version string, deny bool) bool {
	key, not := "Resource", false
	if _, ok := s["NotResource"]; ok {
		key, not = "NotResource", true
	}
	if s[key] == nil {
		return true // trust
	}
	patterns := list(s[key])
	if slices.Contains(patterns, "*") {
		return !not
	}
	best := no
	for _, p := range patterns {
		is, keys := n.name(p, version, n.Resource)
		if !n.exist(keys...) {
			return deny
		}
		best = max(best, is)
	}
	return settle(best, not, deny)
}

// settle makes a truth value of three one of two: in doubt an Allow fails, and a
// Deny takes it for no match.
func settle(is tri, negated, deny bool) bool {
	if is == maybe {
		return deny && negated
	}
	return (is == yes) != negated
}

func (n naive) exist(keys ...string) bool {
	for _, k := range keys {
		if n.Catalogue != nil && !strings.ContainsAny(k, "*?$") && !n.Catalogue.KnownKey(strings.ToLower(k)) {
			return false
		}
	}
	return true
}

func (n naive) conditions(s map[string]any, version string, deny bool) bool {
	block, _ := s["Condition"].(map[string]any)
	for op, keys := range block {
		for key, values := range keys.(map[string]any) {
			if !n.condition(op, key, list(values), version, deny) {
				return false
			}
		}
	}
	return true
}

func (n naive) condition(op, key string, want []string, version string, deny bool) bool {
	if !n.exist(key) {
		return deny
	}
	have, present := n.Context.Get(key)
	if op == "Null" {
		return slices.Contains(want, strconv.FormatBool(!present))
	}
	textual := strings.Contains(op, "String") || strings.Contains(op, "Arn")
	for _, w := range want {
		if _, _, _, keys := n.filled(w, version); textual && !n.exist(keys...) {
			return deny
		}
	}
	set, base, qualified := strings.Cut(op, ":")
	if !qualified {
		set, base = "", op
	}
	base, optional := strings.CutSuffix(base, "IfExists")
	negated := strings.Contains(base, "Not")
	if !present {
		return optional || set == "ForAllValues" || set == "" && negated
	}
	count := 0
	for _, h := range have {
		best := no
		for _, w := range want {
			best = max(best, n.compare(strings.Replace(base, "Not", "", 1), h, w, version))
		}
		if settle(best, negated, deny) {
			count++
		}
	}
	if set == "ForAnyValue" || set == "" && deny {
		return count > 0
	}
	return count == len(have)
}

func truth(b bool) tri {
	if b {
		return yes
	}
	return no
}

func (n naive) compare(op, have, want, version string) tri {
	switch op {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike":
		marked, stand, unknown, _ := n.filled(want, version)
		expression := "(?s)^" + regexp.QuoteMeta(marked) + "$"
		if op == "StringLike" {
			expression = globbed(marked).String()
		}
		if op == "StringEqualsIgnoreCase" {
			expression = "(?i)" + expression
			if unknown {
				return maybe
			}
		}
		is := unmark(expression, stand).MatchString(have)
		if is && unknown {
			return maybe
		}
		return truth(is)
	case "ArnEquals", "ArnLike":
		if want != "*" && strings.Count(have, ":") < 5 {
			return maybe
		}
		is, _ := n.name(want, version, have)
		return is
	case "Bool":
		return truth(strings.EqualFold(have, want))
	case "BinaryEquals":
		return truth(base64.StdEncoding.EncodeToString([]byte(have)) == want)
	case "IpAddress":
		ip := net.ParseIP(have)
		if ip == nil {
			return maybe
		}
		if !strings.Contains(want, "/") {
			return truth(ip.Equal(net.ParseIP(want)))
		}
		_, block, _ := net.ParseCIDR(want)
		return truth(block.Contains(ip))
	}
	var sign int
	if rest, ok := strings.CutPrefix(op, "Numeric"); ok {
		a, ok := new(big.Rat).SetString(have)
		b, _ := new(big.Rat).SetString(want)
		if !ok {
			return maybe
		}
		sign, op = a.Cmp(b), rest
	} else {
		a, err := time.Parse(time.RFC3339, have)
		b, _ := time.Parse(time.RFC3339, want)
		if err != nil {
			return maybe
		}
		sign, op = a.Compare(b), strings.TrimPrefix(op, "Date")
	}
	switch op {
	case "Equals":
		return truth(sign == 0)
	case "LessThan":
		return truth(sign < 0)
	case "LessThanEquals":
		return truth(sign <= 0)
	case "GreaterThan":
		return truth(sign > 0)
	case "GreaterThanEquals":
		return truth(sign >= 0)
	}
	panic("no operator " + op)
}
