package identity

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	model "bawn.dev/internal/shape"
	directory "bawn.dev/internal/shape/identitystore"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// What a person may enter is told with what it is called, once, however many ways
// lead there.
func TestAssignments(t *testing.T) {
	wards(t, func(t *testing.T, open func() *ward) {
		w := open()
		ada, bob := w.person(t, "ada"), w.person(t, "bob")
		w.assign(t, ada)
		for _, name := range []string{"doctors", "nurses"} {
			g := ask[directory.CreateGroupOutput](t, w, "identitystore:CreateGroup", &directory.CreateGroupInput{IdentityStoreId: w.store, DisplayName: name}).GroupId
			ask[directory.CreateGroupMembershipOutput](t, w, "identitystore:CreateGroupMembership", &directory.CreateGroupMembershipInput{
				IdentityStoreId: w.store, GroupId: g, MemberId: &directory.MemberId{UserId: ada}})
			ask[shape.CreateAccountAssignmentOutput](t, w, "sso:CreateAccountAssignment", &shape.CreateAccountAssignmentInput{
				InstanceArn: w.instance, PermissionSetArn: w.set, PrincipalId: g, PrincipalType: shape.PrincipalTypeGroup,
				TargetId: apitest.Other, TargetType: shape.TargetTypeAwsAccount})
		}
		if held, err := w.Assignments(w.snapshot(t), ada); err != nil || held != nil {
			t.Fatalf("before anything was done: %v, %v", held, err)
		}
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		held, err := w.Assignments(w.snapshot(t), ada)
		if err != nil || len(held) != 1 {
			t.Fatalf("%v, %v", held, err)
		}
		want := api.Assignment{
			AccountID: apitest.Other, AccountName: "account " + apitest.Other, Email: apitest.Other + "@example.org", PermissionSetARN: w.set,
			PermissionSetName: "Doctor", RoleName: w.roles(t)[0], SessionDuration: time.Hour,
			RoleARN: "arn:aws:iam::" + apitest.Other + ":role/aws-reserved/sso.amazonaws.com/" + w.roles(t)[0],
		}
		if held[0] != want {
			t.Errorf("%+v, want %+v", held[0], want)
		}
		if held, err := w.Assignments(w.snapshot(t), bob); err != nil || held != nil {
			t.Errorf("bob: %v, %v", held, err)
		}
	})
}

// Session tags are what the directory says of a person when she enters, and nothing
// that could be taken for something else.
func TestAttributes(t *testing.T) {
	w := openWard(t, storetest.SQLite(t))
	configure := func(pairs ...string) *shape.InstanceAccessControlAttributeConfiguration {
		c := &shape.InstanceAccessControlAttributeConfiguration{}
		for i := 0; i < len(pairs); i += 2 {
			c.AccessControlAttributes = append(c.AccessControlAttributes, shape.AccessControlAttribute{
				Key: pairs[i], Value: &shape.AccessControlAttributeValue{Source: []string{pairs[i+1]}}})
		}
		return c
	}
	ada := ask[directory.CreateUserOutput](t, w, "identitystore:CreateUser", &directory.CreateUserInput{
		IdentityStoreId: w.store, UserName: "ada", DisplayName: "Ada; DROP", Name: &directory.Name{GivenName: "Ada", FamilyName: "L"}, Title: "Dr",
		Emails:     []directory.Email{{Value: "ada@example.org"}},
		Addresses:  []directory.Address{{Locality: "Paris"}},
		Extensions: map[string]model.Document{enterprise: []byte(`{"department":"Cardiology","costCenter":"` + strings.Repeat("9", 257) + `"}`)},
	}).UserId
	if tags, err := w.Attributes(w.snapshot(t), ada); err != nil || len(tags) != 0 {
		t.Errorf("without a configuration: %v, %v", tags, err)
	}
	ask[shape.CreateInstanceAccessControlAttributeConfigurationOutput](t, w, "sso:CreateInstanceAccessControlAttributeConfiguration",
		&shape.CreateInstanceAccessControlAttributeConfigurationInput{InstanceArn: w.instance, InstanceAccessControlAttributeConfiguration: configure(
			"Department", "${path:enterprise.department}", "Boss", "${path:enterprise.manager.value}",
			"Title", "${path:title}", "Mail", "${path:emails[primary eq true].value}", "Phone", "${path:phoneNumbers[primary eq true].value}",
			"City", "${path:addresses[primary eq true].locality}", "Nick", "${path:nickName}")})
	tags, err := w.Attributes(w.snapshot(t), ada)
	want := map[string]string{"Department": "Cardiology", "Title": "Dr", "Mail": "ada@example.org", "City": "Paris"}
	if err != nil || !maps.Equal(tags, want) {
		t.Errorf("%v, %v; want %v", tags, err, want)
	}

	for _, source := range []string{"${path:displayName}", "${path:enterprise.costCenter}"} { // the letters of one, the length of the other
		ask[shape.UpdateInstanceAccessControlAttributeConfigurationOutput](t, w, "sso:UpdateInstanceAccessControlAttributeConfiguration",
			&shape.UpdateInstanceAccessControlAttributeConfigurationInput{InstanceArn: w.instance, InstanceAccessControlAttributeConfiguration: configure("Key", source)})
		tags, err := w.Attributes(w.snapshot(t), ada)
		if _, told := errors.AsType[*api.Error](err); !told {
			t.Errorf("%s: %v, %v", source, tags, err)
		}
	}

	for _, bad := range [][]string{
		{"aws:PrincipalOrgID", "${path:title}"}, {"AWS:x", "${path:title}"}, {"a", "${path:title}", "A", "${path:title}"},
		{"a", "${path:externalIds.value}"}, {"a", "${path:title"}, {"a", "title"}, {"a", "${user:title}"}, {"a", "${path:userId}"}, {"a", "administrator"},
	} {
		_, err := apitest.CallAs[shape.UpdateInstanceAccessControlAttributeConfigurationOutput](t, w.rig, w.admin[apitest.Account], "",
			"sso:UpdateInstanceAccessControlAttributeConfiguration",
			&shape.UpdateInstanceAccessControlAttributeConfigurationInput{InstanceArn: w.instance, InstanceAccessControlAttributeConfiguration: configure(bad...)})
		if err == nil || err.Code != "ValidationException" {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := w.Attributes(w.snapshot(t), "nobody"); !errors.Is(err, api.ErrGone) {
		t.Errorf("of nobody: %v", err)
	}
}

// A session keeps its role from one call to the next by an answer that was found
// before; nothing that ends it may be missed by that.
func TestHoldsIsAskedAnewAfterEveryChange(t *testing.T) {
	wards(t, func(t *testing.T, open func() *ward) {
		w := open()
		ada := w.person(t, "ada")
		w.assign(t, ada)
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		held, err := w.Assignments(w.snapshot(t), ada)
		if err != nil || len(held) != 1 {
			t.Fatalf("%v, %v", held, err)
		}
		holds := func(want bool) {
			t.Helper()
			for range 2 {
				err := w.Holds(t.Context(), w.snapshot(t), &api.Person{UserID: ada}, &api.Entity{ARN: held[0].RoleARN})
				if (err == nil) != want || err != nil && !errors.Is(err, api.ErrGone) {
					t.Errorf("%v, want %t", err, want)
				}
			}
		}
		holds(true)
		w.unassign(t, ada)
		holds(false) // before the role is gone
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		holds(false)
		w.assign(t, ada)
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		holds(false) // that is another role
		if err := w.rig.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch(userKey(ada)) }); err != nil {
			t.Fatal(err)
		}
		holds(false)
	})
}
