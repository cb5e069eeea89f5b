package iam

import (
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestUserUpdatesWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.Python(t, h.admin, userUpdates)
	})
}

const userUpdates = `
iam = client("iam")
ex = iam.exceptions
def raises(kind, f, **kw):
    try:
        f(**kw)
    except kind as e:
        return e.response["Error"]["Message"]
    raise AssertionError("was not refused")

# As Terraform goes about it.
raises(ex.NoSuchEntityException, iam.get_user, UserName="ada")
u = iam.create_user(UserName="ada", Tags=[{"Key": "Team", "Value": "red"}])["User"]
iam.get_waiter("user_exists").wait(UserName="ada")
assert iam.get_user(UserName="ada")["User"] == u
iam.tag_user(UserName="ada", Tags=[{"Key": "team", "Value": "blue"}, {"Key": "Cost", "Value": "1"}, {"Key": "Floor", "Value": ""}])
tags = [t for p in iam.get_paginator("list_user_tags").paginate(UserName="ada", PaginationConfig={"PageSize": 2}) for t in p["Tags"]]
assert tags == [{"Key": "Cost", "Value": "1"}, {"Key": "Floor", "Value": ""}, {"Key": "team", "Value": "blue"}], tags
assert iam.get_user(UserName="ada")["User"]["Tags"] == tags
iam.untag_user(UserName="ada", TagKeys=["FLOOR", "none"])
assert len(iam.list_user_tags(UserName="ada")["Tags"]) == 2
raises(ex.LimitExceededException, iam.tag_user, UserName="ada", Tags=[{"Key": f"k{i}", "Value": ""} for i in range(49)])
raises(ex.InvalidInputException, iam.tag_user, UserName="ada", Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])
refused(iam.tag_user, "ValidationError", UserName="ada", Tags=[{"Key": "aws:a", "Value": ""}])
raises(ex.NoSuchEntityException, iam.tag_user, UserName="none", Tags=[{"Key": "a", "Value": ""}])
raises(ex.NoSuchEntityException, iam.untag_user, UserName="none", TagKeys=["a"])
raises(ex.NoSuchEntityException, iam.list_user_tags, UserName="none")

# Another name and path: the same user, with all she has.
k = iam.create_access_key(UserName="ada")["AccessKey"]
hers = client("iam", aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"])
iam.put_user_policy(UserName="ada", PolicyName="self", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*"}]}))
iam.create_group(GroupName="g")
iam.add_user_to_group(GroupName="g", UserName="ada")
raises(ex.EntityAlreadyExistsException, iam.update_user, UserName="ada", NewUserName="Admin")
raises(ex.NoSuchEntityException, iam.update_user, UserName="none", NewUserName="other")
refused(iam.update_user, "ValidationError", UserName="ada", NewPath="no-slash")
iam.update_user(UserName="ada", NewUserName="Grace", NewPath="/navy/")
raises(ex.NoSuchEntityException, iam.get_user, UserName="ada")
now = hers.get_user()["User"]
assert now["UserName"] == "Grace" and now["UserId"] == u["UserId"] and now["Arn"] == "arn:aws:iam::123456789012:user/navy/Grace", now
assert now["Tags"] == iam.list_user_tags(UserName="Grace")["Tags"] != []
assert iam.list_user_policies(UserName="Grace")["PolicyNames"] == ["self"]
assert [x["GroupName"] for x in iam.list_groups_for_user(UserName="Grace")["Groups"]] == ["g"]
assert [x["UserName"] for x in iam.list_access_keys(UserName="Grace")["AccessKeyMetadata"]] == ["Grace"]
assert client("iam").get_group(GroupName="g")["Users"][0]["UserName"] == "Grace"
iam.update_user(UserName="Grace", NewUserName="grace")  # which only she bears
iam.update_user(UserName="grace", NewPath="/")
assert iam.get_user(UserName="grace")["User"]["Arn"] == "arn:aws:iam::123456789012:user/grace"

# Credentials that there are none of, as tools ask before they delete a user.
assert raises(ex.NoSuchEntityException, iam.get_login_profile, UserName="grace") == "Login Profile for User grace cannot be found."
assert raises(ex.NoSuchEntityException, iam.get_login_profile) == "Login Profile for User admin cannot be found."
assert iam.list_ssh_public_keys(UserName="grace")["SSHPublicKeys"] == []
assert iam.list_signing_certificates(UserName="grace")["Certificates"] == []
assert iam.list_service_specific_credentials(UserName="grace", ServiceName="codecommit.amazonaws.com")["ServiceSpecificCredentials"] == []
assert iam.list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"] == []
refused(iam.list_service_specific_credentials, "ValidationError", UserName="grace", AllUsers=True)
for f in (iam.list_ssh_public_keys, iam.list_signing_certificates, iam.list_service_specific_credentials, iam.get_login_profile):
    raises(ex.NoSuchEntityException, f, UserName="none")
    refused(getattr(hers, f.__name__), "AccessDenied")
    refused(getattr(hers, f.__name__), "AccessDenied", UserName="none")
refused(hers.list_service_specific_credentials, "AccessDenied", AllUsers=True)

iam.remove_user_from_group(GroupName="g", UserName="grace")
iam.delete_user_policy(UserName="grace", PolicyName="self")
iam.delete_access_key(UserName="grace", AccessKeyId=k["AccessKeyId"])
iam.delete_user(UserName="grace")
raises(ex.NoSuchEntityException, iam.get_user, UserName="grace")
`

