package identity

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/ldap"
	"bawn.dev/internal/ldap/ldaptest"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
)

// An office is a house whose people come from a directory.
type office struct {
	*house
	t    *testing.T
	slap *ldaptest.Slapd
}

func eachOffice(t *testing.T, test func(t *testing.T, o *office)) {
	each(t, func(t *testing.T, h *house) { test(t, employ(t, h)) })
}

func employ(t *testing.T, h *house) *office {
	t.Helper()
	o := &office{h, t, ldaptest.Start(t, true)}
	h.rig.AllowService(t, SourcePrincipal, sourcePolicy)
	o.add(ldaptest.Reader, ldaptest.Password)
	return o
}

func (o *office) add(bind, password string) {
	o.t.Helper()
	src := Source{Name: "corp", Nested: true, Directory: ldap.Directory{URL: o.slap.Plain, CA: o.slap.CA, Kind: ldap.KindLDAP, BindDN: bind,
		UserBase: ldaptest.People, GroupBase: ldaptest.Groups}}
	if err := o.rig.Store.Update(o.t.Context(), func(tx *store.Tx) error { return o.AddSource(tx, src, password) }); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) source(name string) (*Source, string) {
	o.t.Helper()
	sn, err := o.rig.Store.Snapshot(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	defer sn.Close()
	src, secret, err := o.Service.source(sn, name)
	if err != nil {
		o.t.Fatal(err)
	}
	return src, secret
}

func (o *office) sync(force bool) *SourceReport {
	o.t.Helper()
	r, err := o.Synchronize(o.t.Context(), o.rig.Door, "corp", force)
	if err != nil {
		o.t.Fatalf("%v %+v", err, r)
	}
	return r
}

// user finds a person by name; nil if there is none.
func (o *office) user(name string) *shape.DescribeUserOutput {
	o.t.Helper()
	out := apitest.Must[shape.ListUsersOutput](o.t, o.admin, "identitystore:ListUsers",
		&shape.ListUsersInput{IdentityStoreId: o.id, Filters: []shape.Filter{{AttributePath: "UserName", AttributeValue: name}}})
	if len(out.Users) == 0 {
		return nil
	}
	return o.describe(o.t, out.Users[0].UserId)
}

// members are the names of those in a group.
func (o *office) members(group string) string {
	o.t.Helper()
	var id string
	for _, g := range apitest.Must[shape.ListGroupsOutput](o.t, o.admin, "identitystore:ListGroups", &shape.ListGroupsInput{IdentityStoreId: o.id}).Groups {
		if g.DisplayName == group {
			id = g.GroupId
		}
	}
	if id == "" {
		return "no group"
	}
	var names []string
	for _, m := range apitest.Must[shape.ListGroupMembershipsOutput](o.t, o.admin, "identitystore:ListGroupMemberships",
		&shape.ListGroupMembershipsInput{IdentityStoreId: o.id, GroupId: id}).GroupMemberships {
		names = append(names, o.describe(o.t, m.MemberId.UserId).UserName)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (o *office) here(name string) error {
	o.t.Helper()
	u := o.user(name)
	if u == nil {
		return sql.ErrNoRows
	}
	sn, err := o.rig.Store.Snapshot(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	defer sn.Close()
	return o.Present(o.t.Context(), sn, &api.Person{UserID: u.UserId, SignedIn: o.signedIn()})
}

func (o *office) signedIn() time.Time { return o.rig.Now().Add(-time.Second) }

func (o *office) enters(name, password string) bool {
	o.t.Helper()
	sn, err := o.rig.Store.Snapshot(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	defer sn.Close()
	ok, err := o.Authenticate(o.t.Context(), sn, o.user(name).UserId, password)
	if err != nil {
		o.t.Fatal(err)
	}
	return ok
}

// People come, change their names and places, are locked, leave and come back; what
// they did before they left does not go on.
func TestSourceLife(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		s := o.slap
		for _, name := range []string{"ada", "bob", "eve", "kay", "lou"} {
			s.Person(name)
		}
		inner := s.Group("inner", ldaptest.DN("bob"), "cn=outer,"+ldaptest.Groups)
		s.Group("outer", ldaptest.DN("ada"), inner, "cn=outer,"+ldaptest.Groups)
		if r := o.sync(false); r.Created != 7 || r.Joined != 4 || r.Troubled != 0 {
			t.Fatalf("%+v", r)
		}
		if o.members("inner") != "ada bob" || o.members("outer") != "ada bob" {
			t.Errorf("%q %q", o.members("inner"), o.members("outer"))
		}
		ada := o.user("ada")
		if ada.DisplayName != "ada Example" || ada.Emails[0].Value != "ada@example.test" || !o.enters("ada", "of ada") || o.enters("ada", "of bob") || o.enters("ada", "") {
			t.Errorf("%+v", ada)
		}
		if r := o.sync(false); r.Created+r.Changed+r.Joined+r.Left+r.Enabled+r.Disabled != 0 {
			t.Errorf("what is so was made so again: %+v", r)
		}

		s.Move(ldaptest.DN("ada"), "uid=countess", ldaptest.People)
		s.Set(ldaptest.DN("countess"), "mail")
		s.Set("cn=outer,"+ldaptest.Groups, "member", inner)
		s.Set(inner, "member", ldaptest.DN("bob"))
		if r := o.sync(false); r.Changed != 1 || r.Created != 0 || r.Left != 2 {
			t.Errorf("%+v", r)
		}
		if u := o.user("countess"); u == nil || u.UserId != ada.UserId || len(u.Emails) != 0 || o.members("outer") != "bob" || o.members("inner") != "bob" {
			t.Errorf("%+v, %q", u, o.members("outer"))
		}

		s.Set(ldaptest.DN("countess"), "pwdAccountLockedTime", "000001010000Z")
		s.Set(ldaptest.DN("eve"), "pwdAccountLockedTime", "20260101000000Z") // by wrong guesses
		if o.here("countess") != nil || o.enters("countess", "of ada") {
			t.Error("before: not here; or a password of one who is locked passes")
		}
		if r := o.sync(false); r.Disabled != 1 || !errors.Is(o.here("countess"), api.ErrGone) || o.here("eve") != nil {
			t.Errorf("%+v", r)
		}
		s.Set(ldaptest.DN("countess"), "pwdAccountLockedTime")
		if r := o.sync(false); r.Enabled != 1 || o.user("countess").UserStatus != shape.UserStatusEnabled {
			t.Errorf("%+v", r)
		}

		s.Delete(ldaptest.DN("bob"))
		if r := o.sync(false); r.Disabled != 1 || r.Left != 2 || !errors.Is(o.here("bob"), api.ErrGone) {
			t.Errorf("%+v", r)
		}
		// Another bob is another: he gets nothing of the first.
		s.Person("bob")
		if r := o.sync(false); r.Troubled != 1 || r.Created != 0 || !errors.Is(o.here("bob"), api.ErrGone) {
			t.Errorf("%+v", r)
		}
	})
}

// Who was here before is nobody's of the directory, whatever it calls its people; and
// whom an administrator took out stays out.
func TestSourceTakesOverNobody(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		local := o.person(t, "ada")
		team := o.team(t, "admins", local)
		o.slap.Person("ADA")
		o.slap.Person("bob")
		o.slap.Set(ldaptest.DN("bob"), "mail", "bob@example.test", "other@example.test")
		o.slap.Person("administrator")
		o.slap.Entry("cn=mail,"+ldaptest.People, "objectClass", "inetOrgPerson", "cn", "x", "sn", "x", "uid", "mallory", "mail", "ADA@example.org")
		o.slap.Group("Admins", ldaptest.DN("bob"))
		if r := o.sync(false); r.Created != 1 || r.Troubled != 4 {
			t.Errorf("%+v", r)
		}
		if o.members("admins") != "ada" || o.user("bob") == nil {
			t.Error("a group was taken over: " + team)
		}
		sn, err := o.rig.Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		if owned, err := o.Owns(t.Context(), sn, local); owned || err != nil {
			t.Errorf("ada's password is the directory's: %v", err)
		}
		if ok, err := o.Authenticate(t.Context(), sn, local, "of ADA"); ok || err != nil {
			t.Errorf("the directory's password lets ada in: %v", err)
		}
		bob := o.user("bob").UserId
		if owned, err := o.Owns(t.Context(), sn, bob); !owned || err != nil {
			t.Errorf("bob's password is not the directory's: %v", err)
		}
		if err := o.update(t, bob, "userStatus", `"DISABLED"`); err != nil {
			t.Fatal(err)
		}
		o.sync(false)
		o.slap.Set(ldaptest.DN("bob"), "pwdAccountLockedTime", "000001010000Z")
		o.sync(false)
		o.slap.Set(ldaptest.DN("bob"), "pwdAccountLockedTime")
		o.sync(false)
		if o.user("bob").UserStatus != shape.UserStatusDisabled {
			t.Error("whom an administrator took out is in again")
		}
	})
}

// Who may change people, and name somebody in the directory, gives nobody else's self
// to that name by an external id.
func TestSourceExternalIDIsNoClaim(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		local := o.person(t, "ada")
		o.slap.Person("mallory")
		src, secret := o.source("corp")
		c, err := src.Directory.Read(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		claimed := `[{"issuer":"https://` + SourcePrincipal + `/corp","id":"` + c.People[0].ID + `"}]`
		if err := o.update(t, local, "externalIds", claimed); err != nil {
			t.Fatal(err)
		}
		if r := o.sync(false); r.Created != 0 || r.Changed != 0 || r.Troubled != 1 {
			t.Errorf("%+v", r)
		}
		if o.user("ada") == nil || o.enters("ada", "of mallory") {
			t.Error("mallory is ada")
		}
	})
}

