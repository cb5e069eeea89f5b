package ldap_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/ldap"
	"bawn.dev/internal/ldap/ldaptest"
)

// directory is how an operator would describe a test's directory.
func directory(t testing.TB, s *ldaptest.Slapd, edit ...func(*ldap.Directory)) *ldap.Directory {
	t.Helper()
	d := &ldap.Directory{URL: s.Plain, CA: s.CA, Kind: ldap.KindLDAP, BindDN: ldaptest.Reader, UserBase: ldaptest.People, GroupBase: ldaptest.Groups}
	for _, f := range edit {
		f(d)
	}
	if err := d.Complete(); err != nil {
		t.Fatal(err)
	}
	return d
}

func read(t testing.TB, d *ldap.Directory) *ldap.Contents {
	t.Helper()
	c, err := d.Read(t.Context(), ldaptest.Password)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func named(t testing.TB, c *ldap.Contents, uid string) ldap.Person {
	t.Helper()
	i := slices.IndexFunc(c.People, func(p ldap.Person) bool { return p.UserName == uid })
	if i < 0 {
		t.Fatalf("there is no %s", uid)
	}
	return c.People[i]
}

// 3,000 people come in pages, of which the server would not give more at once.
func TestRead(t *testing.T) {
	s := ldaptest.Start(t, true)
	s.People("p", 3000)
	s.Entry("cn=elsewhere,"+ldaptest.People, "objectClass", "referral", "objectClass", "extensibleObject", "cn", "elsewhere", "ref", "ldap://"+lurking(t)+"/dc=x")
	s.Group("readers", ldaptest.DN("p7"), strings.ToUpper(ldaptest.DN("P8")))
	for _, url := range []string{s.Plain, s.TLS} {
		c := read(t, directory(t, s, func(d *ldap.Directory) { d.URL = url }))
		ids := map[string]bool{}
		for _, p := range c.People {
			ids[p.ID] = true
		}
		p := named(t, c, "p2999")
		if len(c.People) != 3000 || len(ids) != 3000 || !p.Active || p.Email != "p2999@example.test" || p.FamilyName != "Example" || p.Problem != "" {
			t.Errorf("%d people, %d ids, %+v", len(c.People), len(ids), p)
		}
		if len(c.Groups) != 1 || !slices.Contains(c.Groups[0].Members, named(t, c, "p7").DN) || !slices.Contains(c.Groups[0].Members, named(t, c, "p8").DN) {
			t.Errorf("%+v", c.Groups)
		}
	}
}

// What the operator calls things is read.
func TestAttributesAreMapped(t *testing.T) {
	s := ldaptest.Start(t, true)
	s.Entry("cn=Ada,"+ldaptest.People, "objectClass", "inetOrgPerson", "cn", "Ada", "sn", "Lovelace", "uid", "not this", "employeeNumber", "4711", "title", "Countess",
		"userPassword", "of ada")
	s.Entry("cn=team,"+ldaptest.Groups, "objectClass", "groupOfUniqueNames", "cn", "team", "description", "Analysts", "uniqueMember", "cn=Ada,"+ldaptest.People)
	d := directory(t, s, func(d *ldap.Directory) {
		d.Attributes = map[string]string{"userName": "employeeNumber", "displayName": "title", "groupName": "description", "member": "uniqueMember"}
	})
	c := read(t, d)
	ada := named(t, c, "4711")
	if ada.DisplayName != "Countess" || ada.FamilyName != "Lovelace" || ada.Problem != "" {
		t.Errorf("%+v", ada)
	}
	if len(c.Groups) != 1 || c.Groups[0].Name != "Analysts" || !slices.Contains(c.Groups[0].Members, ada.DN) {
		t.Errorf("%+v", c.Groups)
	}
	if ok, err := d.Authenticate(t.Context(), ldaptest.Password, ada.ID, "of ada"); err != nil || !ok {
		t.Errorf("she does not come in: %v %v", ok, err)
	}
}

// A password is checked where it is kept; nothing else passes for one.
func TestAuthenticate(t *testing.T) {
	s := ldaptest.Start(t, true)
	s.Person("ada")
	s.Person("eve")
	d := directory(t, s)
	ada := named(t, read(t, d), "ada").ID
	try := func(want bool, id, password, why string) {
		t.Helper()
		ok, err := d.Authenticate(t.Context(), ldaptest.Password, id, password)
		if err != nil || ok != want {
			t.Errorf("%s: %v %v", why, ok, err)
		}
	}
	try(true, ada, "of ada", "hers")
	try(false, ada, "of eve", "another's")
	try(false, ada, "", "a bind of nobody")
	try(false, ada, ldaptest.Password, "the reader's")
	try(false, ada, strings.Repeat("x", 1<<20), "a huge one")
	for _, id := range []string{"*", ada[:8] + "*", ada + ")(uid=eve", "*)(|(uid=ada", "\x00", ada + "\x00", ldaptest.DN("ada")} {
		if ok, _ := d.Authenticate(t.Context(), ldaptest.Password, id, "of ada"); ok {
			t.Errorf("%q finds somebody", id)
		}
	}
	s.Move(ldaptest.DN("ada"), "uid=countess", ldaptest.Groups)
	try(false, ada, "of ada", "no longer among the people")
	s.Move("uid=countess,"+ldaptest.Groups, "uid=countess", ldaptest.People)
	try(true, ada, "of ada", "of another name")
	s.Set(ldaptest.DN("countess"), "pwdAccountLockedTime", "000001010000Z")
	try(false, ada, "of ada", "locked")
	if named(t, read(t, d), "countess").Active {
		t.Error("who is locked is active")
	}
	s.Delete(ldaptest.DN("countess"))
	try(false, ada, "of ada", "deleted")
}

// For nobody a directory is asked as much as for somebody with a wrong password, and is
// told nothing that was typed.
func TestPretend(t *testing.T) {
	s := ldaptest.Start(t, true)
	s.Person("ada")
	d := directory(t, s)
	ada := named(t, read(t, d), "ada").ID
	asks := func(what func() error) [2]int {
		t.Helper()
		binds, searches := s.Asked()
		if err := what(); err != nil {
			t.Fatal(err)
		}
		after, later := s.Asked()
		return [2]int{after - binds, later - searches}
	}
	wrong := func(id string) func() error {
		return func() error {
			ok, err := d.Authenticate(t.Context(), ldaptest.Password, id, "a guess")
			if ok {
				t.Error("a guess lets in")
			}
			return err
		}
	}
	want := asks(wrong(ada))
	for why, what := range map[string]func() error{
		"nobody": func() error { return d.Pretend(t.Context(), ldaptest.Password) }, "who is gone": wrong("00000000-0000-1000-8000-000000000000"),
	} {
		if got := asks(what); got != want {
			t.Errorf("%s: %v binds and searches, and for somebody %v", why, got, want)
		}
	}
	s.Set(ldaptest.DN("ada"), "pwdAccountLockedTime", "000001010000Z")
	if got := asks(wrong(ada)); got != want {
		t.Errorf("who is locked: %v binds and searches, and for somebody %v", got, want)
	}
	if d.Pretend(t.Context(), "wrong") == nil {
		t.Error("a directory that cannot be read answers")
	}
}

// Without a verified certificate nothing is said, least of all a password.
func TestDowngrade(t *testing.T) {
	s, other, plain := ldaptest.Start(t, true), ldaptest.Start(t, true), ldaptest.Start(t, false)
	for name, d := range map[string]*ldap.Directory{
		"no TLS":                  directory(t, plain),
		"another's CA, StartTLS":  directory(t, s, func(d *ldap.Directory) { d.CA = other.CA }),
		"another's CA, ldaps":     directory(t, s, func(d *ldap.Directory) { d.URL, d.CA = s.TLS, other.CA }),
		"the system's CAs":        directory(t, s, func(d *ldap.Directory) { d.CA = "" }),
		"another name":            directory(t, s, func(d *ldap.Directory) { d.URL = strings.Replace(s.TLS, "localhost", "127.0.0.1", 1) }),
		"ldaps at the plain port": directory(t, s, func(d *ldap.Directory) { d.URL = strings.Replace(s.Plain, "ldap:", "ldaps:", 1) }),
	} {
		if _, err := d.Read(t.Context(), ldaptest.Password); err == nil {
			t.Errorf("%s: it is read", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	d := directory(t, s)
	for _, password := range []string{"", "wrong"} {
		if _, err := d.Read(t.Context(), password); err == nil {
			t.Errorf("it is read with %q", password)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Read(ended, ldaptest.Password); err == nil {
		t.Error("it is read after the end")
	}
}

// What cannot be shown is a problem of its entry, and of no other.
func TestHostileValues(t *testing.T) {
	s := ldaptest.Start(t, true)
	s.Person("ada")
	for i, name := range []string{"a\x1b[31m", "\xff\xfe", strings.Repeat("x", 5000), "a\x00b"} {
		s.Entry(fmt.Sprintf("cn=hostile %d,%s", i, ldaptest.People), "objectClass", "inetOrgPerson", "cn", fmt.Sprintf("hostile %d", i), "sn", "x", "uid", "h", "audio", name)
	}
	c := read(t, directory(t, s, func(d *ldap.Directory) { d.Attributes = map[string]string{"displayName": "audio"} }))
	bad := 0
	for _, p := range c.People {
		if p.Problem != "" {
			bad++
		}
	}
	if bad != 4 || len(c.People) != 5 || named(t, c, "ada").Problem != "" {
		t.Errorf("%d of %+v", bad, c.People)
	}
	if _, err := directory(t, s, func(d *ldap.Directory) { d.Attributes = map[string]string{"id": "employeeNumber"} }).Read(t.Context(), ldaptest.Password); err == nil {
		t.Error("who has no id is read")
	}
	ad := directory(t, s, func(d *ldap.Directory) {
		d.Kind, d.UserFilter, d.Attributes = ldap.KindAD, "(uid=ada)", map[string]string{"id": "entryUUID", "userName": "uid"}
	})
	if _, err := ad.Read(t.Context(), ldaptest.Password); err == nil || !strings.Contains(err.Error(), "userAccountControl") {
		t.Errorf("where nobody shows whether she may sign in, all are said not to: %v", err)
	}
	if ok, _ := ad.Authenticate(t.Context(), ldaptest.Password, named(t, c, "ada").ID, "of ada"); ok {
		t.Error("who does not show that she may sign in does")
	}
	if _, err := directory(t, s, func(d *ldap.Directory) { d.Attributes = map[string]string{"id": "sn"} }).Read(t.Context(), ldaptest.Password); err == nil {
		t.Error("two with one id are read")
	}
}

func TestComplete(t *testing.T) {
	good := ldap.Directory{URL: "ldaps://dc.example.test", Kind: ldap.KindAD, BindDN: "bawn@example.test", UserBase: "dc=example,dc=test"}
	if err := good.Complete(); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*ldap.Directory){
		"http":         func(d *ldap.Directory) { d.URL = "http://dc" },
		"a password":   func(d *ldap.Directory) { d.URL = "ldaps://a:b@dc" },
		"a path":       func(d *ldap.Directory) { d.URL = "ldaps://dc/dc=x??sub" },
		"a socket":     func(d *ldap.Directory) { d.URL = "ldapi:///" },
		"nobody":       func(d *ldap.Directory) { d.BindDN = "" },
		"no base":      func(d *ldap.Directory) { d.UserBase = "" },
		"a filter":     func(d *ldap.Directory) { d.UserFilter = "(uid=x))(" },
		"an attribute": func(d *ldap.Directory) { d.Attributes = map[string]string{"userName": "uid)(x=*"} },
		"a mapping":    func(d *ldap.Directory) { d.Attributes = map[string]string{"password": "x"} },
		"a CA":         func(d *ldap.Directory) { d.CA = "x" },
		"a kind":       func(d *ldap.Directory) { d.Kind = "nis" },
	} {
		d := good
		if edit(&d); d.Complete() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// lurking is an address that must not be asked anything.
func lurking(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Close()
			t.Error("a referral was followed")
		}
	}()
	return l.Addr().String()
}

// A server that was taken over, or is broken, can make a reading fail and no more.
func TestHostileServer(t *testing.T) {
	ca, cert, key := ldaptest.Certificates(t)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	bound := "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
	for name, answer := range map[string]string{
		"nothing":           "",
		"a huge message":    "\x30\x84\x7f\xff\xff\xff",
		"an endless one":    "\x30\x80",
		"deep nesting":      strings.Repeat("\x30\x80", 1<<16),
		"no LDAP":           "HTTP/1.1 200 OK\r\n\r\n",
		"another's answer":  "\x30\x0c\x02\x01\x63\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
		"a result too many": bound + bound + bound,
		"a referral":        bound + "\x30\x13\x02\x01\x02\x65\x0e\x0a\x01\x0a\x04\x00\x04\x00\xa3\x05\x04\x03x:/",
		"no entry":          bound + "\x30\x05\x02\x01\x02\x64\x00",
		"a broken entry":    bound + "\x30\x09\x02\x01\x02\x64\x04\x04\x00\x04\x00",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() { _, _ = io.WriteString(c, answer); _, _ = io.Copy(io.Discard, c); c.Close() }()
				}
			}()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			d := &ldap.Directory{URL: "ldaps://localhost:" + port, CA: string(ca), Kind: ldap.KindLDAP, BindDN: ldaptest.Reader, UserBase: ldaptest.People}
			if err := d.Complete(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if c, err := d.Read(ctx, ldaptest.Password); err == nil {
				t.Errorf("%+v is read", c)
			}
			if ok, err := d.Authenticate(ctx, ldaptest.Password, "x", "y"); ok || err == nil {
				t.Errorf("somebody comes in: %v", err)
			}
		})
	}
}
