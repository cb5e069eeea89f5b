package policy

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// everyCase gives a property many requests under random policies.
func everyCase(t *testing.T, stream uint64, property func(m *maker, in Input)) {
	t.Parallel()
	for seed := range uint64(2_000) {
		m := newMaker(t, seed, stream)
		in := m.policies()
		for range 10 {
			m.request(&in)
			property(m, in)
		}
	}
}

// shown fails unless each thing happened: what never happens is not tested.
func shown(t *testing.T, seen coverage, things ...string) {
	for _, thing := range things {
		if seen[thing] == 0 {
			t.Errorf("never: %s", thing)
		}
	}
}

// slots are the policies of an input, by place; setting one changes a copy.
func slots(in Input) map[place][]func(*Input) *Doc {
	all := map[place][]func(*Input) *Doc{}
	for i := range in.Identity {
		all["identity"] = append(all["identity"], func(in *Input) *Doc { in.Identity = slices.Clone(in.Identity); return &in.Identity[i] })
	}
	for i := range in.Session {
		all["session"] = append(all["session"], func(in *Input) *Doc { in.Session = slices.Clone(in.Session); return &in.Session[i] })
	}
	for i := range in.Endpoint {
		all["endpoint"] = append(all["endpoint"], func(in *Input) *Doc { in.Endpoint = slices.Clone(in.Endpoint); return &in.Endpoint[i] })
	}
	for at, levels := range map[place]func(*Input) *[][]Doc{"SCP": func(in *Input) *[][]Doc { return &in.SCPs }, "RCP": func(in *Input) *[][]Doc { return &in.RCPs }} {
		for i, docs := range *levels(&in) {
			for j := range docs {
				all[at] = append(all[at], func(in *Input) *Doc {
					list := levels(in)
					*list = slices.Clone(*list)
					(*list)[i] = slices.Clone((*list)[i])
					return &(*list)[i][j]
				})
			}
		}
	}
	if in.Boundary != nil {
		all["boundary"] = append(all["boundary"], func(in *Input) *Doc { in.Boundary = ptr(*in.Boundary); return in.Boundary })
	}
	if in.ResourcePolicy != nil {
		at := naive{Input: &in}.ofResource()
		all[at] = append(all[at], func(in *Input) *Doc { in.ResourcePolicy = ptr(*in.ResourcePolicy); return in.ResourcePolicy })
	}
	return all
}

// TestLessAllowedMoreDenied takes an Allow out of each policy in turn, and puts a
// Deny into it: neither ever allows what was refused.
func TestLessAllowedMoreDenied(t *testing.T) {
	seen := coverage{}
	everyCase(t, 21, func(m *maker, in Input) {
		was := Decide(&in)
		if !was.Allowed && m.chance(70) {
			return // most are refused, and few are enough
		}
		all := slots(in)
		for _, at := range slices.Sorted(maps.Keys(all)) {
			for _, change := range []string{"an Allow less", "a Deny more"} {
				after := in
				d := pick(m, all[at]...)(&after)
				d.Policy = m.changed(d.Policy, change)
				is := Decide(&after)
				if is.Allowed && !was.Allowed {
					t.Fatalf("%s in %s allows what was refused (%s)\n%s", change, at, was, Explain(&after))
				}
				if was.Allowed && !is.Allowed {
					seen.count(string(at), change)
				}
			}
		}
	})
	for _, at := range []string{"identity", "boundary", "session", "resource", "trust", "endpoint", "SCP", "RCP"} {
		shown(t, seen, at+" an Allow less", at+" a Deny more")
	}
}

// changed is a policy with one Allow less, if it has one, or one Deny more.
func (m *maker) changed(p *Policy, change string) *Policy {
	var document struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal([]byte(m.text[p]), &document); err != nil {
		m.t.Fatal(err)
	}
	isAllow := func(s map[string]any) bool { return s["Effect"] == "Allow" }
	if i := slices.IndexFunc(document.Statement, isAllow); change == "an Allow less" && i >= 0 {
		document.Statement = slices.Delete(document.Statement, i, i+1)
	}
	if change == "a Deny more" || len(document.Statement) == 0 {
		document.Statement = append(document.Statement, m.denying(p.Kind()))
	}
	text, err := json.Marshal(document)
	if err != nil {
		m.t.Fatal(err)
	}
	return mustParse(m.t, p.Kind(), string(text))
}

