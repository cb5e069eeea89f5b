package policy

import (
	"fmt"
	"strings"
)

// A Finding is something in a policy that a Catalogue does not know.
type Finding struct {
	Statement int    // index
	Element   string // "Action", "Resource" or "Condition"; the Not forms too
	Name      string // the action or key as written
	Message   string
	// Elsewhere: it is an action of a service that the catalogue knows nothing of.
	Elsewhere bool
	// Weakens: without it the statement denies less, or allows more, than its author
	// meant. An unknown action that is merely allowed gives nothing.
	Weakens bool
}

// Tolerable says whether a policy of an identity or a session may hold what was
// found, as it may at AWS: policies travel, and name services that are not here and
// actions that never were.
func (f Finding) Tolerable() bool {
	return strings.HasSuffix(f.Element, "Action") && (f.Elsewhere || !f.Weakens)
}

// maxGuesses bounds what a policy full of unknown names can cost: looking for what
// one of them meant takes a millisecond.
const maxGuesses = 10

// Validate lists the actions and condition keys of p that cat does not know, and
// if cat is a Speller, what was meant by the first of them. Actions with wildcards
// are not judged: a Catalogue cannot list. A policy with findings must not be
// stored; if one was, its unknown keys fail closed. Without a catalogue nothing is
// judged.
func Validate(p *Policy, cat Catalogue) []Finding {
	if cat == nil {
		return nil
	}
	var all []Finding
	for i := range p.statements {
		s := &p.statements[i]
		find := func(element, name, format string, near func(string) string) {
			message := fmt.Sprintf(format, name)
			if near != nil && len(all) < maxGuesses {
				if meant := near(name); meant != "" {
					message += "; did you mean " + meant + "?"
				}
			}
			f := Finding{Statement: i, Element: element, Name: name, Message: message, Weakens: true}
			if strings.HasSuffix(element, "Action") {
				service, _, _ := strings.Cut(fold(name), ":")
				f.Elsewhere, f.Weakens = !servicesOf(cat, service), s.deny != s.notAction
			}
			all = append(all, f)
		}
		var nearAction, nearKey func(string) string
		if speller, ok := cat.(Speller); ok {
			nearAction, nearKey = speller.NearAction, speller.NearKey
		}
		for _, a := range s.actions {
			if !a.all && !strings.ContainsAny(a.text, "*?") && !cat.KnownAction(a.text) {
				find(either(s.notAction, "NotAction", "Action"), a.text, "no action %s exists", nearAction)
			}
		}
		for j := range s.resources.patterns {
			for _, k := range s.resources.patterns[j].keys(nil) {
				if !cat.KnownKey(fold(k)) {
					find(either(s.resources.not, "NotResource", "Resource"), k, "the policy variable ${%s} is of no condition key that exists", nearKey)
				}
			}
		}
		for j := range s.conditions {
			for _, k := range s.conditions[j].keys(nil) {
				if !cat.KnownKey(fold(k)) {
					find("Condition", k, "no condition key %s exists", nearKey)
				}
			}
		}
	}
	return all
}

// servicesOf says whether a catalogue knows a service; one that cannot tell knows
// all.
func servicesOf(cat Catalogue, service string) bool {
	knower, ok := cat.(interface{ KnownService(service string) bool })
	return !ok || knower.KnownService(service)
}

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
