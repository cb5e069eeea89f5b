package kms

import (
	"maps"
	"testing"
)

// contexts are all of three names that have one of two values, or none.
func contexts() []map[string]string {
	all := []map[string]string{{}}
	for _, name := range []string{"a", "b", "c"} {
		for _, context := range all {
			for _, value := range []string{"1", "2"} {
				more := maps.Clone(context)
				more[name] = value
				all = append(all, more)
			}
		}
	}
	return all
}

// A grant may be made by another exactly if every context that it allows is one that the
// other allows: of all constraints on two names, under all contexts of three.
func TestNarrowingIsInclusion(t *testing.T) {
	constraints := []constraint{{}}
	for _, pairs := range contexts() {
		if _, third := pairs["c"]; len(pairs) > 0 && !third {
			constraints = append(constraints, constraint{equalsContext, pairs}, constraint{subsetContext, pairs})
		}
	}
	narrower := 0
	for _, parent := range constraints {
		for _, child := range constraints {
			included := true
			for _, context := range contexts() {
				if child.admits(context, true) && !parent.admits(context, true) {
					included = false
				}
			}
			if got := parent.admits(child.pairs, child.kind == equalsContext); got != included {
				t.Errorf("%+v may make %+v: %v", parent, child, got)
			}
			if included {
				narrower++
			}
		}
	}
	if narrower < len(constraints) || narrower == len(constraints)*len(constraints) {
		t.Errorf("%d of %d pairs are narrower", narrower, len(constraints)*len(constraints))
	}
	// What the store is asked for holds whatever admits.
	for _, c := range constraints {
		for _, context := range contexts() {
			found := c.hint() == ""
			for name, value := range context {
				found = found || hintOf(name, value) == c.hint()
			}
			if c.admits(context, true) && !found {
				t.Errorf("%+v is not looked for under %v", c, context)
			}
		}
	}
}
