package identity

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/ldap"
	model "bawn.dev/internal/shape"
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

// load reads what was brought in before. What a run that was killed had made, and had
// no time to note, has the external id that it gave.
func (r *run) load(ctx context.Context) error {
	r.people, r.groups = map[string]*known{}, map[string]*known{}
	for kind, into := range map[string]map[string]*known{"USER": r.people, "GROUP": r.groups} {
		err := r.door.Store.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO identity_source_entries (source, kind, external, principal, active)
				SELECT ?, kind, external, principal, ? FROM identity_external_ids x WHERE kind = ? AND issuer = ?
				AND NOT EXISTS (SELECT 1 FROM identity_source_entries e WHERE e.source = ? AND e.kind = x.kind AND e.external = x.external)
				AND NOT EXISTS (SELECT 1 FROM identity_source_entries e WHERE e.principal = x.principal)`, r.src.Name, true, kind, r.issuer(), r.src.Name)
			return err
		})
		if err != nil {
			return err
		}
		list, err := collect(ctx, r.door, func(rows *store.Rows) (*known, error) {
			k := &known{}
			return k, rows.Scan(&k.external, &k.principal, &k.active)
		}, `SELECT external, principal, active FROM identity_source_entries WHERE source = ? AND kind = ?`, r.src.Name, kind)
		if err != nil {
			return err
		}
		for _, k := range list {
			into[k.external] = k
		}
	}
	return r.read(ctx)
}

// read reads what the entries look like here.
func (r *run) read(ctx context.Context) error {
	sn, err := r.door.Store.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer sn.Close()
	for _, k := range r.people {
		if k.user, err = user(sn, k.principal); err != nil {
			return err
		}
	}
	for _, k := range r.groups {
		if k.group, err = r.s.group(sn, k.principal); err != nil {
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

// disable takes a person out. One whom an administrator took out stays so, whatever
// the source says later: that is not noted as the source's word.
func (r *run) disable(ctx context.Context, k *known) error {
	if k.user.UserStatus == shape.UserStatusDisabled {
		return nil
	}
	if err := r.update(ctx, k, setting("userStatus", shape.UserStatusDisabled)); err != nil {
		return err
	}
	k.user.UserStatus = shape.UserStatusDisabled
	r.report.Disabled++
	return r.note(ctx, "USER", k, false)
}

func (r *run) takePeople(ctx context.Context, people []ldap.Person) error {
	var again []*ldap.Person // whose new name or address was another's, who may have a new one by now
	for i := range people {
		err := r.takePerson(ctx, &people[i])
		if e, ok := errors.AsType[*api.Error](err); ok && e.Code == "ConflictException" {
			again = append(again, &people[i])
			continue
		}
		if err := r.report.refused(people[i].DN, err); err != nil {
			return err
		}
	}
	for _, p := range again {
		if err := r.report.refused(p.DN, r.takePerson(ctx, p)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) takePerson(ctx context.Context, p *ldap.Person) error {
	if err := r.keep(ctx); err != nil {
		return err
	}
	k := r.people[p.ID]
	if k == nil || k.user == nil {
		r.report.problem(p.DN, p.Problem)
		if p.Problem != "" || !p.Active {
			return nil
		}
		return r.create(ctx, p)
	}
	if !p.Active {
		if err := r.disable(ctx, k); err != nil {
			return err
		}
	}
	r.report.problem(p.DN, p.Problem)
	if p.Problem == "" {
		if ops := differences(k.user, p); len(ops) > 0 {
			if err := r.ask(ctx, k, ops...); err != nil {
				return err
			}
			r.report.Changed++
		}
	}
	if !p.Active || k.active {
		return nil
	}
	if k.user.UserStatus == shape.UserStatusDisabled {
		if err := r.ask(ctx, k, setting("userStatus", shape.UserStatusEnabled)); err != nil {
			return err
		}
		r.report.Enabled++
	}
	return r.note(ctx, "USER", k, true)
}

// update is ask, of which a refusal is no problem of the entry's but the end: it takes
// away.
func (r *run) update(ctx context.Context, k *known, ops ...shape.AttributeOperation) error {
	err := r.ask(ctx, k, ops...)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == "ResourceNotFoundException" {
		return nil
	}
	return err
}

func (r *run) ask(ctx context.Context, k *known, ops ...shape.AttributeOperation) error {
	_, err := api.Invoke[shape.UpdateUserOutput](ctx, r.call, "identitystore:UpdateUser",
		&shape.UpdateUserInput{IdentityStoreId: r.store, UserId: k.principal, Operations: ops})
	return err
}

// setting is an operation that gives an attribute a value; nil takes it away.
func setting(path string, value any) shape.AttributeOperation {
	raw, err := json.Marshal(value)
	if err != nil { // of the few types that are given
		panic(err)
	}
	return shape.AttributeOperation{AttributePath: path, AttributeValue: model.Document(raw)}
}

// differences are what makes a user what her directory says of her.
func differences(u *shape.User, p *ldap.Person) (ops []shape.AttributeOperation) {
	one := func(path, is, want string) {
		if is != want {
			ops = append(ops, setting(path, want))
		}
	}
	one("userName", u.UserName, p.UserName)
	one("displayName", u.DisplayName, p.DisplayName)
	name, address := shape.Name{}, ""
	if u.Name != nil {
		name = *u.Name
	}
	one("name.givenName", name.GivenName, p.GivenName)
	one("name.familyName", name.FamilyName, p.FamilyName)
	if len(u.Emails) > 0 {
		address = u.Emails[0].Value
	}
	if address != p.Email {
		ops = append(ops, setting("emails", emails(p.Email)))
	}
	return ops
}

func emails(address string) []shape.Email {
	if address == "" {
		return nil
	}
	primary := true
	return []shape.Email{{Value: address, Type: "work", Primary: &primary}}
}

func (r *run) create(ctx context.Context, p *ldap.Person) error {
	said, err := json.Marshal(map[string]any{"externalIds": []shape.ExternalId{{Issuer: r.issuer(), Id: p.ID}}})
	if err != nil {
		return err
	}
	out, err := api.Invoke[shape.CreateUserOutput](ctx, r.call, "identitystore:CreateUser", &shape.CreateUserInput{
		IdentityStoreId: r.store, UserName: p.UserName, DisplayName: p.DisplayName, Emails: emails(p.Email),
		Name: &shape.Name{GivenName: p.GivenName, FamilyName: p.FamilyName}, Extensions: map[string]model.Document{provisioning: said},
	})
	if err != nil {
		return err
	}
	r.report.Created++
	k := &known{external: p.ID, principal: out.UserId, active: true, there: true}
	r.people[p.ID] = k
	return r.found(ctx, "USER", k, userKey(out.UserId))
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
