package identity

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store/storetest"
)

// boto3, unmodified: its typed exceptions, its paginators, every operation.
func TestClient(t *testing.T) {
	h := enter(t, storetest.SQLite(t))
	h.rig.Python(t, h.admin, `
ids = client("identitystore")
E = ids.exceptions
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
def caught(kind, f, **kw):
    try:
        f(IdentityStoreId=store, **kw)
    except kind as e:
        return e.response
    raise AssertionError("was not refused")
nobody = "00000000-0000-4000-8000-000000000000"

people = []
for i in range(25):
    people.append(ids.create_user(IdentityStoreId=store, UserName=f"p{i}", DisplayName=f"P {i}", Name={"GivenName": "P", "FamilyName": str(i)},
        Emails=[{"Value": f"p{i}@example.org", "Type": "work", "Primary": True}], Birthdate="1990-01-02", Website="https://example.org",
        Photos=[{"Value": "https://example.org/p.png", "Primary": True}], Roles=[{"Value": "Researcher", "Type": "Work", "Primary": True}],
        PhoneNumbers=[{"Value": "+1 555 0100", "Type": "work"}], Addresses=[{"Locality": "London", "Primary": True}],
        Extensions={"aws:identitystore:enterprise": {"department": f"d{i % 2}", "manager": {"value": nobody}}})["UserId"])
one = ids.describe_user(IdentityStoreId=store, UserId=people[0], Extensions=["aws:identitystore:enterprise"])
assert one["Extensions"]["aws:identitystore:enterprise"] == {"department": "d0", "manager": {"value": nobody}}, one
assert one["Roles"][0]["Value"] == "Researcher" and one["UserStatus"] == "ENABLED" and one["UpdatedAt"] == one["CreatedAt"], one
assert "Extensions" not in ids.describe_user(IdentityStoreId=store, UserId=people[0])
caught(E.ValidationException, ids.describe_user, UserId=people[0], Extensions=["aws:identitystore:other"])
r = caught(E.ConflictException, ids.create_user, UserName="P0", DisplayName="x", Name={"GivenName": "x", "FamilyName": "x"})
assert r["Reason"] == "UNIQUENESS_CONSTRAINT_VIOLATION", r
r = caught(E.ResourceNotFoundException, ids.describe_user, UserId=nobody)
assert r["ResourceType"] == "USER" and r["ResourceId"] == nobody, r
caught(E.ValidationException, ids.create_user, UserName="x")
caught(E.ValidationException, ids.create_user, UserName="x", DisplayName="x", Name={"GivenName": "x", "FamilyName": "x"}, Extensions={"aws:identitystore:other": {}})
try:
    ids.describe_user(IdentityStoreId="d-0000000000", UserId=people[0])
    raise AssertionError("another directory answers")
except E.ResourceNotFoundException as e:
    assert e.response["ResourceType"] == "IDENTITY_STORE"

listed = [u["UserId"] for page in ids.get_paginator("list_users").paginate(IdentityStoreId=store, PaginationConfig={"PageSize": 7}) for u in page["Users"]]
assert sorted(listed) == sorted(people) and len(set(listed)) == 25
assert [u["UserId"] for u in ids.list_users(IdentityStoreId=store, Filters=[{"AttributePath": "UserName", "AttributeValue": "P7"}])["Users"]] == [people[7]]
caught(E.ValidationException, ids.list_users, Filters=[{"AttributePath": "Title", "AttributeValue": "x"}])

ids.update_user(IdentityStoreId=store, UserId=people[0], Operations=[
    {"AttributePath": "displayName", "AttributeValue": "First"}, {"AttributePath": "emails", "AttributeValue": [{"value": "first@example.org", "primary": True}]},
    {"AttributePath": "title"}, {"AttributePath": "externalIds", "AttributeValue": [{"issuer": "https://idp.example", "id": "external-e0"}]}])
def user_id(path=None, value=None, **kw):
    return ids.get_user_id(IdentityStoreId=store, AlternateIdentifier=kw or {"UniqueAttribute": {"AttributePath": path, "AttributeValue": value}})["UserId"]
assert user_id("userName", "P0") == people[0] == user_id("emails.value", "FIRST@example.org") == user_id(ExternalId={"Issuer": "https://idp.example", "Id": "external-e0"})
for wrong in ({"ExternalId": {"Issuer": "https://idp.example", "Id": "E0"}}, {"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": "nobody"}}):
    caught(E.ResourceNotFoundException, ids.get_user_id, AlternateIdentifier=wrong)
for wrong in ("displayName", "title"):
    caught(E.ValidationException, ids.get_user_id, AlternateIdentifier={"UniqueAttribute": {"AttributePath": wrong, "AttributeValue": "First"}})
caught(E.ValidationException, ids.get_user_id, AlternateIdentifier={"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": {"x": 1}}})

groups = [ids.create_group(IdentityStoreId=store, DisplayName=f"Group {i}", Description="of people")["GroupId"] for i in range(12)]
caught(E.ConflictException, ids.create_group, DisplayName="GROUP 3")
ids.update_group(IdentityStoreId=store, GroupId=groups[0], Operations=[{"AttributePath": "description"}, {"AttributePath": "displayName", "AttributeValue": "Leads"}])
g = ids.describe_group(IdentityStoreId=store, GroupId=groups[0])
assert g["DisplayName"] == "Leads" and "Description" not in g and g["UpdatedAt"] >= g["CreatedAt"], g
assert ids.get_group_id(IdentityStoreId=store, AlternateIdentifier={"UniqueAttribute": {"AttributePath": "displayName", "AttributeValue": "leads"}})["GroupId"] == groups[0]
listed = [g["GroupId"] for page in ids.get_paginator("list_groups").paginate(IdentityStoreId=store, PaginationConfig={"PageSize": 5}) for g in page["Groups"]]
assert sorted(listed) == sorted(groups)

me = {"UserId": people[0]}
for g in groups[:9]:
    ids.create_group_membership(IdentityStoreId=store, GroupId=g, MemberId=me)
caught(E.ConflictException, ids.create_group_membership, GroupId=groups[0], MemberId=me)
caught(E.ResourceNotFoundException, ids.create_group_membership, GroupId=nobody, MemberId=me)
caught(E.ResourceNotFoundException, ids.create_group_membership, GroupId=groups[0], MemberId={"UserId": nobody})
mine = [m["GroupId"] for page in ids.get_paginator("list_group_memberships_for_member").paginate(IdentityStoreId=store, MemberId=me, PaginationConfig={"PageSize": 4}) for m in page["GroupMemberships"]]
assert sorted(mine) == sorted(groups[:9]), mine
for p in people[1:12]:
    ids.create_group_membership(IdentityStoreId=store, GroupId=groups[0], MemberId={"UserId": p})
members = [m["MemberId"]["UserId"] for page in ids.get_paginator("list_group_memberships").paginate(IdentityStoreId=store, GroupId=groups[0], PaginationConfig={"PageSize": 5}) for m in page["GroupMemberships"]]
assert sorted(members) == sorted(people[:12]), members
asked = ids.is_member_in_groups(IdentityStoreId=store, MemberId=me, GroupIds=groups)["Results"]
assert [r["MembershipExists"] for r in asked] == [True] * 9 + [False] * 3, asked
m = ids.get_group_membership_id(IdentityStoreId=store, GroupId=groups[8], MemberId=me)["MembershipId"]
assert ids.describe_group_membership(IdentityStoreId=store, MembershipId=m)["GroupId"] == groups[8]
ids.delete_group_membership(IdentityStoreId=store, MembershipId=m)
caught(E.ResourceNotFoundException, ids.describe_group_membership, MembershipId=m)
caught(E.ResourceNotFoundException, ids.delete_group_membership, MembershipId=m)
caught(E.ResourceNotFoundException, ids.get_group_membership_id, GroupId=groups[8], MemberId=me)
ids.delete_user(IdentityStoreId=store, UserId=people[0])
caught(E.ResourceNotFoundException, ids.list_group_memberships_for_member, MemberId=me)
assert people[0] not in [m["MemberId"]["UserId"] for m in ids.list_group_memberships(IdentityStoreId=store, GroupId=groups[0])["GroupMemberships"]]
ids.delete_group(IdentityStoreId=store, GroupId=groups[0])
caught(E.ResourceNotFoundException, ids.describe_group, GroupId=groups[0])
assert not ids.list_group_memberships_for_member(IdentityStoreId=store, MemberId={"UserId": people[1]})["GroupMemberships"]
`)
	for _, r := range h.rig.Records(t, apitest.Account, "UpdateUser") {
		if s := string(r.RequestParameters); slices.ContainsFunc([]string{"first@example.org", "external-e0", "First"}, func(secret string) bool { return strings.Contains(s, secret) }) {
			t.Errorf("the record says what an attribute is: %s", s)
		}
	}
}

