package ldap

import (
	"context"
	"errors"
	"fmt"
	"time"

	wire "github.com/go-ldap/ldap/v3"
)

// maxPassword bounds what is sent.
const maxPassword = 1024

// refusals are the answers to a bind that mean: not with this password, or not her.
var refusals = []uint16{
	wire.LDAPResultInvalidCredentials, wire.LDAPResultInappropriateAuthentication, wire.LDAPResultUnwillingToPerform,
	wire.LDAPResultConstraintViolation, wire.LDAPResultInsufficientAccessRights,
}

// Authenticate says whether a password is that of the person with an id, by a bind as
// her: she must be where people are, and be active. An error is the directory's trouble.
func (d *Directory) Authenticate(ctx context.Context, password, id, hers string) (bool, error) {
	if hers == "" || len(hers) > maxPassword {
		return false, nil
	}
	filter, err := d.named(id)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, PasswordTime)
	defer cancel()
	l, err := d.open(ctx, password, maxAsked)
	if err != nil {
		return false, err
	}
	defer l.Close()
	res, err := l.Search(wire.NewSearchRequest(d.UserBase, wire.ScopeWholeSubtree, wire.NeverDerefAliases, 2, 0, false, filter, d.ofPeople(), nil))
	if err != nil {
		return false, fmt.Errorf("ldap: below %q: %w", d.UserBase, err)
	}
	if len(res.Entries) > 1 {
		return false, fmt.Errorf("ldap: two entries have the id %q", id)
	}
	if len(res.Entries) == 0 {
		return false, nil
	}
	e := res.Entries[0]
	if got, err := d.id(e); err != nil || got != id || e.DN == "" {
		return false, errors.Join(err, fmt.Errorf("ldap: the directory answers another than %q", id))
	}
	if !d.active(e, time.Now()) {
		return false, nil
	}
	err = l.Bind(e.DN, hers)
	if wire.IsErrorAnyOf(err, refusals...) {
		return false, nil
	}
	return err == nil, err
}
