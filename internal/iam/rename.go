package iam

import (
	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// A renaming gives a user or group another name, another path or both. All that
// hangs on the unique id stays: keys, policies, memberships, and the trust of those
// who named it (see binding.go).
type renaming struct{ from, to *entity }

// renamed resolves a renaming. It takes the permission on what is renamed and on
// what it will be called, tags included, so that nobody slips into a name that
// policies speak of.
func renamed(c *api.Call, k kind, name, newName, newPath, action string) (*renaming, []api.Demand, error) {
	from, demands, err := target(c, k, name, action)
	if err != nil {
		return nil, nil, err
	}
	to := &entity{kind: k, account: c.Account, path: "/", name: name}
	if from != nil {
		*to = *from
	}
	if newName != "" {
		to.name = newName
	}
	if newPath != "" {
		to.path = newPath
	}
	if newName != "" || newPath != "" {
		demands = append(demands, to.demand(action))
	}
	return &renaming{from, to}, demands, nil
}

// check refuses a name that another bears.
func (r *renaming) check(sn *store.Snapshot) error {
	if r.from.folded() == r.to.folded() {
		return nil
	}
	return vacant(sn, r.to)
}

func (r *renaming) commit(tx *store.Tx) error {
	if _, err := tx.Exec(`UPDATE iam_entities SET path = ?, name = ?, folded = ? WHERE id = ?`, r.to.path, r.to.name, r.to.folded(), r.to.id); err != nil {
		return err
	}
	return changed(tx, r.to, nameKey(r.from.kind, r.from.account, r.from.name), nameKey(r.to.kind, r.to.account, r.to.name))
}