// TestSessionNeverExceedsItsRole: a session with session policies may do no more
// than a session of the same role without, unless a policy names that session.
func TestSessionNeverExceedsItsRole(t *testing.T) {
	seen := coverage{}
	everyCase(t, 22, func(m *maker, in Input) {
		in.Principal = aSession
		if !in.HasSession {
			in.HasSession, in.Session = true, m.docs(SessionPolicy, 2)
		}
		role := in
		role.HasSession, role.Session = false, nil
		role.Principal.ARN, role.Principal.ID = strings.Replace(session, "job-1", "another", 1), trainID+":another"
		named := in.ResourcePolicy != nil && strings.Contains(m.text[in.ResourcePolicy.Policy], "job-1")
		for _, d := range in.Endpoint {
			named = named || strings.Contains(m.text[d.Policy], "job-1")
		}
		limited, whole := Decide(&in), Decide(&role)
		switch {
		case limited.Allowed && !whole.Allowed && !named:
			t.Fatalf("the session exceeds its role: %s\n%s", Explain(&in), Explain(&role))
		case limited.Allowed && !whole.Allowed:
			seen.count("more, for a policy names it")
		case whole.Allowed && !limited.Allowed:
			seen.count("less than the role")
		case whole.Allowed:
			seen.count("as much as the role")
		}
	})
	shown(t, seen, "more, for a policy names it", "less than the role", "as much as the role")
}

// TestBoundaryHolds: what a boundary does not allow happens only in its account,
// where the resource's policy allows the user or session itself, or everyone.
func TestBoundaryHolds(t *testing.T) {
	seen, made := coverage{}, map[string]*regexp.Regexp{}
	everyCase(t, 23, func(m *maker, in Input) {
		if k := in.Principal.Kind; k != User && k != Session && k != Federated {
			return
		}
		if in.Boundary == nil {
			in.Boundary = ptr(m.doc(Identity))
		}
		n := naive{&in, m.text, map[*Policy]naiveDocument{}, made, coverage{}}
		if Decide(&in).Allowed && n.ask(*in.Boundary, "boundary", "Allow") == nil {
			itself := in.ResourcePolicy != nil && slices.Contains(n.ask(*in.ResourcePolicy, n.ofResource(), "Allow"), "self")
			if !itself || in.ResourceAccount != in.Principal.Account {
				t.Fatalf("the boundary is exceeded\n%s", Explain(&in))
			}
			seen.count("exceeded by", in.Principal.kind())
		}
		free := in
		free.Boundary = nil
		if Decide(&free).Allowed && !Decide(&in).Allowed {
			seen.count("limits", in.Principal.kind())
		}
	})
	for _, kind := range []string{"user", "role session", "federated user"} {
		shown(t, seen, "exceeded by "+kind, "limits "+kind)
	}
}

// TestTwoAccountsNeedBothSides: abroad is allowed what the caller's own account
// would allow and the resource's owner would allow to somebody with every
// permission; no more and no less.
func TestTwoAccountsNeedBothSides(t *testing.T) {
	seen, all := coverage{}, doc(t, Identity, allow("*", "*"))
	everyCase(t, 24, func(m *maker, in Input) {
		switch in.Principal.Kind {
		case User, Session, Federated, Root:
		default:
			return
		}
		in.ResourceAccount = other
		caller, owner := in, in
		caller.ResourceAccount, caller.ResourcePolicy, caller.RCPs, caller.RootOfTrust, caller.Grant = home, nil, nil, false, nil
		owner.Identity, owner.SCPs = docs(all), nil
		if owner.HasSession || owner.Principal.Kind == Federated {
			owner.HasSession, owner.Session = true, docs(all)
		}
		if owner.Boundary != nil {
			owner.Boundary = &all
		}
		both, one, two := Decide(&in).Allowed, Decide(&caller).Allowed, Decide(&owner).Allowed
		if both != (one && two) {
			t.Fatalf("allowed: %v; by the caller's account: %v; by the owner: %v\n%s", both, one, two, Explain(&in))
		}
		seen.count(either(one, "caller's side", ""), either(two, "owner's side", ""))
	})
	shown(t, seen, "caller's side owner's side", "caller's side ", " owner's side", " ")
}