// What trusted a user trusts him under his new name, and shows it; whoever takes the
// old name gains nothing, however he comes by it.
func TestFreedNamesGiveNothing(t *testing.T) {
	h := newHouse(t)
	ada := must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: "ada"}).User
	eve := must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: "eve"}).User
	trust := strings.Replace(trustAccount, "arn:aws:iam::"+apitest.Account+":root", ada.Arn, 1)
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "r", AssumeRolePolicyDocument: trust})
	at := "arn:aws:iam::" + apitest.Account + ":"
	trusts := func(u *shape.User, name string) bool {
		t.Helper()
		sn, err := h.Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		f, err := h.iam.resolve(t.Context(), sn, at+"role/r")
		if err != nil {
			t.Fatal(err)
		}
		return policy.Decide(&policy.Input{
			Action: "sts:AssumeRole", Resource: f.ARN, ResourceAccount: f.Account, ResourcePolicy: f.Detail.(*api.Entity).Trust, RootOfTrust: true,
			Principal: policy.Principal{Kind: policy.User, Account: apitest.Account, ARN: at + "user/" + name, ID: u.UserId},
		}).Allowed
	}
	rename := func(from, to string) {
		t.Helper()
		must[shape.UpdateUserOutput](t, h, h.admin, "iam:UpdateUser", &shape.UpdateUserInput{UserName: from, NewUserName: to})
	}
	check := func(hers, other string) {
		t.Helper()
		shown := must[shape.GetRoleOutput](t, h, h.admin, "iam:GetRole", &shape.GetRoleInput{RoleName: "r"}).Role.AssumeRolePolicyDocument
		if !strings.Contains(shown, answered(`"`+at+"user/"+hers+`"`)) || strings.Count(shown, "user") != 1 {
			t.Errorf("shown as %s", shown)
		}
		if !trusts(ada, hers) || trusts(eve, other) {
			t.Errorf("trusts %s: %v, %s: %v", hers, trusts(ada, hers), other, trusts(eve, other))
		}
	}
	check("ada", "eve")
	rename("ada", "grace")
	check("grace", "eve")
	rename("eve", "ada")
	check("grace", "ada")
	must[shape.DeleteUserOutput](t, h, h.admin, "iam:DeleteUser", &shape.DeleteUserInput{UserName: "grace"})
	rename("ada", "grace")
	shown := must[shape.GetRoleOutput](t, h, h.admin, "iam:GetRole", &shape.GetRoleInput{RoleName: "r"}).Role.AssumeRolePolicyDocument
	if strings.Contains(shown, "user") || !strings.Contains(shown, ada.UserId) || trusts(eve, "grace") {
		t.Errorf("%s", shown)
	}
}