// An answer that lacks most people is not believed: that of a server that lost its
// data, or does not show them any more.
func TestSourceLoss(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		o.slap.People("p", 4)
		o.slap.Group("all", ldaptest.DN("p0"))
		o.sync(false)
		for _, name := range []string{"p0", "p1", "p2"} {
			o.slap.Delete(ldaptest.DN(name))
		}
		r, err := o.Synchronize(t.Context(), o.rig.Door, "corp", false)
		if !errors.Is(err, ErrSourceLoss) || r.Error == "" || o.here("p0") != nil || o.members("all") != "p0" {
			t.Errorf("%v %+v", err, r)
		}
		o.slap.Delete(ldaptest.DN("p3"))
		if _, err := o.Synchronize(t.Context(), o.rig.Door, "corp", false); !errors.Is(err, ErrSourceLoss) || o.here("p3") != nil {
			t.Errorf("an empty answer: %v", err)
		}
		if r := o.sync(true); r.Disabled != 4 || r.Left != 1 || !errors.Is(o.here("p3"), api.ErrGone) {
			t.Errorf("%+v", r)
		}
	})
}

// A run that was killed goes on; two at a time are one.
func TestSourceResumes(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		o.slap.Person("ada")
		o.slap.Group("team", ldaptest.DN("ada"))
		o.sync(false)
		ada := o.user("ada").UserId
		// As if it had been killed before it noted whom it had made, and holds the lease.
		err := o.rig.Store.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`DELETE FROM identity_source_entries`)
			_, more := tx.Exec(`UPDATE identity_sources SET lease = ?`, o.rig.Now().Add(leaseTime).UnixMicro())
			return errors.Join(err, more)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Synchronize(t.Context(), o.rig.Door, "corp", false); !errors.Is(err, ErrSourceBusy) {
			t.Errorf("two at a time: %v", err)
		}
		o.rig.Advance(leaseTime + time.Second)
		if r := o.sync(false); r.Created != 0 || r.Troubled != 0 || o.user("ada").UserId != ada || !o.enters("ada", "of ada") || o.members("team") != "ada" {
			t.Errorf("%+v", r)
		}
	})
}

// Whose directory is removed is out, and comes back with it.
func TestSourceRemoved(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		o.slap.Person("ada")
		o.sync(false)
		change, err := o.RemoveSource(t.Context(), o.rig.Door, "corp")
		if err == nil {
			err = o.rig.Store.Update(t.Context(), change)
		}
		if err != nil || !errors.Is(o.here("ada"), api.ErrGone) || o.enters("ada", "of ada") {
			t.Errorf("after: %v", err)
		}
		if _, err := o.Synchronize(t.Context(), o.rig.Door, "corp", false); !errors.Is(err, errNoSource) {
			t.Errorf("it is read: %v", err)
		}
		o.add(ldaptest.Reader, ldaptest.Password)
		if r := o.sync(false); r.Enabled != 1 || r.Created != 0 || !o.enters("ada", "of ada") {
			t.Errorf("%+v", r)
		}
	})
}
