package policy

import "strings"

// A statement is one compiled statement. Its parts are tried cheapest first:
// action, principal, resource, conditions.
type statement struct {
	index        int
	start, end   Position
	sid          string
	deny         bool
	principals   *principals // nil where the kind has none
	notPrincipal bool
	actions      []actionPattern
	notAction    bool
	resources    resources
	conditions   []condition
}

func (s *statement) effect() string {
	if s.deny {
		return "Deny"
	}
	return "Allow"
}

// keys lists the condition keys that the statement asks for, as written.
func (s *statement) keys() (keys []string) {
	for i := range s.resources.patterns {
		keys = s.resources.patterns[i].keys(keys)
	}
	for i := range s.conditions {
		keys = s.conditions[i].keys(keys)
	}
	return keys
}

// A compiler turns the raw document into statements.
type compiler struct {
	src       source
	kind      Kind
	variables bool // the version has them
}

func (c *compiler) policy(d *rawDocument) (*Policy, error) {
	p := &Policy{kind: c.kind, version: Version2008}
	if d.version != nil {
		p.version = d.version.s
		if p.version != Version2008 && p.version != Version2012 {
			return nil, c.src.fault(d.version.at, "Version %q does not exist; write %q", p.version, Version2012)
		}
	}
	c.variables = p.version == Version2012
	if d.id != nil {
		p.id = d.id.s
	}
	switch {
	case !d.present:
		return nil, c.src.fault(d.at, "the policy has no Statement; add one")
	case len(d.statements) == 0:
		return nil, c.src.fault(d.at, "Statement is empty; add at least one statement")
	}
	sids := map[string]bool{}
	for i := range d.statements {
		s, err := c.statement(&d.statements[i])
		if err != nil {
			return nil, err
		}
		if s.sid != "" && sids[s.sid] {
			return nil, c.src.fault(d.statements[i].sid.at, "Sid %q appears twice; make each one unique", s.sid)
		}
		sids[s.sid] = true
		s.index = i
		s.start, s.end = c.src.position(d.statements[i].from), c.src.position(d.statements[i].to)
		p.statements = append(p.statements, s)
	}
	return p, nil
}

func (c *compiler) statement(raw *rawStatement) (s statement, err error) {
	if raw.effect == nil {
		return s, c.src.fault(raw.at, `the statement has no Effect; write "Allow" or "Deny"`)
	}
	switch raw.effect.s {
	case "Allow":
	case "Deny":
		s.deny = true
	default:
		return s, c.src.fault(raw.effect.at, `Effect is %q; write "Allow" or "Deny", in that case`, raw.effect.s)
	}
	if err := c.sid(raw.sid); err != nil {
		return s, err
	}
	if raw.sid != nil {
		s.sid = raw.sid.s
	}
	if err := c.principalElement(raw, &s); err != nil {
		return s, err
	}
	if err := c.actionElement(raw, &s); err != nil {
		return s, err
	}
	if err := c.resourceElement(raw, &s); err != nil {
		return s, err
	}
	for i := range raw.conditions {
		cond, err := c.condition(&raw.conditions[i])
		if err != nil {
			return s, err
		}
		s.conditions = append(s.conditions, cond)
	}
	return s, c.restrict(raw, &s)
}

// sid holds Sids to what AWS takes: letters and digits in IAM, printable text in
// resources' policies.
func (c *compiler) sid(t *text) error {
	if t == nil {
		return nil
	}
	free := c.kind == Resource || c.kind == Endpoint
	for _, r := range t.s {
		alnum := '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
		if !alnum && !(free && r >= ' ' && r != 0x7f) {
			return c.src.fault(t.at, "Sid %q may hold letters and digits only", t.s)
		}
	}
	return nil
}

