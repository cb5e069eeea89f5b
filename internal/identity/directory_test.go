package identity

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	model "bawn.dev/internal/shape"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// A house is an identity centre behind a door, on one of the databases.
type house struct {
	*Service
	rig   *apitest.Rig
	admin *apitest.Caller
	id    string // of the directory
}

func enter(t *testing.T, st *store.Store) *house {
	t.Helper()
	s, err := New(Config{Account: apitest.Account})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{Service: s}
	h.rig = apitest.Over(t, st, t.TempDir(), apitest.Options{Migrations: [][]store.Migration{Migrations()}}, slices.Clone(s.APIs())...)
	if err := st.Update(t.Context(), func(tx *store.Tx) error { return s.Bootstrap(tx, h.rig.Now()) }); err != nil {
		t.Fatal(err)
	}
	h.admin = h.rig.User(t, apitest.Account, "admin", apitest.Admin)
	h.id = apitest.Must[ssoadmin.ListInstancesOutput](t, h.admin, "sso:ListInstances", &ssoadmin.ListInstancesInput{}).Instances[0].IdentityStoreId
	return h
}

func each(t *testing.T, test func(t *testing.T, h *house)) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) { test(t, enter(t, open(t))) })
}

func (h *house) person(t *testing.T, name string) string {
	t.Helper()
	return apitest.Must[shape.CreateUserOutput](t, h.admin, "identitystore:CreateUser", h.newPerson(name)).UserId
}

func (h *house) newPerson(name string) *shape.CreateUserInput {
	return &shape.CreateUserInput{IdentityStoreId: h.id, UserName: name, DisplayName: name, Name: &shape.Name{GivenName: name, FamilyName: "E"},
		Emails: []shape.Email{{Value: name + "@example.org"}}}
}

func (h *house) team(t *testing.T, name string, people ...string) string {
	t.Helper()
	id := apitest.Must[shape.CreateGroupOutput](t, h.admin, "identitystore:CreateGroup", &shape.CreateGroupInput{IdentityStoreId: h.id, DisplayName: name}).GroupId
	for _, p := range people {
		apitest.Must[shape.CreateGroupMembershipOutput](t, h.admin, "identitystore:CreateGroupMembership", &shape.CreateGroupMembershipInput{
			IdentityStoreId: h.id, GroupId: id, MemberId: &shape.MemberId{UserId: p}})
	}
	return id
}

func (h *house) update(t *testing.T, id, path, value string) *api.Error {
	t.Helper()
	_, err := apitest.Call[shape.UpdateUserOutput](t, h.admin, "identitystore:UpdateUser", &shape.UpdateUserInput{IdentityStoreId: h.id, UserId: id,
		Operations: []shape.AttributeOperation{{AttributePath: path, AttributeValue: []byte(value)}}})
	return err
}

func (h *house) describe(t *testing.T, id string) *shape.DescribeUserOutput {
	t.Helper()
	return apitest.Must[shape.DescribeUserOutput](t, h.admin, "identitystore:DescribeUser", &shape.DescribeUserInput{
		IdentityStoreId: h.id, UserId: id, Extensions: []string{enterprise}})
}

// Every attribute is set, changed in part and cleared by its path.
func TestUpdates(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		id := h.person(t, "ada")
		for _, op := range [][2]string{
			{"title", `"Countess"`}, {"name.middleName", `"K"`}, {"NAME.GIVENNAME", `"Augusta"`}, {"emails", `[{"value":"a@b.example","type":"work","primary":false}]`},
			{"addresses", `[{"locality":"London","streetAddress":"12 St James"}]`}, {"photos", `[{"value":"https://example.org/a.png","primary":true}]`},
			{"roles", `[{"value":"Analyst"}]`}, {"website", `"https://example.org"`}, {"birthdate", `"1815-12-10"`},
			{"aws:identitystore:enterprise.department", `"Engines"`}, {"aws:identitystore:enterprise.manager.value", `"m"`},
			{"externalIds", `[{"issuer":"i","id":"1"},{"Issuer":"j","Id":"2"}]`},
		} {
			if err := h.update(t, id, op[0], op[1]); err != nil {
				t.Errorf("%s: %v", op[0], err)
			}
		}
		u := h.describe(t, id)
		if u.Title != "Countess" || u.Name.MiddleName != "K" || u.Name.GivenName != "Augusta" || u.Name.FamilyName != "E" || u.Emails[0].Value != "a@b.example" ||
			u.Addresses[0].StreetAddress != "12 St James" || u.Photos[0].Value == "" || u.Roles[0].Value != "Analyst" || u.Birthdate != "1815-12-10" ||
			string(u.Extensions[enterprise]) != `{"department":"Engines","manager":{"value":"m"}}` || len(u.ExternalIds) != 2 || !u.UpdatedAt.After(u.CreatedAt) {
			t.Errorf("after the updates: %+v", u)
		}
		for _, path := range []string{"title", "name.middleName", "emails", "addresses", "photos", "roles", "website", "birthdate", "aws:identitystore:enterprise.manager", "externalIds"} {
			value := "null"
			if path == "title" {
				value = "" // absent
			}
			if err := h.update(t, id, path, value); err != nil {
				t.Errorf("clear %s: %v", path, err)
			}
		}
		u = h.describe(t, id)
		if u.Title != "" || u.Name.MiddleName != "" || u.Emails != nil || u.Addresses != nil || u.Photos != nil || u.Roles != nil || u.Website != "" || u.Birthdate != "" ||
			string(u.Extensions[enterprise]) != `{"department":"Engines"}` || u.ExternalIds != nil {
			t.Errorf("after they were cleared: %+v", u)
		}
		plain := apitest.Must[shape.DescribeUserOutput](t, h.admin, "identitystore:DescribeUser", &shape.DescribeUserInput{IdentityStoreId: h.id, UserId: id})
		if plain.Extensions != nil {
			t.Error("an extension is shown to who did not ask for it")
		}
	})
}

