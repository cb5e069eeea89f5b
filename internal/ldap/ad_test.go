package ldap

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	wire "github.com/go-ldap/ldap/v3"

	"bawn.dev/internal/ldap/ldaptest"
)

// Active Directory as Samba serves it: its ids, its ways to say that somebody may not
// come in, groups of groups and lists of members in ranges.
func TestActiveDirectory(t *testing.T) {
	s := ldaptest.StartSamba(t)
	d := &Directory{URL: "ldap://localhost", CA: s.CA, Kind: KindAD, BindDN: ldaptest.ADReader, UserBase: ldaptest.Base, GroupBase: ldaptest.Base}
	if err := d.Complete(); err != nil {
		t.Fatal(err)
	}
	people := []string{}
	for i := range 20 {
		people = append(people, s.User(fmt.Sprintf("p%d", i)))
	}
	ada, expired, disabled, renew := s.User("ada"), s.User("expired"), s.User("disabled"), s.User("renew")
	s.Set(expired, "accountExpires", "116444736000000000") // 1970
	s.Set(disabled, "userAccountControl", "514")
	s.Set(renew, "pwdLastSet", "0")
	inner := s.Team("inner", ada)
	outer := s.Team("outer", append([]string{inner}, people...)...)

	c, err := d.Read(t.Context(), ldaptest.ADPassword)
	if err != nil {
		t.Fatal(err)
	}
	find := func(name string) Person {
		t.Helper()
		i := slices.IndexFunc(c.People, func(p Person) bool { return p.UserName == name })
		if i < 0 {
			t.Fatalf("no %s among %+v", name, c.People)
		}
		return c.People[i]
	}
	for name, active := range map[string]bool{"ada": true, "expired": false, "disabled": false, "renew": true, "krbtgt": false, "p19": true} {
		if p := find(name); p.Active != active || p.Problem != "" || len(p.ID) != 36 {
			t.Errorf("%+v", p)
		}
	}
	i := slices.IndexFunc(c.Groups, func(g Group) bool { return g.Name == "outer" })
	if i < 0 || len(c.Groups[i].Members) != 21 || !slices.Contains(c.Groups[i].Members, Canonical(inner)) || !slices.Contains(c.Groups[i].Members, find("p3").DN) {
		t.Errorf("%+v", c.Groups)
	}

	chain := *d
	chain.Chain, chain.GroupFilter = true, "(&(objectClass=group)(cn=o*))"
	if c, err := chain.Read(t.Context(), ldaptest.ADPassword); err != nil || len(c.Groups) != 1 || len(c.Groups[0].Members) != 21 || !slices.Contains(c.Groups[0].Members, find("ada").DN) {
		t.Errorf("by the chain: %v %+v", err, c)
	}

	enters := func(name, password string) bool {
		t.Helper()
		ok, err := d.Authenticate(t.Context(), ldaptest.ADPassword, find(name).ID, password)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return ok
	}
	if !enters("ada", ldaptest.ADPassword) || enters("ada", "wrong") || enters("ada", "") {
		t.Error("ada")
	}
	for _, name := range []string{"expired", "disabled", "renew", "krbtgt"} {
		if enters(name, ldaptest.ADPassword) {
			t.Errorf("%s comes in", name)
		}
	}
	s.Move(ada, "cn=Countess", ldaptest.Base)
	s.Set("cn=Countess,"+ldaptest.Base, "sAMAccountName", "countess")
	if !enters("ada", ldaptest.ADPassword) {
		t.Error("by another name she is another")
	}

	l, err := d.open(t.Context(), ldaptest.ADPassword, maxRead)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	res, err := l.Search(wire.NewSearchRequest(outer, wire.ScopeBaseObject, wire.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"member;range=0-4"}, nil))
	if err != nil || len(res.Entries) != 1 {
		t.Fatal(err)
	}
	if values, err := all(l, res.Entries[0], "member"); err != nil || len(values) != 21 {
		t.Errorf("%d of 21 members come in ranges: %v", len(values), err)
	}
	if strings.Contains(fmt.Sprint(c), ldaptest.ADPassword) {
		t.Error("a password is read")
	}
}
