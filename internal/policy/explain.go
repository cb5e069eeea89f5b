package policy

import (
	"fmt"
	"slices"
	"strings"
)

// An Explanation is a decision with its entire derivation. Its names in JSON stay
// as they are.
type Explanation struct {
	Decision Decision       `json:"decision"`
	Note     string         `json:"note,omitzero"` // why no policy could have allowed, if none could
	Policies []*PolicyTrace `json:"policies"`      // in the order in which they were looked at
}

// A PolicyTrace says what one policy had to say.
type PolicyTrace struct {
	Gate       Gate             `json:"gate"`
	Level      int              `json:"level"` // for SCPs and RCPs: 0 is the organization's root
	Doc        string           `json:"policy"`
	Unreadable bool             `json:"unreadable,omitzero"` // there was no policy under the name
	Statements []StatementTrace `json:"statements,omitempty"`
}

// A StatementTrace says whether a statement matched and, if not, for want of
// what.
type StatementTrace struct {
	Index int    `json:"index"`
	Sid   string `json:"sid,omitzero"`
	// Start and End are the statement's place in its document as AWS's simulator
	// tells it: Start is behind the bracket or the statement before it (behind its
	// own brace where there is no list), End behind its closing brace.
	Start   Position `json:"start"`
	End     Position `json:"end"`
	Effect  string   `json:"effect"` // "Allow" or "Deny"
	Matched bool     `json:"matched"`
	// Why is the element that failed ("Action", "Principal", "Resource",
	// "Condition") with its reason, or for principals how closely one that
	// matched names the caller.
	Element    string           `json:"element,omitzero"`
	Why        string           `json:"why"`
	Conditions []ConditionTrace `json:"conditions,omitempty"` // all of them, where the other elements matched
	// Missing are the condition keys, as written, that the request lacks, of a
	// statement whose action and principal match.
	Missing []string `json:"missing,omitempty"`
}

// A ConditionTrace says how one condition fared, and with which values.
type ConditionTrace struct {
	Operator string   `json:"operator"`
	Key      string   `json:"key"` // as written
	Want     []string `json:"want"`
	Have     []string `json:"have,omitempty"` // nil if the request has no such key
	Met      bool     `json:"met"`
	Why      string   `json:"why"`
}

// Explain decides as Decide does and tells how it came to that. It looks at every
// statement, so it costs many times as much. An explanation holds values of the
// request and text of policies: show it only to who may read both.
func Explain(in *Input) Explanation {
	var x Explanation
	e, ok := newEnv(in)
	if !ok {
		x.Note = "this is no request: it lacks a resource, or an action of the form service:Name"
		return x
	}
	if e.unknownAction() {
		x.Note = "no action " + in.Action + " exists"
	}
	w := weighing{env: &e, trace: &x}
	w.weigh()
	x.Decision = w.verdict()
	return x
}

// Missing lists the condition keys, as first written and each once, that the
// request lacks, of all statements whose action and principal match.
func (x Explanation) Missing() []string {
	var keys []string
	for _, p := range x.Policies {
		for i := range p.Statements {
			keys = append(keys, p.Statements[i].Missing...)
		}
	}
	return distinct(keys)
}

// open begins the trace of a policy; on a nil Explanation it does nothing.
func (x *Explanation) open(d *Doc, gate Gate, level int) *PolicyTrace {
	if x == nil {
		return nil
	}
	t := &PolicyTrace{Gate: gate, Level: level, Doc: d.Name, Unreadable: d.Policy == nil}
	x.Policies = append(x.Policies, t)
	return t
}

// grant adds a grant that allows; on a nil Explanation it does nothing.
func (x *Explanation) grant(g *Grant) {
	if x == nil {
		return
	}
	why := "applies to the caller"
	if g.Account {
		why = byAccount.String()
	}
	x.Policies = append(x.Policies, &PolicyTrace{Gate: GateGrant, Doc: g.ID, Statements: []StatementTrace{{Effect: "Allow", Matched: true, Why: why}}})
}

