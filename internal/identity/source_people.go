package identity

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/ldap"
	model "bawn.dev/internal/shape"
	shape "bawn.dev/internal/shape/identitystore"
)

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
