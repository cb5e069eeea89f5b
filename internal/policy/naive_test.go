package policy

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// naive is a second evaluator, written from the documentation with other means:
// it walks the JSON text of the policies anew for each request, uses regular
// expressions, rationals and package net, and knows nothing of compilation. Slow
// and plain; where it and Decide differ, one of them is wrong.
type naive struct {
	*Input
	text map[*Policy]string
	read map[*Policy]naiveDocument
	made map[string]*regexp.Regexp
	seen coverage
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

func (a answer) String() string { return [...]string{"silent", "allowed", "denied"}[a] }

// place is where a policy stands, in the words of the coverage.
type place string

func (n naive) decide() answer {
	type placed struct {
		place
		Doc
	}
	var all []placed
	put := func(at place, docs ...Doc) {
		for _, d := range docs {
			all = append(all, placed{at, d})
		}
	}
	at := n.ofResource()
	put("SCP", slices.Concat(n.SCPs...)...)
	put("RCP", slices.Concat(n.RCPs...)...)
	put("endpoint", n.Endpoint...)
	put("session", n.Session...)
	put("identity", n.Identity...)
	if n.Boundary != nil {
		put("boundary", *n.Boundary)
	}
	if n.ResourcePolicy != nil {
		put(at, *n.ResourcePolicy)
	}
	for _, d := range all {
		if n.ask(d.Doc, d.place, "Deny") != nil {
			return denied
		}
	}
	allows := func(at place, docs ...Doc) bool {
		return slices.ContainsFunc(docs, func(d Doc) bool { return n.ask(d, at, "Allow") != nil })
	}
	if n.Catalogue != nil && !n.Catalogue.KnownAction(n.Action) {
		return silent
	}
	for _, level := range n.SCPs {
		if !allows("SCP", level...) {
			return silent
		}
	}
	for _, level := range n.RCPs {
		if !allows("RCP", level...) {
			return silent
		}
	}
	for _, d := range n.Endpoint {
		if !allows("endpoint", d) {
			return silent
		}
	}

	var how []string // how the resource's policy names the caller
	if n.ResourcePolicy != nil {
		how = n.ask(*n.ResourcePolicy, at, "Allow")
	}
	granted := n.Grant != nil && !n.Grant.Account
	switch {
	case granted:
		how = append(how, "origin")
	case n.Grant != nil:
		how = append(how, "account")
	}
	who := n.Principal
	home := who.Account != "" && who.Account == n.ResourceAccount
	fits := (n.Boundary == nil || allows("boundary", *n.Boundary)) &&
		(!n.HasSession && who.Kind != Federated || allows("session", n.Session...))
	own := (allows("identity", n.Identity...) || who.Kind == Root) && fits

	ok := false
	switch who.Kind {
	case Anonymous, WebIdentity:
		ok = slices.Contains(how, "self")
	case Service:
		ok = slices.Contains(how, "self") || granted || home && own && !n.RootOfTrust
	default:
		switch {
		case !home:
			ok = len(how) > 0 && own && n.ResourceAccount != ""
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

// ofResource is the place of the resource's policy.
func (n naive) ofResource() place {
	if n.ResourcePolicy != nil && n.ResourcePolicy.Policy.Kind() == Trust {
		return "trust"
	}
	return "resource"
}

// ask lists how the matching statements of an effect name the caller; nil if
// none matches.
func (n naive) ask(d Doc, at place, effect string) (how []string) {
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
		deny := effect == "Deny"
		name := n.names(s, at, deny)
		matches := name != "" && !(deny && n.mayRepair(at)) && n.actions(s) &&
			n.resources(s, document.Version, deny) && n.conditions(s, document.Version, deny)
		n.seen.count(string(at), effect, either(matches, "matches", "does not match"))
		if matches {
			how = append(how, name)
		}
	}
	return how
}

// mayRepair: "the root user of the account can always delete, read and replace the
// bucket policy".
func (n naive) mayRepair(at place) bool {
	if at != "resource" || n.Principal.Kind != Root || n.Principal.Account != n.ResourceAccount {
		return false
	}
	may := slices.Contains([]string{"s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy"}, strings.ToLower(n.Action))
	if may {
		n.seen.count("root repairs a bucket policy")
	}
	return may
}

// oneOrMany reads an element that is a value or a list of them.
func oneOrMany(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			out = append(out, oneOrMany(x)...)
		}
	case bool:
		return []string{either(v, "true", "false")}
	}
	return out
}

// names says how a statement names the caller: "self", "origin", "account", or not.
func (n naive) names(s map[string]any, at place, deny bool) string {
	who := n.Principal
	id, role, provider := who.ID, strings.Split(who.ID, ":")[0], who.Federated
	if who.Kind == Federated {
		role = who.UserID
	}
	names := func(element, kind string, whom ...string) bool {
		m, _ := s[element].(map[string]any)
		return slices.ContainsFunc(oneOrMany(m[kind]), func(v string) bool { return v != "" && slices.Contains(whom, v) })
	}
	account := func(element string) bool {
		return who.Account != "" && names(element, "AWS", who.Account, "arn:aws:iam::"+who.Account+":root") || names(element, "CanonicalUser", who.Canonical)
	}
	if s["NotPrincipal"] != nil {
		spared := false
		switch who.Kind {
		case Root:
			spared = account("NotPrincipal")
		case User:
			spared = account("NotPrincipal") && names("NotPrincipal", "AWS", who.ARN, id)
		case Session, Federated:
			spared = account("NotPrincipal") && names("NotPrincipal", "AWS", who.ARN, id) && names("NotPrincipal", "AWS", who.RoleARN, role)
		case WebIdentity:
			spared = names("NotPrincipal", "Federated", provider)
		case Service:
			spared = names("NotPrincipal", "Service", who.Service)
		}
		spared = spared && n.Boundary == nil
		n.seen.count("NotPrincipal", who.kind(), either(spared, "spares", "means"))
		return either(spared, "", "self")
	}
	if s["Principal"] == nil {
		return "self"
	}
	m, _ := s["Principal"].(map[string]any)
	if s["Principal"] == "*" || names("Principal", "AWS", "*") {
		gives := !deny && (at == "resource" || at == "trust")
		if who.Kind == WebIdentity && gives && !names("Principal", "Federated", provider) {
			return ""
		}
		return "self"
	}
	if deny && m["CanonicalUser"] != nil && who.Canonical == "" && who.Account != "" {
		return "self" // it cannot be told that he is not meant
	}
	byAccount := ""
	if account("Principal") {
		byAccount = "account"
	}
	switch who.Kind {
	case Root:
		return either(byAccount != "", "self", "")
	case User:
		return either(names("Principal", "AWS", who.ARN, id), "self", byAccount)
	case Session, Federated:
		switch {
		case names("Principal", "AWS", who.ARN, id):
			return "self"
		case names("Principal", "AWS", who.RoleARN, role), names("Principal", "Federated", provider):
			return "origin"
		}
		return byAccount
	case WebIdentity:
		return either(names("Principal", "Federated", provider), "self", "")
	case Service:
		return either(names("Principal", "Service", who.Service), "self", "")
	}
	return ""
}

func (n naive) actions(s map[string]any) bool {
	key, want := "Action", true
	if _, ok := s["NotAction"]; ok {
		key, want = "NotAction", false
	}
	for _, a := range oneOrMany(s[key]) {
		if a == "*" || n.compile(globbed(strings.ToLower(a))).MatchString(strings.ToLower(n.Action)) {
			n.seen.count(key, "names the action")
			return want
		}
	}
	n.seen.count(key, "does not name the action")
	return !want
}

// compile remembers regular expressions, which take long to make.
func (n naive) compile(expression string) *regexp.Regexp {
	r, ok := n.made[expression]
	if !ok {
		r = regexp.MustCompile(expression)
		n.made[expression] = r
	}
	return r
}

// globbed turns wildcards into a regular expression.
func globbed(s string) string {
	s = regexp.QuoteMeta(s)
	s = strings.ReplaceAll(s, `\*`, ".*")
	s = strings.ReplaceAll(s, `\?`, ".")
	return "(?s)^" + s + "$"
}

func (n naive) resources(s map[string]any, version string, deny bool) bool {
	key, not := "Resource", false
	if _, ok := s["NotResource"]; ok {
		key, not = "NotResource", true
	}
	if s[key] == nil {
		return true // trust
	}
	patterns := oneOrMany(s[key])
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
	n.seen.count(key, [...]string{"does not name it", "might name it", "names it"}[best])
	return settle(best, not, deny)
}
