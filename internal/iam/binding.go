package iam

import (
	"cmp"
	"errors"
	"strings"

	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// The bindings of a role's trust policy (see policy.Bindings) are rows, so that a
// join tells which of the bearers are still there.

// bindings are whom the principals of a trust policy mean, and what those of them
// who live are called today.
func bindings(q querier, owner string) (all policy.Bindings, today map[string]string, err error) {
	rows, err := q.Query(`SELECT b.principal, b.id, COALESCE(e.account, ''), COALESCE(e.path, ''), COALESCE(e.name, '')
		FROM iam_bindings b LEFT JOIN iam_entities e ON e.id = b.id WHERE b.owner = ?`, owner)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	all, today = policy.Bindings{}, map[string]string{}
	for rows.Next() {
		var principal, id, account, path, name string
		if err := rows.Scan(&principal, &id, &account, &path, &name); err != nil {
			return nil, nil, err
		}
		all[principal] = id
		if name == "" {
			continue
		}
		today[principal] = principal
		if k, _, _ := namedPrincipal(principal); k == user { // roles keep their names
			today[principal] = entityARN(user, account, path, name)
		}
	}
	return all, today, rows.Err()
}

// shownTrust is a role's trust policy as its readers see it: users by the names that
// they have now, who is gone by his id.
func shownTrust(q querier, e *entity) (string, error) {
	all, today, err := bindings(q, e.id)
	if err != nil {
		return "", err
	}
	text, err := all.Shown(e.trust, func(principal string) (string, error) {
		if today[principal] == "" {
			return "", policy.ErrNoBearer
		}
		return all[principal], nil
	})
	if err != nil {
		return "", err
	}
	return policy.RewritePrincipals(text, func(principal string) string {
		return cmp.Or(today[principal], principal)
	})
}

// bind finds whom a trust policy's principals mean.
func bind(sn *store.Snapshot, text string) (policy.Bindings, error) {
	all, err := policy.Bind(text, func(principal string) (string, error) { return bearer(sn, principal) })
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return nil, fail("MalformedPolicyDocument", "%s", e.Message)
	}
	return all, err
}

// bearer is the unique id of the user or role that a principal names.
func bearer(sn *store.Snapshot, principal string) (string, error) {
	var e *entity
	var err error
	k, account, name := namedPrincipal(principal)
	switch {
	case strings.HasPrefix(principal, "AIDA"), strings.HasPrefix(principal, "AROA"):
		if _, err = sn.Version(entityKey(principal)); err == nil {
			e, err = entityByID(sn, principal)
		}
	case k != "":
		e, err = named(sn, k, account, name)
	}
	if err != nil {
		return "", err
	}
	if e == nil || k != "" && !namesSession(principal) && e.arn() != principal {
		return "", policy.ErrNoBearer
	}
	return e.id, nil
}

// namesSession says whether an ARN tells a role without its path. Paths may hold
// colons, so that the words alone say nothing.
func namesSession(principal string) bool {
	a, err := arn.Parse(principal)
	return err == nil && strings.HasPrefix(a.Resource, "assumed-role/")
}

// namedPrincipal takes the ARN of a user, a role or a session of one apart.
func namedPrincipal(principal string) (k kind, account, name string) {
	a, err := arn.Parse(principal)
	if err != nil || a.Partition != "aws" {
		return "", "", ""
	}
	what, path, _ := strings.Cut(a.Resource, "/")
	last := path[strings.LastIndex(path, "/")+1:]
	switch {
	case a.Service == "iam" && what == "user":
		return user, a.Account, last
	case a.Service == "iam" && what == "role":
		return role, a.Account, last
	case what == "assumed-role" && (a.Service == "sts" || a.Service == "iam"): // see resolve
		name, _, _ := strings.Cut(path, "/")
		return role, a.Account, name
	}
	return "", "", ""
}

// putBindings replaces what the principals of a role's trust policy mean.
func putBindings(tx *store.Tx, owner string, all policy.Bindings) error {
	if _, err := tx.Exec(`DELETE FROM iam_bindings WHERE owner = ?`, owner); err != nil {
		return err
	}
	for principal, id := range all {
		if _, err := tx.Exec(`INSERT INTO iam_bindings (owner, principal, id) VALUES (?, ?, ?)`, owner, principal, id); err != nil {
			return err
		}
	}
	return nil
}