// What nobody may set, and what does not have the form of its attribute, is refused,
// and changes nothing.
func TestUpdatesRefused(t *testing.T) {
	h := enter(t, storetest.SQLite(t))
	id := h.person(t, "ada")
	before := h.describe(t, id)
	for path, values := range map[string][]string{
		"userId": {`"x"`}, "identityStoreId": {`"d-0000000000"`}, "createdAt": {`"2000-01-01T00:00:00Z"`}, "createdBy": {`"x"`}, "extensions": {`{}`},
		"userName":    {`null`, `""`, `1`, `"a b"`, `"Administrator"`, `"` + strings.Repeat("a", 129) + `"`},
		"displayName": {`null`, `["x"]`}, "name": {`null`, `{"givenName":"x"}`, `{"nothing":"x"}`}, "name.givenName": {`null`}, "name.nothing": {`"x"`}, "title.x": {`"x"`},
		"emails":     {`[{"value":"a@b"},{"value":"c@d"}]`, `[{"type":"work"}]`, `[{"value":"a@b","value":"c@d"}]`, `[{"value":"a@b","Value":"c@d"}]`, `{"value":"a@b"}`, `"a@b"`},
		"userStatus": {`"SUSPENDED"`, `null`}, "birthdate": {`"10/12/1815"`}, "photos": {`[{"type":"x"}]`, `[{"value":"a","primary":true},{"value":"b","primary":true}]`},
		"externalIds":                             {`[{"issuer":"i"}]`, `[{"issuer":"i","id":"1"},{"issuer":"i","id":"2"}]`, `"x"`},
		"aws:identitystore:enterprise.salary":     {`"1"`},
		"aws:identitystore:enterprise":            {`{"salary":"1"}`, `"x"`},
		"aws:identitystore:enterprise.department": {`"` + strings.Repeat("a", 1025) + `"`, `"\u0000"`},
		"aws:identitystore:provisioning":          {`{}`},
	} {
		for _, value := range values {
			if err := h.update(t, id, path, value); err == nil || err.Code != "ValidationException" {
				t.Errorf("%s = %.60s: %v", path, value, err)
			}
		}
	}
	after := h.describe(t, id)
	if after.UserName != before.UserName || after.UpdatedAt != before.UpdatedAt {
		t.Errorf("%+v became %+v", before, after)
	}
}

