package ldap

import (
	"context"
	"errors"
	"fmt"
	"time"

	wire "github.com/go-ldap/ldap/v3"

	"bawn.dev/internal/uuid"
)

// maxPassword bounds what is sent.
const maxPassword = 1024

// refusals are the answers to a bind that mean: not with this password, or not her.
var refusals = []uint16{
	wire.LDAPResultInvalidCredentials, wire.LDAPResultInappropriateAuthentication, wire.LDAPResultUnwillingToPerform,
	wire.LDAPResultConstraintViolation, wire.LDAPResultInsufficientAccessRights, wire.LDAPResultNoSuchObject,
}

// Authenticate says whether a password is that of the person with an id, by a bind as
// her: she must be where people are, and be active. An error is the directory's trouble.
func (d *Directory) Authenticate(ctx context.Context, password, id, hers string) (bool, error) {
	possible := hers != "" && len(hers) <= maxPassword
	return d.conversation(ctx, password, id, func(l *wire.Conn, dn string) (bool, error) {
		if dn == "" || !possible {
			return false, d.bindNobody(l)
		}
		err := l.Bind(dn, hers)
		if wire.IsErrorAnyOf(err, refusals...) {
			return false, nil
		}
		return err == nil, err
	})
}

// Pretend is the work of Authenticate for somebody whom the directory does not have:
// who measures it does not see that she is not there.
func (d *Directory) Pretend(ctx context.Context, password string) error {
	_, err := d.conversation(ctx, password, uuid.New(), func(l *wire.Conn, _ string) (bool, error) { return false, d.bindNobody(l) })
	return err
}

// bindNobody is a bind that fails as that with a wrong password does. What somebody
// typed is not sent.
func (d *Directory) bindNobody(l *wire.Conn) error {
	err := l.Bind("cn="+uuid.New()+","+d.UserBase, uuid.New())
	switch {
	case wire.IsErrorAnyOf(err, refusals...):
		return nil
	case err == nil:
		return errors.New("ldap: the directory lets in whoever asks")
	}
	return err
}

// conversation looks a person up and goes on with her DN; empty where she is not among
// the people, or not active.
func (d *Directory) conversation(ctx context.Context, password, id string, then func(l *wire.Conn, dn string) (bool, error)) (bool, error) {
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
		return then(l, "")
	}
	e := res.Entries[0]
	if got, err := d.id(e); err != nil || got != id || e.DN == "" {
		return false, errors.Join(err, fmt.Errorf("ldap: the directory answers another than %q", id))
	}
	if !d.active(e, time.Now()) {
		return then(l, "")
	}
	return then(l, e.DN)
}
