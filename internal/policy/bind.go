package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/arn"
)

// Bindings are whom the principals of a policy mean: the unique id of the user or
// role that bore the name when the policy was written, by principal as written.
// Decisions are made on the text with ids in place of names, as AWS does, so that
// nobody gains anything by taking a name that was deleted. What no id stands for
// (accounts, services, everyone) is in none.
type Bindings map[string]string

// A Bearer answers the unique id of the user or role that a principal names: a
// user's or role's ARN, the ARN of a role's session, or an id. Where there is none
// the error is ErrNoBearer.
type Bearer func(principal string) (id string, err error)

// ErrNoBearer says that no user or role bears a name.
var ErrNoBearer = errors.New("policy: no user or role bears this name")

// Bind finds whom the principals of a policy mean that Parse has accepted. If one
// of them is nobody the policy is malformed, as in AWS, and the error an *Error.
func Bind(text string, bearer Bearer) (Bindings, error) {
	all := Bindings{}
	var failed error
	_, err := RewritePrincipals(text, func(principal string) string {
		session, bound := binds(principal)
		if !bound || failed != nil {
			return principal
		}
		id, err := bearer(principal)
		if errors.Is(err, ErrNoBearer) || err == nil && session != "" && !uniqueID(id+":"+session) {
			at := strings.Index(text, principal) // -1, the beginning, if it was written with escapes
			err = source(text).fault(at, `Invalid principal in policy: "AWS":%q`, principal)
		}
		all[principal], failed = id, err
		return principal
	})
	if err = errors.Join(failed, err); err != nil {
		return nil, err
	}
	return all, nil
}

// binds says whether a principal names a user, a role, or a session of a role, whose
// name it tells.
func binds(principal string) (session string, ok bool) {
	if uniqueID(principal) {
		return "", true
	}
	a, err := arn.Parse(principal)
	if err != nil {
		return "", false
	}
	kind, name, _ := strings.Cut(a.Resource, "/")
	switch {
	case a.Service == "iam":
		return "", kind == "user" || kind == "role"
	case a.Service == "sts" && kind == "assumed-role":
		return name[strings.LastIndexByte(name, '/')+1:], true
	}
	return "", false
}

// meant is what stands for a principal in decisions.
func (b Bindings) meant(principal string) string {
	id, bound := b[principal]
	if !bound {
		return principal
	}
	if session, _ := binds(principal); session != "" {
		return id + ":" + session
	}
	return id
}

// Parse reads the policy as it is meant.
func (b Bindings) Parse(text string, kind Kind) (*Policy, error) {
	text, err := RewritePrincipals(text, b.meant)
	if err != nil {
		return nil, err
	}
	return Parse([]byte(text), kind)
}

// Shown is the policy for its readers: as it was written, but with the id for a
// name whose bearer is gone, even if another has the name now.
func (b Bindings) Shown(text string, bearer Bearer) (string, error) {
	var failed error
	shown, err := RewritePrincipals(text, func(principal string) string {
		id, bound := b[principal]
		if !bound || failed != nil {
			return principal
		}
		now, err := bearer(principal)
		switch {
		case errors.Is(err, ErrNoBearer), err == nil && now != id:
			return b.meant(principal)
		case err != nil:
			failed = err
		}
		return principal
	})
	return shown, errors.Join(failed, err)
}

// Text is the bindings for a column of a table; those of no principal are empty.
func (b Bindings) Text() string {
	if len(b) == 0 {
		return ""
	}
	text, err := json.Marshal(map[string]string(b), json.Deterministic(true))
	if err != nil {
		panic(err) // a principal that is not UTF-8, which Parse refuses
	}
	return string(text)
}

// ReadBindings reads what Text wrote.
func ReadBindings(text string) (Bindings, error) {
	if text == "" {
		return nil, nil
	}
	var b Bindings
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return nil, fmt.Errorf("policy: bindings: %w", err)
	}
	return b, nil
}

type members = map[string]jsontext.Value

// RewritePrincipals puts replace(p) for every AWS principal p of a policy that
// Parse has accepted. A text in which nothing changes stays as it is.
func RewritePrincipals(text string, replace func(string) string) (string, error) {
	var doc members
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return "", err
	}
	var statements []members
	list := doc["Statement"]
	if list.Kind() != '[' {
		list = jsontext.Value("[" + string(list) + "]")
	}
	if err := json.Unmarshal(list, &statements); err != nil {
		return "", err
	}
	changed := false
	for _, s := range statements {
		for _, element := range []string{"Principal", "NotPrincipal"} {
			if s[element].Kind() != '{' {
				continue
			}
			did, err := rewriteElement(s, element, replace)
			if err != nil {
				return "", err
			}
			changed = changed || did
		}
	}
	if !changed {
		return text, nil
	}
	var err error
	if doc["Statement"], err = json.Marshal(statements, json.Deterministic(true)); err != nil {
		return "", err
	}
	out, err := json.Marshal(doc, json.Deterministic(true))
	return string(out), err
}

func rewriteElement(statement members, element string, replace func(string) string) (changed bool, err error) {
	var typed members
	if err := json.Unmarshal(statement[element], &typed); err != nil {
		return false, err
	}
	var names []string
	list := typed["AWS"]
	if len(list) == 0 {
		return false, nil
	}
	if list.Kind() != '[' {
		list = jsontext.Value("[" + string(list) + "]")
	}
	if err := json.Unmarshal(list, &names); err != nil {
		return false, err
	}
	for i, name := range names {
		names[i] = replace(name)
		changed = changed || names[i] != name
	}
	if !changed {
		return false, nil
	}
	if typed["AWS"], err = json.Marshal(names); err != nil {
		return false, err
	}
	statement[element], err = json.Marshal(typed, json.Deterministic(true))
	return true, err
}