// Names, addresses and external ids are one person's, whatever the case of the first
// two.
func TestUniqueness(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, eve := h.person(t, "ada"), h.person(t, "eve")
		if err := h.update(t, ada, "externalIds", `[{"issuer":"i","id":"1"}]`); err != nil {
			t.Fatal(err)
		}
		for path, value := range map[string]string{
			"userName": `"ADA"`, "emails": `[{"value":"Ada@Example.org"}]`, "externalIds": `[{"issuer":"i","id":"1"}]`,
		} {
			if err := h.update(t, eve, path, value); err == nil || err.Code != "ConflictException" || err.Fields["Reason"] != "UNIQUENESS_CONSTRAINT_VIOLATION" {
				t.Errorf("%s of another: %v", path, err)
			}
		}
		if err := h.update(t, eve, "externalIds", `[{"issuer":"other","id":"1"}]`); err != nil {
			t.Errorf("the same id of another issuer: %v", err)
		}
		if err := h.update(t, ada, "userName", `"Ada"`); err != nil {
			t.Errorf("her own name in other letters: %v", err)
		}
		apitest.Must[shape.DeleteUserOutput](t, h.admin, "identitystore:DeleteUser", &shape.DeleteUserInput{IdentityStoreId: h.id, UserId: ada})
		if err := h.update(t, eve, "externalIds", `[{"issuer":"i","id":"1"}]`); err != nil {
			t.Errorf("of one who was removed: %v", err)
		}
		h.team(t, "Équipe")
		for _, name := range []string{"équipe", "ÉQUIPE"} {
			_, err := apitest.Call[shape.CreateGroupOutput](t, h.admin, "identitystore:CreateGroup", &shape.CreateGroupInput{IdentityStoreId: h.id, DisplayName: name})
			if err == nil || err.Code != "ConflictException" {
				t.Errorf("another group %s: %v", name, err)
			}
		}
		h.team(t, "e\u0301quipe") // other letters that look alike are others
	})
}

// What was stored by the release before is read, found, and kept unique.
func TestRowsFromBefore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		st := open(t)
		if err := st.Migrate(t.Context(), Migrations()[:1]); err != nil {
			t.Fatal(err)
		}
		const u, g, m = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"
		if err := st.Update(t.Context(), func(tx *store.Tx) error {
			doc := `{"Addresses":[],"CreatedAt":"2026-01-01T00:00:00Z","CreatedBy":"x","DisplayName":"Old","Emails":[{"Primary":null,"Type":"","Value":"old@example.org"}],
				"ExternalIds":[],"IdentityStoreId":"d-0123456789","Name":{"FamilyName":"O","Formatted":"","GivenName":"O"},"PhoneNumbers":[],"UserId":"` + u + `","UserName":"old","UserStatus":"ENABLED"}`
			_, err1 := tx.Exec(`INSERT INTO identity_users (id, name, email, doc, enabled, created, not_before) VALUES (?, 'old', 'old@example.org', ?, ?, 1, 0)`, u, []byte(doc), true)
			_, err2 := tx.Exec(`INSERT INTO identity_groups (id, name, description, created) VALUES (?, 'Old Team', 'of old', 1)`, g)
			_, err3 := tx.Exec(`INSERT INTO identity_memberships (id, group_id, user_id) VALUES (?, ?, ?)`, m, g, u)
			return errors.Join(err1, err2, err3)
		}); err != nil {
			t.Fatal(err)
		}
		h := enter(t, st)
		if err := h.update(t, u, "title", `"Elder"`); err != nil {
			t.Errorf("a user from before: %v", err)
		}
		if got := h.describe(t, u); got.Title != "Elder" || got.Emails[0].Value != "old@example.org" || got.Addresses != nil {
			t.Errorf("a user from before: %+v", got)
		}
		found := apitest.Must[shape.GetGroupIdOutput](t, h.admin, "identitystore:GetGroupId", &shape.GetGroupIdInput{IdentityStoreId: h.id,
			AlternateIdentifier: &shape.AlternateIdentifier{UniqueAttribute: &shape.UniqueAttribute{AttributePath: "DisplayName", AttributeValue: []byte(`"OLD team"`)}}})
		if found.GroupId != g {
			t.Errorf("a group from before is found as %q", found.GroupId)
		}
		apitest.Must[shape.UpdateGroupOutput](t, h.admin, "identitystore:UpdateGroup", &shape.UpdateGroupInput{IdentityStoreId: h.id, GroupId: g,
			Operations: []shape.AttributeOperation{{AttributePath: "displayName", AttributeValue: []byte(`"New Team"`)}}})
		got := apitest.Must[shape.DescribeGroupOutput](t, h.admin, "identitystore:DescribeGroup", &shape.DescribeGroupInput{IdentityStoreId: h.id, GroupId: g})
		if got.DisplayName != "New Team" || got.Description != "of old" || got.CreatedAt != time.UnixMicro(1).UTC() {
			t.Errorf("a group from before: %+v", got)
		}
		one := apitest.Must[shape.DescribeGroupMembershipOutput](t, h.admin, "identitystore:DescribeGroupMembership", &shape.DescribeGroupMembershipInput{IdentityStoreId: h.id, MembershipId: m})
		if one.GroupId != g || one.MemberId.UserId != u || !one.CreatedAt.IsZero() {
			t.Errorf("a membership from before: %+v", one)
		}
	})
}

