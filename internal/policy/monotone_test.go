package policy

import "testing"

// TestRestrictionsOnlyRestrict puts one more restriction into random requests:
// none may allow what was refused without it.
func TestRestrictionsOnlyRestrict(t *testing.T) {
	restrictions := []struct {
		name string
		add  func(*maker, *Input)
	}{
		{"a Deny in an identity policy", func(m *maker, in *Input) { in.Identity = append(docs(m.denial(Identity)), in.Identity...) }},
		{"a Deny in the resource's policy", func(m *maker, in *Input) { in.ResourcePolicy = ptr(m.denial(Resource)) }},
		{"a boundary", func(m *maker, in *Input) { in.Boundary = ptr(m.doc(Identity)) }},
		{"an SCP level", func(m *maker, in *Input) { in.SCPs = append(in.SCPs, docs(m.doc(SCP))) }},
		{"an RCP level", func(m *maker, in *Input) { in.RCPs = append(in.RCPs, docs(m.doc(RCP))) }},
		{"an endpoint", func(m *maker, in *Input) { in.Endpoint = append(in.Endpoint, m.doc(Endpoint)) }},
		{"a session policy", func(m *maker, in *Input) { in.HasSession, in.Session = true, m.docs(SessionPolicy, 2) }},
		{"a catalogue", func(_ *maker, in *Input) { in.Catalogue = knows{"aws:username": true} }},
		{"an unreadable policy", func(_ *maker, in *Input) { in.Identity = append(docs(Doc{Name: "lost"}), in.Identity...) }},
		{"an owner that is unsaid", func(_ *maker, in *Input) { in.ResourceAccount = "" }},
	}
	effective := map[string]int{}
	for seed := range uint64(2_000) {
		m := newMaker(t, seed, 11)
		before := m.policies()
		m.request(&before)
		before.Boundary, before.HasSession, before.Session, before.Catalogue = nil, false, nil, nil
		for _, r := range restrictions {
			after := before
			r.add(m, &after)
			switch {
			case after.ResourcePolicy != before.ResourcePolicy && before.ResourcePolicy != nil:
				continue // a policy was replaced
			case r.name == "a session policy" && before.Principal.Kind == Federated:
				continue // whose permissions begin with one
			}
			was, is := Decide(&before), Decide(&after)
			if is.Allowed && !was.Allowed {
				t.Fatalf("seed %d: %s allows what was refused (%s)\n%s", seed, r.name, was, Explain(&after))
			}
			if was.Allowed && !is.Allowed {
				effective[r.name]++
			}
		}
	}
	for _, r := range restrictions {
		if effective[r.name] == 0 {
			t.Errorf("%s never restricted anything: the test shows nothing", r.name)
		}
	}
}

// denial is a policy of one Deny.
func (m *maker) denial(kind Kind) Doc {
	return m.document(kind, []map[string]any{m.denying(kind)})
}

func (m *maker) denying(kind Kind) map[string]any {
	for {
		if s := m.statement(kind); s["Effect"] == "Deny" {
			return s
		}
	}
}
