package policy

// A condition is one key under one operator: its values are alternatives, and all
// conditions of a statement must be met.
type condition struct {
	operator
	key       string // lower case
	written   string // the key as written
	values    matcher
	absent    bool     // Null: what the key must be, present or absent
	either    bool     // Null: both are named
	variables []string // condition keys of the variables in the values, in lower case
	name      string   // of the operator, as written
	text      []string // values, as written
}

// keys appends the condition keys of the condition and of its variables, as written.
func (c *condition) keys(to []string) []string {
	to = append(to, c.written)
	if m, ok := c.values.(variableUser); ok {
		to = m.variables(to)
	}
	return to
}

// A matcher compares one value of a request's key with the values of a policy.
// Known is false if it cannot be told: the request's value is not of the
// operator's type, or a variable has no value. A match is always known.
type matcher interface {
	match(ctx Context, value string) (matched, known bool)
}

// met says whether the condition holds for a request.
//
// AWS leaves open what operators without ForAllValues or ForAnyValue do with
// several values. Here such an Allow needs all of them to satisfy the operator,
// and such a Deny any of them.
func (c *condition) met(e *env, deny bool) bool {
	if cat := e.in.Catalogue; cat != nil && (!cat.KnownKey(c.key) || e.unknownKey(c.variables)) {
		return deny
	}
	have := e.in.Context[c.key]
	if c.family == null {
		return c.either || c.absent == (len(have) == 0)
	}
	if len(have) == 0 {
		return c.missing()
	}
	enough := c.quantifier == forAny || c.quantifier == single && deny
	for _, v := range have {
		if c.holds(e.in.Context, v, deny) == enough {
			return enough
		}
	}
	return !enough
}

// missing is the answer for a key without values.
func (c *condition) missing() bool {
	switch c.quantifier {
	case forAll:
		return true
	case forAny:
		return c.ifExists
	}
	return c.ifExists || c.negated
}

// holds says whether one value satisfies the operator. What cannot be told never
// satisfies an Allow; in a Deny it counts as no match, as in AWS, and so
// satisfies the negated operators.
func (c *condition) holds(ctx Context, value string, deny bool) bool {
	matched, known := c.values.match(ctx, value)
	if !known && !deny {
		return false
	}
	return matched != c.negated
}

func (c *compiler) condition(raw *rawCondition) (cond condition, err error) {
	op, problem := parseOperator(raw.operator.s)
	if problem != "" {
		return cond, c.src.fault(raw.operator.at, "%s", problem)
	}
	if !validKey(raw.key.s) {
		return cond, c.src.fault(raw.key.at, "%q is no condition key; write it as service:key, such as aws:SourceIp", raw.key.s)
	}
	cond = condition{operator: op, key: fold(raw.key.s), written: raw.key.s, name: raw.operator.s}
	for _, v := range raw.values {
		cond.text = append(cond.text, v.s)
	}
	m := newMatcher(op, c.variables)
	for _, v := range raw.values {
		if problem := m.add(v.s); problem != "" {
			return cond, c.src.fault(v.at, "%s %s: value %q %s", raw.operator.s, raw.key.s, v.s, problem)
		}
	}
	switch m := m.(type) {
	case *boolMatcher:
		cond.absent, cond.either = m.yes, m.yes && m.no
	case variableUser:
		cond.variables = foldAll(m.variables(nil))
	}
	cond.values = m
	return cond, nil
}

// A building matcher takes the values of a policy, one by one. Add says what is
// wrong with a value.
type building interface {
	matcher
	add(value string) (problem string)
}

// A variableUser is a matcher whose values may hold policy variables. It appends
// their condition keys, as written.
type variableUser interface{ variables(to []string) []string }

func newMatcher(op operator, variables bool) building {
	switch op.family {
	case exactStrings, foldedStrings, likeStrings:
		return &stringMatcher{family: op.family, allowVariables: variables}
	case arns:
		return &arnMatcher{allowVariables: variables}
	case numbers:
		return &numberMatcher{order: op.order}
	case dates:
		return &dateMatcher{order: op.order}
	case binaries:
		return &binaryMatcher{}
	case addresses:
		return &addressMatcher{}
	default: // bools and null, whose values are Booleans too
		return &boolMatcher{}
	}
}