// A directory that is full takes nobody, and takes one again when one has left.
func TestQuotas(t *testing.T) {
	h := enter(t, storetest.SQLite(t))
	h.users.max, h.groups.max = 2, 1
	ada := h.person(t, "ada")
	h.person(t, "eve")
	h.team(t, "Team")
	if _, err := apitest.Call[shape.CreateUserOutput](t, h.admin, "identitystore:CreateUser", h.newPerson("mary")); err == nil || err.Code != "ServiceQuotaExceededException" {
		t.Errorf("one too many: %v", err)
	}
	_, err := apitest.Call[shape.CreateGroupOutput](t, h.admin, "identitystore:CreateGroup", &shape.CreateGroupInput{IdentityStoreId: h.id, DisplayName: "Other"})
	if err == nil || err.Code != "ServiceQuotaExceededException" {
		t.Errorf("one group too many: %v", err)
	}
	apitest.Must[shape.DeleteUserOutput](t, h.admin, "identitystore:DeleteUser", &shape.DeleteUserInput{IdentityStoreId: h.id, UserId: ada})
	h.person(t, "mary")
}

// Who may see one person or group hears nothing of others, not even that they are
// not there.
func TestEnumeration(t *testing.T) {
	h := enter(t, storetest.SQLite(t))
	ada, eve := h.person(t, "ada"), h.person(t, "eve")
	her := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"identitystore:*","Resource":["arn:aws:identitystore:::user/` + ada + `","arn:aws:identitystore::*:identitystore/*"]}]}`
	c := h.rig.User(t, apitest.Account, "curious", her)
	find := func(name string) *api.Error {
		_, err := apitest.Call[shape.GetUserIdOutput](t, c, "identitystore:GetUserId", &shape.GetUserIdInput{IdentityStoreId: h.id,
			AlternateIdentifier: &shape.AlternateIdentifier{UniqueAttribute: &shape.UniqueAttribute{AttributePath: "userName", AttributeValue: []byte(`"` + name + `"`)}}})
		return err
	}
	if err := find("ada"); err != nil {
		t.Errorf("her: %v", err)
	}
	for _, name := range []string{"eve", "nobody"} {
		if err := find(name); err == nil || err.Code != "AccessDenied" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{eve, "00000000-0000-4000-8000-000000000000"} {
		if _, err := apitest.Call[shape.DescribeUserOutput](t, c, "identitystore:DescribeUser", &shape.DescribeUserInput{IdentityStoreId: h.id, UserId: id}); err == nil || err.Code != "AccessDenied" {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := apitest.Call[shape.ListUsersOutput](t, c, "identitystore:ListUsers", &shape.ListUsersInput{IdentityStoreId: h.id}); err == nil || err.Code != "AccessDenied" {
		t.Errorf("all: %v", err)
	}
	// Who may change people, but not those of another issuer, neither changes nor makes one.
	bound := h.rig.User(t, apitest.Account, "bound", apitest.Admin, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"identitystore:*","Resource":"*",
		"Condition":{"ForAnyValue:StringEquals":{"identitystore:UserExternalIdIssuers":"https://idp.example"}}}]}`)
	give := func(c *apitest.Caller, id string) *api.Error {
		_, err := apitest.Call[shape.UpdateUserOutput](t, c, "identitystore:UpdateUser", &shape.UpdateUserInput{IdentityStoreId: h.id, UserId: id,
			Operations: []shape.AttributeOperation{{AttributePath: "ExternalIDs", AttributeValue: []byte(`[{"issuer":"https://idp.example","id":"1"}]`)}}})
		return err
	}
	if err := give(bound, eve); err == nil || err.Code != "AccessDenied" {
		t.Errorf("gives an external id: %v", err)
	}
	made := h.newPerson("new")
	made.Extensions = map[string]model.Document{provisioning: []byte(`{"externalIds":[{"issuer":"https://idp.example","id":"2"}]}`)}
	if _, err := apitest.Call[shape.CreateUserOutput](t, bound, "identitystore:CreateUser", made); err == nil || err.Code != "AccessDenied" {
		t.Errorf("makes one with an external id: %v", err)
	}
	if err := give(h.admin, ada); err != nil {
		t.Fatal(err)
	}
	if _, err := apitest.Call[shape.DeleteUserOutput](t, bound, "identitystore:DeleteUser", &shape.DeleteUserInput{IdentityStoreId: h.id, UserId: ada}); err == nil || err.Code != "AccessDenied" {
		t.Errorf("deletes one of that issuer: %v", err)
	}
}
