package iam

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/arn"
	"bawn.dev/internal/store"
)

// A trust policy names users, roles and sessions. Who was meant is the entity
// that bore the name when the policy was written, and no later one of the same
// name. So the unique id is kept beside the text, and decisions are made on the
// text with ids in place of names, as AWS does.

// A binding is what one principal of a trust policy means.
type binding struct {
	id    string
	alive bool
}

type bound map[string]binding // by principal, as the policy writes it

// meaning is what stands for a principal in decisions. A session cannot be named
// by id: it stands for itself as long as its role lives, and then for the dead
// role, which nobody can be any more.
func (b bound) meaning(principal string) string {
	target, ok := b[principal]
	if !ok || target.alive && strings.Contains(principal, ":assumed-role/") {
		return principal
	}
	return target.id
}

// shown is what a reader of the policy sees for a principal: the id where the
// name's bearer is gone.
func (b bound) shown(principal string) string {
	if target, ok := b[principal]; ok && !target.alive {
		return target.id
	}
	return principal
}

func bindings(q querier, owner string) (bound, error) {
	rows, err := q.Query(`SELECT b.principal, b.id, CASE WHEN e.id IS NULL THEN 0 ELSE 1 END
		FROM iam_bindings b LEFT JOIN iam_entities e ON e.id = b.id WHERE b.owner = ?`, owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := bound{}
	for rows.Next() {
		var principal string
		var target binding
		var alive int
		if err := rows.Scan(&principal, &target.id, &alive); err != nil {
			return nil, err
		}
		target.alive = alive == 1
		all[principal] = target
	}
	return all, rows.Err()
}

// bind finds whom a policy's principals mean. One that does not exist makes the
// policy malformed, as in AWS.
func bind(sn *store.Snapshot, text string) (bound, error) {
	all := bound{}
	var failed error
	_, err := rewritePrincipals(text, func(principal string) string {
		id, err := bearer(sn, principal)
		if err != nil && failed == nil {
			failed = err
		}
		if id != "" {
			all[principal] = binding{id, true}
		}
		return principal
	})
	if failed != nil {
		err = failed
	}
	return all, err
}

// bearer is the unique id of the user or role that a principal names; empty for
// accounts and everyone.
func bearer(sn *store.Snapshot, principal string) (string, error) {
	var e *entity
	var err error
	k, account, name := namedPrincipal(principal)
	switch {
	case strings.HasPrefix(principal, "AIDA"), strings.HasPrefix(principal, "AROA"):
		if _, err = sn.Version(entityKey(principal)); err == nil {
			e, err = entityByID(sn, principal)
		}
	case k == "":
		return "", nil
	default:
		e, err = named(sn, k, account, name)
	}
	if err != nil {
		return "", err
	}
	session := strings.Contains(principal, ":assumed-role/")
	if e == nil || k != "" && !session && e.arn() != principal {
		return "", fail("MalformedPolicyDocument", `Invalid principal in policy: "AWS":"%s"`, principal)
	}
	return e.id, nil
}

// namedPrincipal takes the ARN of a user, a role or a session of one apart.
func namedPrincipal(principal string) (k kind, account, name string) {
	a, err := arn.Parse(principal)
	if err != nil {
		return "", "", ""
	}
	what, path, _ := strings.Cut(a.Resource, "/")
	last := path[strings.LastIndex(path, "/")+1:]
	switch {
	case a.Service == "iam" && what == "user":
		return user, a.Account, last
	case a.Service == "iam" && what == "role":
		return role, a.Account, last
	case a.Service == "sts" && what == "assumed-role":
		name, _, _ := strings.Cut(path, "/")
		return role, a.Account, name
	}
	return "", "", ""
}

// putBindings replaces what the principals of a role's trust policy mean.
func putBindings(tx *store.Tx, owner string, all bound) error {
	if _, err := tx.Exec(`DELETE FROM iam_bindings WHERE owner = ?`, owner); err != nil {
		return err
	}
	for principal, target := range all {
		if _, err := tx.Exec(`INSERT INTO iam_bindings (owner, principal, id) VALUES (?, ?, ?)`, owner, principal, target.id); err != nil {
			return err
		}
	}
	return nil
}

type object = map[string]jsontext.Value

// rewritePrincipals puts replace(p) for every AWS principal p of a policy that
// package policy has accepted. A text in which nothing changes stays as it is.
func rewritePrincipals(text string, replace func(string) string) (string, error) {
	var doc object
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return "", err
	}
	var statements []object
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

func rewriteElement(statement object, element string, replace func(string) string) (changed bool, err error) {
	var typed object
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
