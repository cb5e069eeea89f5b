package server_test

import (
	"strings"
	"testing"

	"bawn.dev/internal/identity"
	"bawn.dev/internal/ldap"
	"bawn.dev/internal/ldap/ldaptest"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// An operator adds the company's directory; its people sign in with the passwords that
// they have there, and whoever leaves the company is out.
func TestDirectory(t *testing.T) {
	b, s := servertest.Start(t), ldaptest.Start(t, true)
	for _, name := range []string{"ada", "bob", "eve"} {
		s.Person(name)
	}
	s.Group("analysts", ldaptest.DN("ada"))
	ask := func(in server.DirectoryRequest) *server.DirectoryAnswer {
		t.Helper()
		in.Operator = "test"
		out, err := b.Directory(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const secret = ldaptest.Password
	ask(server.DirectoryRequest{Do: "add", Name: "corp", Password: secret, Source: &identity.Source{Name: "corp", Nested: true, Seconds: 3600, Directory: ldap.Directory{
		URL: s.TLS, CA: s.CA, Kind: ldap.KindLDAP, BindDN: ldaptest.Reader, UserBase: ldaptest.People, GroupBase: ldaptest.Groups,
	}}})
	if r := ask(server.DirectoryRequest{Do: "test", Name: "corp"}).Report; r.People != 3 || r.Groups != 1 || r.Created != 0 {
		t.Fatalf("%+v", r)
	}
	if r := ask(server.DirectoryRequest{Do: "sync", Name: "corp"}).Report; r.Error != "" || r.Created != 4 || r.Joined != 1 {
		t.Fatalf("%+v", r)
	}
	d := door{t, b}
	enters := func(name, password string) bool {
		out := d.password(name, password)
		return out.Failure == "" && out.Type == "" && len(out.Next) > 0 // to the second factor
	}
	if !enters("ada", "of ada") {
		t.Error("she does not come in")
	}
	for _, password := range []string{"of bob", "", secret, "*"} {
		if enters("ada", password) {
			t.Errorf("%q lets her in", password)
		}
	}
	if _, err := b.People(t.Context(), server.PeopleRequest{Operator: "test", Do: "set-password", User: "bob"}); err == nil {
		t.Error("who has a password there gets one here")
	}
	s.Delete(ldaptest.DN("bob"))
	if enters("bob", "of bob") {
		t.Error("who is gone there comes in")
	}
	if r := ask(server.DirectoryRequest{Do: "sync", Name: "corp"}).Report; r.Disabled != 1 {
		t.Errorf("%+v", r)
	}
	listed := ask(server.DirectoryRequest{Do: "list"}).Sources
	if len(listed) != 1 || listed[0].Report == nil || listed[0].Report.Disabled != 1 || listed[0].Next.IsZero() {
		t.Errorf("%+v", listed)
	}
	ask(server.DirectoryRequest{Do: "remove", Name: "corp"})
	if enters("ada", "of ada") {
		t.Error("who came from a directory that is gone comes in")
	}

	for name, count := range map[string]int{"AddDirectory": 1, "TestDirectory": 1, "SynchronizeDirectory": 2, "DirectorySynchronized": 2, "RemoveDirectory": 1,
		"CreateUser": 3, "CreateGroup": 1, "CreateGroupMembership": 1, "UpdateUser": 3} {
		page, err := b.Trail().Find(t.Context(), trail.Query{Account: b.Config.AccountID, EventName: name})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Entries) != count {
			t.Errorf("%d records of %s", len(page.Entries), name)
		}
		for _, e := range page.Entries {
			if strings.Contains(string(e.Event), secret) {
				t.Errorf("the password is in the record: %s", e.Event)
			}
			if name == "CreateUser" && !strings.Contains(string(e.Event), identity.SourcePrincipal) {
				t.Errorf("%s", e.Event)
			}
		}
	}
}
