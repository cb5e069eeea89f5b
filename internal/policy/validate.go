package policy

// A Finding is something in a policy that a Catalogue does not know.
type Finding struct {
	Statement int    // index
	Element   string // Action, NotAction, Condition, Resource, NotResource
	Name      string // the action or key, as found
	Message   string
}

// Validate lists the actions and condition keys of p that cat does not know.
// Actions with wildcards are not judged.
func Validate(p *Policy, cat Catalogue) []Finding { return nil }

// Public says whether some statement allows everyone.
func (p *Policy) Public() bool { return true }

// Principals lists the AWS principals that the policy names.
func (p *Policy) Principals() []string { return nil }