// Whoever acts on a person's behalf asks authz each time whether she is still there:
// calls, and the service that runs her jobs.
func TestPresence(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		instance := apitest.Must[ssoadmin.ListInstancesOutput](t, h.admin, "sso:ListInstances", &ssoadmin.ListInstancesInput{}).Instances[0].InstanceArn
		app := apitest.Must[ssoadmin.CreateApplicationOutput](t, h.admin, "sso:CreateApplication", &ssoadmin.CreateApplicationInput{
			ApplicationProviderArn: customProvider, InstanceArn: instance, Name: "workbench"}).ApplicationArn
		assign := func(kind ssoadmin.PrincipalType, id string) {
			apitest.Must[ssoadmin.CreateApplicationAssignmentOutput](t, h.admin, "sso:CreateApplicationAssignment", &ssoadmin.CreateApplicationAssignmentInput{
				ApplicationArn: app, PrincipalType: kind, PrincipalId: id})
		}
		authorizer, err := authz.New(authz.Sources{Principals: h.rig, Organization: h.rig, Directory: h.Service, ServicePolicies: h.rig})
		if err != nil {
			t.Fatal(err)
		}
		signedIn := h.rig.Now()
		there := func(id string) bool {
			t.Helper()
			sn, err := h.rig.Store.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer sn.Close()
			_, err = authorizer.Subject(t.Context(), sn, api.Claim{Kind: api.KindService, Account: apitest.Account, ID: "sagemaker.amazonaws.com", Issued: signedIn,
				Person: &api.Person{UserID: id, ApplicationARN: app, SignedIn: signedIn}})
			if err != nil && !errors.Is(err, api.ErrGone) {
				t.Fatal(err)
			}
			return err == nil
		}
		check := func(id string, want bool, when string) {
			t.Helper()
			for range 2 { // from the rows, and from memory
				if there(id) != want {
					t.Errorf("%s: there is %v", when, !want)
				}
			}
		}
		ada, eve := h.person(t, "ada"), h.person(t, "eve")
		check(ada, false, "not assigned")
		team := h.team(t, "Team", ada)
		assign(ssoadmin.PrincipalTypeGroup, team)
		check(ada, true, "her group is assigned")
		assign(ssoadmin.PrincipalTypeUser, eve)
		check(eve, true, "she is assigned")

		member := &shape.MemberId{UserId: ada}
		out := apitest.Must[shape.GetGroupMembershipIdOutput](t, h.admin, "identitystore:GetGroupMembershipId", &shape.GetGroupMembershipIdInput{
			IdentityStoreId: h.id, GroupId: team, MemberId: member})
		apitest.Must[shape.DeleteGroupMembershipOutput](t, h.admin, "identitystore:DeleteGroupMembership", &shape.DeleteGroupMembershipInput{
			IdentityStoreId: h.id, MembershipId: out.MembershipId})
		check(ada, false, "out of the group")
		apitest.Must[shape.CreateGroupMembershipOutput](t, h.admin, "identitystore:CreateGroupMembership", &shape.CreateGroupMembershipInput{
			IdentityStoreId: h.id, GroupId: team, MemberId: member})
		check(ada, true, "back in the group")
		if err := h.update(t, eve, "userStatus", `"DISABLED"`); err != nil {
			t.Fatal(err)
		}
		check(eve, false, "disabled")
		if err := h.update(t, eve, "userStatus", `"ENABLED"`); err != nil {
			t.Fatal(err)
		}
		check(eve, false, "enabled again, with a session of before")
		h.rig.Advance(time.Minute)
		signedIn = h.rig.Now()
		check(eve, true, "signed in again")
		apitest.Must[ssoadmin.DeleteApplicationOutput](t, h.admin, "sso:DeleteApplication", &ssoadmin.DeleteApplicationInput{ApplicationArn: app})
		check(eve, false, "the application is gone")
	})
}