// restrict applies what AWS allows in a kind beyond the presence of elements.
func (c *compiler) restrict(raw *rawStatement, s *statement) error {
	switch c.kind {
	case Trust:
		if s.notAction {
			return c.src.fault(raw.notAction.at, "a role trust policy has no NotAction; name the sts actions in Action")
		}
		for i, a := range s.actions {
			if a.service != "sts" {
				return c.src.fault(raw.action.values[i].at, "a role trust policy may only name actions of sts, not %q", raw.action.values[i].s)
			}
		}
	case RCP:
		if !s.principals.everyone || len(raw.principal.typed) > 1 {
			return c.src.fault(raw.principal.at, `Principal of a resource control policy must be "*"; choose principals by condition`)
		}
		if s.notAction {
			return c.src.fault(raw.notAction.at, "a resource control policy has no NotAction; name the actions in Action")
		}
		if !s.deny && !s.allowsAll() {
			return c.src.fault(raw.effect.at, "a resource control policy only denies; Allow stands in RCPFullAWSAccess alone, for everything without condition")
		}
	}
	return nil
}

// allowsAll says whether a statement covers every action on every resource.
func (s *statement) allowsAll() bool {
	return len(s.conditions) == 0 && !s.notAction && !s.resources.not &&
		len(s.actions) == 1 && s.actions[0].all && s.resources.all
}

// principalElement compiles Principal or NotPrincipal as the kind demands.
func (c *compiler) principalElement(raw *rawStatement, s *statement) (err error) {
	if c.kind == Identity || c.kind == SessionPolicy || c.kind == SCP {
		for _, p := range []*rawPrincipal{raw.principal, raw.notPrincipal} {
			if p != nil {
				return c.src.fault(p.at, "%s names no principal: it applies to whom it is attached to; remove the element", article(c.kind))
			}
		}
		return nil
	}
	switch {
	case raw.principal != nil && raw.notPrincipal != nil:
		return c.src.fault(raw.notPrincipal.at, "Principal and NotPrincipal exclude each other; keep one")
	case raw.principal != nil:
		s.principals, err = c.principals(raw.principal)
		return err
	case raw.notPrincipal == nil:
		return c.src.fault(raw.at, "the statement has no Principal; %s must say whom it means", article(c.kind))
	case c.kind == Trust || c.kind == RCP:
		return c.src.fault(raw.notPrincipal.at, "%s has no NotPrincipal; use Principal", article(c.kind))
	case !s.deny:
		return c.src.fault(raw.notPrincipal.at, `NotPrincipal with "Effect": "Allow" is not supported; it would allow everyone else`)
	}
	s.notPrincipal = true
	if s.principals, err = c.principals(raw.notPrincipal); err != nil {
		return err
	}
	if s.principals.everyone {
		return c.src.fault(raw.notPrincipal.at, `NotPrincipal "*" excepts everyone and denies nobody; name principals`)
	}
	return nil
}

// actionElement compiles Action or NotAction.
func (c *compiler) actionElement(raw *rawStatement, s *statement) error {
	list := raw.action
	switch {
	case raw.action != nil && raw.notAction != nil:
		return c.src.fault(raw.notAction.at, "Action and NotAction exclude each other; keep one")
	case raw.notAction != nil:
		list, s.notAction = raw.notAction, true
	case list == nil:
		return c.src.fault(raw.at, "the statement has no Action; add Action or NotAction")
	}
	for _, t := range list.values {
		a, problem := compileAction(t.s)
		if problem != "" {
			return c.src.fault(t.at, "action %q %s", t.s, problem)
		}
		s.actions = append(s.actions, a)
	}
	return nil
}

// resourceElement compiles Resource or NotResource.
func (c *compiler) resourceElement(raw *rawStatement, s *statement) error {
	list := raw.resource
	switch {
	case c.kind == Trust:
		for _, l := range []*rawList{raw.resource, raw.notResource} {
			if l != nil {
				return c.src.fault(l.at, "a role trust policy has no Resource: it speaks of its role; remove the element")
			}
		}
		s.resources.all = true
		return nil
	case raw.resource != nil && raw.notResource != nil:
		return c.src.fault(raw.notResource.at, "Resource and NotResource exclude each other; keep one")
	case raw.notResource != nil:
		list, s.resources.not = raw.notResource, true
	case list == nil:
		return c.src.fault(raw.at, "the statement has no Resource; add Resource or NotResource")
	}
	for _, t := range list.values {
		if err := c.resource(t, &s.resources); err != nil {
			return err
		}
	}
	return nil
}

// article puts the indefinite article before a kind's name.
func article(k Kind) string {
	if strings.ContainsRune("aeiou", rune(k.String()[0])) {
		return "an " + k.String()
	}
	return "a " + k.String()
}