// A name that policies speak of is not taken without the permission on it, nor one
// given up without the permission on what is renamed.
func TestNobodySlipsIntoAName(t *testing.T) {
	h := newHouse(t)
	must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: "chief", Path: "/chiefs/"})
	c := h.user(t, "clerk", allow(`"Action":["iam:UpdateUser","iam:TagUser"],"Resource":"arn:aws:iam::`+apitest.Account+`:user/clerk*"`))
	for _, in := range []shape.UpdateUserInput{
		{UserName: "clerk", NewUserName: "boss"}, {UserName: "clerk", NewPath: "/chiefs/"}, {UserName: "clerk", NewUserName: "admin"},
		{UserName: "chief", NewUserName: "clerk2", NewPath: "/"}, {UserName: "chief"}, {UserName: "none", NewUserName: "clerk2"},
	} {
		refused[shape.UpdateUserOutput](t, h, c, "iam:UpdateUser", &in, "AccessDenied")
	}
	must[shape.UpdateUserOutput](t, h, c, "iam:UpdateUser", &shape.UpdateUserInput{UserName: "clerk", NewUserName: "clerk2"})
	must[shape.UpdateUserOutput](t, h, c, "iam:UpdateUser", &shape.UpdateUserInput{UserName: "clerk2", NewUserName: "clerk3"})
	refused[shape.UpdateUserOutput](t, h, c, "iam:UpdateUser", &shape.UpdateUserInput{UserName: "clerk2", NewUserName: "clerk4"}, "NoSuchEntity")
	refused[shape.UpdateUserOutput](t, h, c, "iam:UpdateUser", &shape.UpdateUserInput{UserName: "clerk2", NewUserName: "boss"}, "AccessDenied")
}

// Tags of users decide about the users, and about what the users may do: on the next
// call.
func TestUserTagsDecide(t *testing.T) {
	h := newHouse(t)
	ada := h.user(t, "ada", allow(`"Action":"iam:ListUsers","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"}}`))
	team := func(v string) []shape.Tag { return []shape.Tag{{Key: "team", Value: v}} }
	list := &shape.ListUsersInput{}
	refused[shape.ListUsersOutput](t, h, ada, "iam:ListUsers", list, "AccessDenied")
	must[shape.TagUserOutput](t, h, h.admin, "iam:TagUser", &shape.TagUserInput{UserName: "ada", Tags: team("red")})
	must[shape.ListUsersOutput](t, h, ada, "iam:ListUsers", list)
	must[shape.UntagUserOutput](t, h, h.admin, "iam:UntagUser", &shape.UntagUserInput{UserName: "ada", TagKeys: []string{"team"}})
	refused[shape.ListUsersOutput](t, h, ada, "iam:ListUsers", list, "AccessDenied")

	tagger := h.user(t, "tagger", allow(`"Action":["iam:TagUser","iam:UntagUser","iam:UpdateUser"],"Resource":"*",
		"Condition":{"StringEquals":{"aws:RequestTag/team":"blue"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}`))
	must[shape.TagUserOutput](t, h, tagger, "iam:TagUser", &shape.TagUserInput{UserName: "ada", Tags: team("blue")})
	refused[shape.TagUserOutput](t, h, tagger, "iam:TagUser", &shape.TagUserInput{UserName: "ada", Tags: team("red")}, "AccessDenied")
	refused[shape.UntagUserOutput](t, h, tagger, "iam:UntagUser", &shape.UntagUserInput{UserName: "ada", TagKeys: []string{"team"}}, "AccessDenied")

	must[shape.TagUserOutput](t, h, h.admin, "iam:TagUser", &shape.TagUserInput{UserName: "admin", Tags: team("red")})
	for _, key := range []string{"iam:ResourceTag/team", "aws:ResourceTag/team"} {
		c := h.user(t, "of-"+key[:3], allow(`"Action":["iam:UpdateUser","iam:GetUser"],"Resource":"*","Condition":{"StringEquals":{"`+key+`":"blue"}}`))
		must[shape.GetUserOutput](t, h, c, "iam:GetUser", &shape.GetUserInput{UserName: "ada"})
		must[shape.UpdateUserOutput](t, h, c, "iam:UpdateUser", &shape.UpdateUserInput{UserName: "ada", NewPath: "/" + key[:3] + "/"})
		refused[shape.UpdateUserOutput](t, h, c, "iam:UpdateUser", &shape.UpdateUserInput{UserName: "admin", NewUserName: "x"}, "AccessDenied")
	}
}

// Of those who want one name at once, one gets it.
func TestRenamesAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		names := []string{"a", "b", "c", "d"}
		for _, name := range names {
			must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: name})
		}
		if n := each(t, h, len(names), func(i int) (string, any) {
			return "iam:UpdateUser", &shape.UpdateUserInput{UserName: names[i], NewUserName: "one"}
		}); n != 1 {
			t.Errorf("%d users of one name", n)
		}
	})
}
