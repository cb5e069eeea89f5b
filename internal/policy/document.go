package policy

import (
	"errors"
	"io"
	"strings"
)

// document reads a whole policy.
func (r *reader) document() (*rawDocument, error) {
	d := &rawDocument{}
	at, err := r.object("a policy", func(name text) (err error) {
		switch name.s {
		case "Version":
			d.version, err = r.one("Version")
		case "Id":
			d.id, err = r.one("Id")
		case "Statement":
			d.present = true
			err = r.statementList(d)
		default:
			err = r.unknown(name, "a policy", "Version", "Id", "Statement")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	d.at = at
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, r.src.fault(int(r.dec.InputOffset()), "something follows the policy; one document holds one policy")
	}
	return d, nil
}

// statementList reads one statement or a list of them.
func (r *reader) statementList(d *rawDocument) error {
	tok, at, err := r.read()
	if err != nil {
		return err
	}
	switch tok.Kind() {
	case '{':
		return r.statement(d, at, at+1)
	case '[':
	default:
		return r.src.fault(at, "Statement must be an object or a list of objects")
	}
	for {
		from := int(r.dec.InputOffset())
		tok, at, err := r.read()
		if err != nil {
			return err
		}
		switch tok.Kind() {
		case ']':
			return nil
		case '{':
			if err := r.statement(d, at, from); err != nil {
				return err
			}
		default:
			return r.src.fault(at, "Statement must hold objects only")
		}
	}
}

// statement reads a statement whose brace was read.
func (r *reader) statement(d *rawDocument, at, from int) error {
	s := rawStatement{at: at, from: from}
	err := r.members(func(name text) (err error) {
		switch name.s {
		case "Sid":
			s.sid, err = r.one("Sid")
		case "Effect":
			s.effect, err = r.one("Effect")
		case "Principal":
			s.principal, err = r.principal("Principal")
		case "NotPrincipal":
			s.notPrincipal, err = r.principal("NotPrincipal")
		case "Action":
			s.action, err = r.many("Action", false)
		case "NotAction":
			s.notAction, err = r.many("NotAction", false)
		case "Resource":
			s.resource, err = r.many("Resource", false)
		case "NotResource":
			s.notResource, err = r.many("NotResource", false)
		case "Condition":
			s.conditions, err = r.condition()
		default:
			err = r.unknown(name, "a statement", "Sid", "Effect", "Principal", "NotPrincipal",
				"Action", "NotAction", "Resource", "NotResource", "Condition")
		}
		return err
	})
	s.to = int(r.dec.InputOffset())
	d.statements = append(d.statements, s)
	return err
}

func (r *reader) principal(what string) (*rawPrincipal, error) {
	tok, at, err := r.read()
	if err != nil {
		return nil, err
	}
	p := &rawPrincipal{at: at}
	switch {
	case tok.Kind() == '"' && tok.String() == "*":
		p.everyone = true
		return p, nil
	case tok.Kind() != '{':
		return nil, r.src.fault(at, `%s must be "*" or an object such as {"AWS": "arn:aws:iam::123456789012:root"}`, what)
	}
	err = r.members(func(name text) error {
		switch name.s {
		case "AWS", "Service", "Federated", "CanonicalUser":
		default:
			return r.unknown(name, what, "AWS", "Service", "Federated", "CanonicalUser")
		}
		list, err := r.many(what+" "+name.s, false)
		if err != nil {
			return err
		}
		p.typed = append(p.typed, rawTyped{kind: name, values: list.values})
		return nil
	})
	if err == nil && len(p.typed) == 0 {
		err = r.src.fault(at, "%s names nobody; add AWS, Service, Federated or CanonicalUser", what)
	}
	return p, err
}

// condition reads a Condition element. An empty one is usual in policies that
// tools write, and says nothing; an empty operator is a slip that would allow
// more than its author meant.
func (r *reader) condition() ([]rawCondition, error) {
	var all []rawCondition
	_, err := r.object("Condition", func(op text) error {
		seen := map[string]bool{}
		at, err := r.object(op.s, func(key text) error {
			if folded := fold(key.s); seen[folded] {
				return r.src.fault(key.at, "condition key %q appears twice under %s; case does not tell keys apart", key.s, op.s)
			} else {
				seen[folded] = true
			}
			list, err := r.many("condition key "+key.s, true)
			if err != nil {
				return err
			}
			all = append(all, rawCondition{operator: op, key: key, values: list.values})
			return nil
		})
		if err == nil && len(seen) == 0 {
			err = r.src.fault(at, "%s holds no condition key; add one or leave it out", op.s)
		}
		return err
	})
	return all, err
}

func (r *reader) unknown(name text, what string, known ...string) error {
	for _, k := range known {
		if strings.EqualFold(k, name.s) {
			return r.src.fault(name.at, "%q: names are case-sensitive; write %q", name.s, k)
		}
	}
	return r.src.fault(name.at, "%s has no member %q; it may have %s", what, name.s, strings.Join(known, ", "))
}
