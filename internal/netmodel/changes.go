package netmodel

import (
	"fmt"
	"slices"
	"strings"
)

// Changes writes, in nft's language, what turns the ruleset old, which the kernel must hold unchanged, into r. It is empty
// if they are equal. Run as one transaction it does everything or nothing. Only what differs is named: a chain whose steps
// changed is filled anew, and so is an interval set; of other sets single elements come and go.
func (r Ruleset) Changes(old Ruleset) string {
	var b strings.Builder
	hadChains, hadSets := byName(old.Chains, chainName), byName(old.Sets, setName)
	hasChains, hasSets := byName(r.Chains, chainName), byName(r.Sets, setName)
	for i := range r.Chains {
		if hadChains[r.Chains[i].Name] == nil {
			r.Chains[i].declare(&b)
		}
	}
	for i := range r.Sets {
		s := &r.Sets[i]
		if was := hadSets[s.Name]; was != nil {
			s.change(&b, was)
		} else {
			s.declare(&b)
			s.add(&b, s.Elements)
		}
	}
	for i := range r.Chains {
		c := &r.Chains[i]
		was := hadChains[c.Name]
		if was != nil && slices.Equal(was.Steps, c.Steps) {
			continue
		}
		if was != nil {
			fmt.Fprintf(&b, "flush chain inet %s %s\n", Table, c.Name)
		}
		c.fill(&b)
	}
	// What goes may refer to what goes: all of it is emptied before any is deleted.
	goneChains := slices.DeleteFunc(slices.Clone(old.Chains), func(c Chain) bool { return hasChains[c.Name] != nil })
	goneSets := slices.DeleteFunc(slices.Clone(old.Sets), func(s Set) bool { return hasSets[s.Name] != nil })
	for _, c := range goneChains {
		fmt.Fprintf(&b, "flush chain inet %s %s\n", Table, c.Name)
	}
	for _, s := range goneSets {
		fmt.Fprintf(&b, "delete %s inet %s %s\n", s.kind(), Table, s.Name)
	}
	for _, c := range goneChains {
		fmt.Fprintf(&b, "delete chain inet %s %s\n", Table, c.Name)
	}
	return b.String()
}

func chainName(c *Chain) string { return c.Name }

func setName(s *Set) string { return s.Name }

func byName[T any](list []T, name func(*T) string) map[string]*T {
	out := make(map[string]*T, len(list))
	for i := range list {
		out[name(&list[i])] = &list[i]
	}
	return out
}

// change writes what turns a set of the same name into s. Removals come first, as a key may come back with another value.
func (s *Set) change(b *strings.Builder, was *Set) {
	if slices.Equal(was.Elements, s.Elements) {
		return
	}
	if s.Interval {
		if len(was.Elements) > 0 {
			fmt.Fprintf(b, "flush %s inet %s %s\n", s.kind(), Table, s.Name)
		}
		s.add(b, s.Elements)
		return
	}
	s.remove(b, lacking(was.Elements, s.Elements))
	s.add(b, lacking(s.Elements, was.Elements))
}

// lacking returns the elements of list that other does not have.
func lacking(list, other []Element) []Element {
	have := make(map[Element]struct{}, len(other))
	for _, e := range other {
		have[e] = struct{}{}
	}
	return slices.DeleteFunc(slices.Clone(list), func(e Element) bool {
		_, found := have[e]
		return found
	})
}
