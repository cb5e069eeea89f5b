package policy

import (
	"fmt"
	"slices"
	"strings"
)

// A Finding is something in a policy that a Catalogue does not know.
type Finding struct {
	Statement int    // index
	Element   string // "Action", "Resource" or "Condition"; the Not forms too
	Name      string // the action as written, or the key in lower case
	Message   string
}

// Validate lists the actions and condition keys of p that cat does not know.
// Actions with wildcards are not judged: a Catalogue cannot list. A policy with
// findings must not be stored; if one was, its unknown keys fail closed. Without
// a catalogue nothing is judged.
func Validate(p *Policy, cat Catalogue) []Finding {
	if cat == nil {
		return nil
	}
	var all []Finding
	for i := range p.statements {
		s := &p.statements[i]
		find := func(element, name, format string) {
			all = append(all, Finding{i, element, name, fmt.Sprintf(format, name)})
		}
		for _, a := range s.actions {
			if !a.all && !strings.ContainsAny(a.text, "*?") && !cat.KnownAction(fold(a.text)) {
				find(either(s.notAction, "NotAction", "Action"), a.text, "no action %s exists; check its spelling in the service authorization reference")
			}
		}
		for _, k := range s.resources.keys {
			if !cat.KnownKey(k) {
				find(either(s.resources.not, "NotResource", "Resource"), k, "the policy variable ${%s} is of no condition key that exists")
			}
		}
		for _, c := range s.conditions {
			for _, k := range slices.Concat([]string{c.key}, c.variables) {
				if !cat.KnownKey(k) {
					find("Condition", k, "no condition key %s exists; check its spelling in the service authorization reference")
				}
			}
		}
	}
	return all
}

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
