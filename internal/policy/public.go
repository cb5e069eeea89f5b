package policy

import (
	"slices"
	"strings"
)

// Public says whether some statement allows everyone without a condition that
// keeps it to known callers. It follows S3's meaning of "public" (S3 user guide,
// "Blocking public access"): a condition restricts if it demands fixed values,
// without wildcards or variables, of a key that says where a call comes from or
// on whose behalf; and it errs towards true.
func (p *Policy) Public() bool {
	for i := range p.statements {
		s := &p.statements[i]
		if s.deny || s.principals == nil || !s.principals.everyone {
			continue
		}
		if !slices.ContainsFunc(s.conditions, condition.isRestricting) {
			return true
		}
	}
	return false
}

// isRestricting says whether the condition keeps a statement to known callers.
func (c condition) isRestricting() bool {
	if c.negated || c.ifExists || c.quantifier == forAll || len(c.variables) > 0 {
		return false
	}
	switch c.key {
	case "aws:sourceip", "aws:vpcsourceip":
		m, ok := c.values.(*addressMatcher)
		return ok && m.narrow()
	case "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceaccount", "aws:sourceowner", "aws:sourceorgid",
		"aws:principalorgid", "aws:principalaccount", "aws:principalarn", "aws:userid", "aws:vpceaccount", "aws:vpceorgid",
		"s3:dataaccesspointarn", "s3:dataaccesspointaccount":
	default:
		return false
	}
	switch c.family {
	case exactStrings, foldedStrings:
		return true
	case likeStrings, arns:
		return !slices.ContainsFunc(c.text, func(v string) bool { return strings.ContainsAny(v, "*?") })
	}
	return false
}

// narrow says whether all ranges are smaller than what S3 holds for public: a /8
// of IPv4 or a /32 of IPv6 is the widest that is not.
func (m *addressMatcher) narrow() bool {
	for _, r := range m.ranges {
		if r.Addr().Is4() && r.Bits() < 8 || r.Addr().Is6() && r.Bits() < 32 {
			return false
		}
	}
	return true
}

// Principals lists the principals that the policy names as AWS, Service,
// Federated or CanonicalUser, as written, sorted, each once, "*" included. A
// service checks with it that they exist.
func (p *Policy) Principals() []string {
	var names []string
	for i := range p.statements {
		if who := p.statements[i].principals; who != nil {
			names = append(names, who.text...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