// traceStatement does what read does, and writes it down.
func (w *weighing) traceStatement(s *statement, gate Gate, t *PolicyTrace) standing {
	st := StatementTrace{Index: s.index, Sid: s.sid, Start: s.start, End: s.end, Effect: s.effect()}
	how := w.concern(s, gate)
	if how != stranger && s.matchAction(&w.action) {
		st.Missing = w.lacks(s)
	}
	switch {
	case !s.matchAction(&w.action):
		st.Element, st.Why = s.whyNotAction(w.in.Action)
	case how == stranger:
		st.Element, st.Why = w.whyNotPrincipal(s, gate)
	case !s.resources.match(w.env, s.deny):
		st.Element, st.Why = w.whyNotResource(s)
	default:
		st.Matched, st.Why = true, how.String()
		for i := range s.conditions {
			c := w.traceCondition(&s.conditions[i], s.deny)
			st.Conditions = append(st.Conditions, c)
			if !c.Met && st.Matched {
				st.Matched, st.Element, st.Why = false, "Condition", c.Operator+" "+c.Key+": "+c.Why
			}
		}
	}
	t.Statements = append(t.Statements, st)
	if !st.Matched {
		return stranger
	}
	return how
}

// lacks lists the keys of a statement that the request does not have.
func (w *weighing) lacks(s *statement) []string {
	return slices.DeleteFunc(distinct(s.keys()), func(key string) bool {
		_, has := w.in.Context.Get(key)
		return has
	})
}

func (how standing) String() string {
	switch how {
	case byAccount:
		return "names the caller's account"
	case byOrigin:
		return "names what the session came from"
	case direct:
		return "applies to the caller itself"
	}
	return "does not name the caller"
}

func (s *statement) whyNotAction(action string) (element, why string) {
	names := make([]string, len(s.actions))
	for i := range s.actions {
		names[i] = s.actions[i].text
	}
	if s.notAction {
		return "NotAction", fmt.Sprintf("%s is excepted by %s", action, strings.Join(names, ", "))
	}
	return "Action", fmt.Sprintf("%s is none of %s", action, strings.Join(names, ", "))
}

func (w *weighing) whyNotPrincipal(s *statement, gate Gate) (element, why string) {
	switch {
	case s.deny && w.ownersWayBack(gate):
		return "Principal", "no bucket policy keeps the root user of its account from changing it"
	case s.principals == nil:
		return "Principal", "the statement names no principal, and here it must"
	case s.notPrincipal:
		return "NotPrincipal", "the caller is excepted"
	case s.principals.everyone:
		return "Principal", `"*" does not mean bearers of an identity provider's token; name the provider`
	}
	return "Principal", "the caller is none of " + strings.Join(s.principals.text, ", ")
}

func (w *weighing) whyNotResource(s *statement) (element, why string) {
	r := &s.resources
	var names []string
	if r.all {
		names = append(names, "*")
	}
	for i := range r.patterns {
		names = append(names, r.patterns[i].text)
	}
	list := strings.Join(names, ", ")
	for _, key := range r.keys {
		if w.unknownKey([]string{key}) {
			return "Resource", "the variable ${" + key + "} is of a condition key that does not exist"
		}
		if len(w.in.Context[key]) != 1 {
			list += "; the variable ${" + key + "} has no single value"
		}
	}
	if r.not {
		return "NotResource", fmt.Sprintf("%s is excepted by %s", w.in.Resource, list)
	}
	return "Resource", fmt.Sprintf("%s is none of %s", w.in.Resource, list)
}

func (w *weighing) traceCondition(c *condition, deny bool) ConditionTrace {
	t := ConditionTrace{Operator: c.name, Key: c.written, Want: c.text, Have: w.in.Context[c.key], Met: c.met(w.env, deny)}
	switch cat := w.in.Catalogue; {
	case cat != nil && !cat.KnownKey(c.key):
		t.Why = "no such condition key exists"
	case w.unknownKey(c.variables):
		t.Why = "a variable is of a condition key that does not exist"
	case len(t.Have) == 0:
		t.Why = "the request has no such key"
	case t.Met:
		t.Why = fmt.Sprintf("%q satisfies it", t.Have)
	default:
		t.Why = fmt.Sprintf("%q does not satisfy %q", t.Have, t.Want)
	}
	return t
}
