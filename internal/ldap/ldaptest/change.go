package ldaptest

import (
	"fmt"
	"strconv"

	wire "github.com/go-ldap/ldap/v3"
)

// must ends the test.
func (s *Slapd) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// DN is where Person puts somebody.
func DN(uid string) string { return "uid=" + wire.EscapeDN(uid) + "," + People }

// Person adds somebody whose password is "of " and her uid.
func (s *Slapd) Person(uid string) string {
	s.t.Helper()
	return s.Entry(DN(uid), "objectClass", "inetOrgPerson", "uid", uid, "cn", uid+" Example", "sn", "Example", "givenName", uid,
		"mail", uid+"@example.test", "userPassword", "of "+uid)
}

// People adds n of them, quickly.
func (s *Slapd) People(prefix string, n int) {
	s.t.Helper()
	for i := range n {
		s.Person(fmt.Sprintf("%s%d", prefix, i))
	}
}

// Group adds a group.
func (s *Slapd) Group(name string, members ...string) string {
	s.t.Helper()
	pairs := []string{"objectClass", "groupOfNames", "cn", name}
	for _, m := range members {
		pairs = append(pairs, "member", m)
	}
	return s.Entry("cn="+wire.EscapeDN(name)+","+Groups, pairs...)
}

// Entry adds what names and values say, and answers its DN.
func (s *Slapd) Entry(dn string, pairs ...string) string {
	s.t.Helper()
	req := wire.NewAddRequest(dn, nil)
	values, order := map[string][]string{}, []string{}
	for i := 0; i < len(pairs); i += 2 {
		if values[pairs[i]] == nil {
			order = append(order, pairs[i])
		}
		values[pairs[i]] = append(values[pairs[i]], pairs[i+1])
	}
	for _, name := range order {
		req.Attribute(name, values[name])
	}
	s.must(s.root.Add(req))
	return dn
}

// Set gives an attribute other values; none takes it away.
func (s *Slapd) Set(dn, attribute string, values ...string) {
	s.t.Helper()
	req := wire.NewModifyRequest(dn, nil)
	req.Replace(attribute, values)
	s.must(s.root.Modify(req))
}

// Delete removes an entry.
func (s *Slapd) Delete(dn string) {
	s.t.Helper()
	s.must(s.root.Del(wire.NewDelRequest(dn, nil)))
}

// Move gives an entry another name and place.
func (s *Slapd) Move(dn, rdn, place string) {
	s.t.Helper()
	s.must(s.root.ModifyDN(wire.NewModifyDNRequest(dn, rdn, true, place)))
}

// Asked is how often the server was asked to bind and to search. To ask that is two
// searches more.
func (s *Slapd) Asked() (binds, searches int) {
	s.t.Helper()
	for _, of := range []struct {
		name string
		into *int
	}{{"Bind", &binds}, {"Search", &searches}} {
		res, err := s.root.Search(wire.NewSearchRequest("cn="+of.name+",cn=Operations,cn=Monitor", wire.ScopeBaseObject, wire.NeverDerefAliases, 1, 0, false,
			"(objectClass=*)", []string{"monitorOpInitiated"}, nil))
		s.must(err)
		*of.into, err = strconv.Atoi(res.Entries[0].GetAttributeValue("monitorOpInitiated"))
		s.must(err)
	}
	return binds, searches
}
