package identity

import (
	"context"
	"errors"

	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
)

// A known entry is one that was brought in before.
type known struct {
	external, principal string
	active              bool // as the source last said
	there               bool // the source has it now
	user                *shape.User
	group               *shape.Group
}

func (r *run) issuer() string { return "https://" + SourcePrincipal + "/" + r.src.Name }

// load reads what was brought in before.
func (r *run) load(ctx context.Context) error {
	var err error
	if r.call, err = r.door.Begin(ctx, r.claim(), ""); err != nil {
		return err
	}
	r.people, r.groups = map[string]*known{}, map[string]*known{}
	for kind, into := range map[string]map[string]*known{"USER": r.people, "GROUP": r.groups} {
		list, err := collect(ctx, r.door, scanKnown, `SELECT external, principal, active FROM identity_source_entries WHERE source = ? AND kind = ?`, r.src.Name, kind)
		if err != nil {
			return err
		}
		for _, k := range list {
			into[k.external] = k
		}
		lost, err := collect(ctx, r.door, scanKnown, `SELECT external, principal, TRUE FROM identity_external_ids x WHERE kind = ? AND issuer = ?
			AND NOT EXISTS (SELECT 1 FROM identity_source_entries e WHERE e.principal = x.principal)`, kind, r.issuer())
		if err == nil {
			err = r.read(ctx, append(list, lost...))
		}
		if err == nil {
			err = r.recover(ctx, kind, into, lost)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func scanKnown(rows *store.Rows) (*known, error) {
	k := &known{}
	return k, rows.Scan(&k.external, &k.principal, &k.active)
}

// read reads what entries look like here.
func (r *run) read(ctx context.Context, list []*known) error {
	sn, err := r.door.Store.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer sn.Close()
	for _, k := range list {
		if k.user, err = user(sn, k.principal); err != nil {
			return err
		}
		if k.user == nil {
			if k.group, err = r.s.group(sn, k.principal); err != nil {
				return err
			}
		}
	}
	return nil
}

// recover notes whom a run had made that was killed before it could. Others may have
// been given an external id in this source's name, by whoever may change people: what
// the service did not make itself is not the source's.
func (r *run) recover(ctx context.Context, kind string, into map[string]*known, lost []*known) error {
	for _, k := range lost {
		before, by, key := into[k.external], "", userKey(k.principal)
		switch {
		case k.user != nil:
			by = k.user.CreatedBy
		case k.group != nil:
			by, key = k.group.CreatedBy, groupKey(k.principal)
		}
		if before != nil && (before.user != nil || before.group != nil) || by == "" || by != r.call.Caller().ARN {
			continue
		}
		into[k.external] = k
		if err := r.found(ctx, kind, k, key); err != nil {
			return err
		}
	}
	return nil
}

// vanish disables who is not there any more.
func (r *run) vanish(ctx context.Context) error {
	for _, k := range r.people {
		if k.there || k.user == nil {
			continue
		}
		if err := r.keep(ctx); err != nil {
			return err
		}
		if err := r.disable(ctx, k); err != nil {
			return err
		}
	}
	for _, k := range r.groups {
		if !k.there && k.active {
			if err := r.note(ctx, "GROUP", k, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// note keeps what the source last said of an entry.
func (r *run) note(ctx context.Context, kind string, k *known, active bool) error {
	k.active = active
	return r.door.Store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE identity_source_entries SET active = ? WHERE source = ? AND kind = ? AND external = ?`, active, r.src.Name, kind, k.external)
		return err
	})
}

// found notes a new entry. One that was deleted here and made again is another.
func (r *run) found(ctx context.Context, kind string, k *known, key string) error {
	return r.door.Store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM identity_source_entries WHERE source = ? AND kind = ? AND external = ?`, r.src.Name, kind, k.external); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO identity_source_entries (source, kind, external, principal, active) VALUES (?, ?, ?, ?, ?)`,
			r.src.Name, kind, k.external, k.principal, true)
		return errors.Join(err, tx.Touch(key))
	})
}
