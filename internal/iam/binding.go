package iam

import (
	"errors"
	"strings"

	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// The bindings of a role's trust policy (see policy.Bindings) are rows, so that a
// join tells which of the bearers are still there.

// bindings are whom the principals of a trust policy mean, and which of them live.
func bindings(q querier, owner string) (all, alive policy.Bindings, err error) {
	rows, err := q.Query(`SELECT b.principal, b.id, CASE WHEN e.id IS NULL THEN 0 ELSE 1 END
		FROM iam_bindings b LEFT JOIN iam_entities e ON e.id = b.id WHERE b.owner = ?`, owner)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	all, alive = policy.Bindings{}, policy.Bindings{}
	for rows.Next() {
		var principal, id string
		var lives int
		if err := rows.Scan(&principal, &id, &lives); err != nil {
			return nil, nil, err
		}
		all[principal] = id
		if lives == 1 {
			alive[principal] = id
		}
	}
	return all, alive, rows.Err()
}

// shownTrust is a role's trust policy as its readers see it.
func shownTrust(q querier, e *entity) (string, error) {
	all, alive, err := bindings(q, e.id)
	if err != nil {
		return "", err
	}
	return all.Shown(e.trust, func(principal string) (string, error) {
		if id, ok := alive[principal]; ok {
			return id, nil
		}
		return "", policy.ErrNoBearer
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
	session := strings.Contains(principal, ":assumed-role/")
	if e == nil || k != "" && !session && e.arn() != principal {
		return "", policy.ErrNoBearer
	}
	return e.id, nil
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
