package iam

import (
	"fmt"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestGroupsWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.Python(t, h.admin, groups)
	})
}

const groups = `
iam = client("iam")
ex = iam.exceptions
def raises(kind, f, **kw):
    try:
        f(**kw)
    except kind as e:
        return e.response["Error"]["Message"]
    raise AssertionError("was not refused")
def policy(effect, action="iam:ListUsers"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": "*"}]})

# Read after write.
raises(ex.NoSuchEntityException, iam.get_group, GroupName="Readers")
g = iam.create_group(GroupName="Readers", Path="/science/")["Group"]
assert g["Arn"] == "arn:aws:iam::123456789012:group/science/Readers" and g["GroupId"].startswith("AGPA") and len(g["GroupId"]) == 21, g
assert iam.get_group(GroupName="Readers")["Group"] == g and iam.get_group(GroupName="Readers")["Users"] == []
assert "Group with name READERS already exists." in raises(ex.EntityAlreadyExistsException, iam.create_group, GroupName="READERS")
raises(ex.NoSuchEntityException, iam.get_group, GroupName="READERS")
refused(iam.create_group, "ValidationError", GroupName="a b")

# Members, page by page.
for n in ["Ada", "bob", "Cy", "dan", "eve"]:
    iam.create_user(UserName=n)
    assert iam.list_groups_for_user(UserName=n)["Groups"] == []
    iam.add_user_to_group(GroupName="Readers", UserName=n)
iam.add_user_to_group(GroupName="Readers", UserName="Ada")
pages = list(iam.get_paginator("get_group").paginate(GroupName="Readers", PaginationConfig={"PageSize": 2}))
assert [u["UserName"] for p in pages for u in p["Users"]] == ["Ada", "bob", "Cy", "dan", "eve"] and len(pages) == 3, pages
assert "user with name zoe cannot be found" in raises(ex.NoSuchEntityException, iam.add_user_to_group, GroupName="Readers", UserName="zoe")
assert "group with name Writers cannot be found" in raises(ex.NoSuchEntityException, iam.add_user_to_group, GroupName="Writers", UserName="Ada")
raises(ex.NoSuchEntityException, iam.remove_user_from_group, GroupName="Readers", UserName="zoe")
raises(ex.NoSuchEntityException, iam.list_groups_for_user, UserName="zoe")

# A user is in ten groups at most.
for i in range(9):
    iam.create_group(GroupName=f"g{i}")
    iam.add_user_to_group(GroupName=f"g{i}", UserName="Ada")
iam.create_group(GroupName="g9")
assert "GroupsPerUser: 10" in raises(ex.LimitExceededException, iam.add_user_to_group, GroupName="g9", UserName="Ada")
iam.add_user_to_group(GroupName="g8", UserName="Ada")
names = [x["GroupName"] for p in iam.get_paginator("list_groups_for_user").paginate(UserName="Ada", PaginationConfig={"PageSize": 3}) for x in p["Groups"]]
assert names == [f"g{i}" for i in range(9)] + ["Readers"], names
names = [x["GroupName"] for p in iam.get_paginator("list_groups").paginate(PaginationConfig={"PageSize": 4}) for x in p["Groups"]]
assert names == [f"g{i}" for i in range(10)] + ["Readers"], names
assert iam.list_groups(PathPrefix="/science/")["Groups"] == [g]

# Policies.
iam.put_group_policy(GroupName="Readers", PolicyName="read", PolicyDocument=policy("Allow"))
assert iam.get_group_policy(GroupName="Readers", PolicyName="read")["PolicyDocument"]["Statement"][0]["Action"] == "iam:ListUsers"
assert iam.list_group_policies(GroupName="Readers")["PolicyNames"] == ["read"]
raises(ex.MalformedPolicyDocumentException, iam.put_group_policy, GroupName="Readers", PolicyName="bad", PolicyDocument="{}")
raises(ex.NoSuchEntityException, iam.get_group_policy, GroupName="Readers", PolicyName="bad")
raises(ex.NoSuchEntityException, iam.delete_group_policy, GroupName="Readers", PolicyName="bad")
big = policy("Allow", ["s3:Get" + "x" * 500 for i in range(9)])
iam.put_group_policy(GroupName="Readers", PolicyName="big", PolicyDocument=big)
assert "5120 bytes exceeded for group Readers" in raises(ex.LimitExceededException, iam.put_group_policy, GroupName="Readers", PolicyName="more", PolicyDocument=big)
names = [n for p in iam.get_paginator("list_group_policies").paginate(GroupName="Readers", PaginationConfig={"PageSize": 1}) for n in p["PolicyNames"]]
assert names == ["big", "read"], names
for n in ["ReadOnlyAccess", "AmazonSageMakerFullAccess"]:
    iam.attach_group_policy(GroupName="Readers", PolicyArn="arn:aws:iam::aws:policy/" + n)
attached = [a["PolicyName"] for p in iam.get_paginator("list_attached_group_policies").paginate(
    GroupName="Readers", PaginationConfig={"PageSize": 1}) for a in p["AttachedPolicies"]]
assert attached == ["AmazonSageMakerFullAccess", "ReadOnlyAccess"], attached
raises(ex.NoSuchEntityException, iam.attach_group_policy, GroupName="Readers", PolicyArn="arn:aws:iam::123456789012:policy/none")
own = iam.create_policy(PolicyName="own", PolicyDocument=policy("Allow"))["Policy"]["Arn"]
iam.attach_group_policy(GroupName="g9", PolicyArn=own)
raises(ex.DeleteConflictException, iam.delete_policy, PolicyArn=own)
raises(ex.DeleteConflictException, iam.delete_group, GroupName="g9")
iam.detach_group_policy(GroupName="g9", PolicyArn=own)
raises(ex.NoSuchEntityException, iam.detach_group_policy, GroupName="g9", PolicyArn=own)
iam.delete_policy(PolicyArn=own)

# Another name: the same group.
raises(ex.EntityAlreadyExistsException, iam.update_group, GroupName="Readers", NewGroupName="G1")
iam.update_group(GroupName="Readers", NewGroupName="Scholars", NewPath="/arts/")
raises(ex.NoSuchEntityException, iam.get_group, GroupName="Readers")
now = iam.get_group(GroupName="Scholars")
assert now["Group"]["Arn"] == "arn:aws:iam::123456789012:group/arts/Scholars" and now["Group"]["GroupId"] == g["GroupId"], now
assert len(now["Users"]) == 5 and iam.list_group_policies(GroupName="Scholars")["PolicyNames"] == ["big", "read"]
iam.update_group(GroupName="Scholars", NewGroupName="scholars")
iam.update_group(GroupName="scholars")

# What is not empty stays.
assert "must remove users from group first" in raises(ex.DeleteConflictException, iam.delete_group, GroupName="scholars")
assert "must remove users from group first" in raises(ex.DeleteConflictException, iam.delete_user, UserName="bob")
for u in now["Users"]:
    iam.remove_user_from_group(GroupName="scholars", UserName=u["UserName"])
iam.remove_user_from_group(GroupName="scholars", UserName="bob")  # who is none of it
iam.delete_user(UserName="bob")
assert "must detach all policies first" in raises(ex.DeleteConflictException, iam.delete_group, GroupName="scholars")
for a in attached:
    iam.detach_group_policy(GroupName="scholars", PolicyArn="arn:aws:iam::aws:policy/" + a)
assert "must delete policies first" in raises(ex.DeleteConflictException, iam.delete_group, GroupName="scholars")
for n in ["big", "read"]:
    iam.delete_group_policy(GroupName="scholars", PolicyName=n)
iam.delete_group(GroupName="scholars")
raises(ex.NoSuchEntityException, iam.delete_group, GroupName="scholars")
assert iam.create_group(GroupName="scholars")["Group"]["GroupId"] != g["GroupId"]
`

// Whatever happens to a group or to a membership holds on the member's next call.
func TestGroupsHoldAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		ada, eve := h.user(t, "ada", ""), h.user(t, "eve", "")
		may := func(c *apitest.Caller, may bool) {
			t.Helper()
			if in := (&shape.ListUsersInput{}); may {
				must[shape.ListUsersOutput](t, h, c, "iam:ListUsers", in)
			} else {
				refused[shape.ListUsersOutput](t, h, c, "iam:ListUsers", in, "AccessDenied")
			}
		}
		add := func() {
			must[shape.AddUserToGroupOutput](t, h, h.admin, "iam:AddUserToGroup", &shape.AddUserToGroupInput{GroupName: "g", UserName: "ada"})
		}
		remove := func() {
			must[shape.RemoveUserFromGroupOutput](t, h, h.admin, "iam:RemoveUserFromGroup", &shape.RemoveUserFromGroupInput{GroupName: "g", UserName: "ada"})
		}
		put := func(document string) {
			must[shape.PutGroupPolicyOutput](t, h, h.admin, "iam:PutGroupPolicy", &shape.PutGroupPolicyInput{GroupName: "g", PolicyName: "p", PolicyDocument: document})
		}
		must[shape.CreateGroupOutput](t, h, h.admin, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: "g"})
		may(ada, false)
		put(apitest.Admin)
		may(ada, false)
		add()
		may(ada, true)
		may(eve, false)
		remove()
		may(ada, false)
		add()
		may(ada, true)

		// A deny of the group wins over what the user has herself.
		must[shape.AttachUserPolicyOutput](t, h, h.admin, "iam:AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: "ada", PolicyArn: admins})
		put(strings.Replace(apitest.Admin, "Allow", "Deny", 1))
		may(ada, false)
		must[shape.DeleteGroupPolicyOutput](t, h, h.admin, "iam:DeleteGroupPolicy", &shape.DeleteGroupPolicyInput{GroupName: "g", PolicyName: "p"})
		may(ada, true)
		must[shape.DetachUserPolicyOutput](t, h, h.admin, "iam:DetachUserPolicy", &shape.DetachUserPolicyInput{UserName: "ada", PolicyArn: admins})
		may(ada, false)

		// Managed policies.
		must[shape.AttachGroupPolicyOutput](t, h, h.admin, "iam:AttachGroupPolicy", &shape.AttachGroupPolicyInput{GroupName: "g", PolicyArn: admins})
		may(ada, true)

		// Who has the name has nothing of who had it.
		must[shape.UpdateGroupOutput](t, h, h.admin, "iam:UpdateGroup", &shape.UpdateGroupInput{GroupName: "g", NewGroupName: "h"})
		may(ada, true)
		must[shape.CreateGroupOutput](t, h, h.admin, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: "g"})
		if users := must[shape.GetGroupOutput](t, h, h.admin, "iam:GetGroup", &shape.GetGroupInput{GroupName: "g"}).Users; len(users) != 0 {
			t.Errorf("the new group has members: %v", users)
		}
		must[shape.AddUserToGroupOutput](t, h, h.admin, "iam:AddUserToGroup", &shape.AddUserToGroupInput{GroupName: "g", UserName: "eve"})
		may(eve, false)
		must[shape.DetachGroupPolicyOutput](t, h, h.admin, "iam:DetachGroupPolicy", &shape.DetachGroupPolicyInput{GroupName: "h", PolicyArn: admins})
		may(ada, false)
	})
}

// A customer-managed policy that is attached to a group cannot be made anew behind
// the members' backs.
func TestGroupsHoldTheirPolicies(t *testing.T) {
	h := newHouse(t)
	ada := h.user(t, "ada", "")
	p := must[shape.CreatePolicyOutput](t, h, h.admin, "iam:CreatePolicy", &shape.CreatePolicyInput{PolicyName: "p", PolicyDocument: apitest.Admin}).Policy
	must[shape.CreateGroupOutput](t, h, h.admin, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: "g"})
	must[shape.AddUserToGroupOutput](t, h, h.admin, "iam:AddUserToGroup", &shape.AddUserToGroupInput{GroupName: "g", UserName: "ada"})
	must[shape.AttachGroupPolicyOutput](t, h, h.admin, "iam:AttachGroupPolicy", &shape.AttachGroupPolicyInput{GroupName: "g", PolicyArn: p.Arn})
	must[shape.ListUsersOutput](t, h, ada, "iam:ListUsers", &shape.ListUsersInput{})
	refused[shape.DeletePolicyOutput](t, h, h.admin, "iam:DeletePolicy", &shape.DeletePolicyInput{PolicyArn: p.Arn}, "DeleteConflict")
	must[shape.DetachGroupPolicyOutput](t, h, h.admin, "iam:DetachGroupPolicy", &shape.DetachGroupPolicyInput{GroupName: "g", PolicyArn: p.Arn})
	must[shape.DeletePolicyOutput](t, h, h.admin, "iam:DeletePolicy", &shape.DeletePolicyInput{PolicyArn: p.Arn})
	must[shape.CreatePolicyOutput](t, h, h.admin, "iam:CreatePolicy", &shape.CreatePolicyInput{PolicyName: "p", PolicyDocument: apitest.Admin})
	refused[shape.ListUsersOutput](t, h, ada, "iam:ListUsers", &shape.ListUsersInput{}, "AccessDenied")
}

// A group is nobody: no policy can trust it, it is found by no ARN, and its id opens
// nothing.
func TestGroupsAreNoPrincipals(t *testing.T) {
	h := newHouse(t)
	g := must[shape.CreateGroupOutput](t, h, h.admin, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: "g"}).Group
	must[shape.AttachGroupPolicyOutput](t, h, h.admin, "iam:AttachGroupPolicy", &shape.AttachGroupPolicyInput{GroupName: "g", PolicyArn: admins})
	for _, principal := range []string{g.Arn, g.GroupId} {
		trust := strings.Replace(trustAccount, "arn:aws:iam::"+apitest.Account+":root", principal, 1)
		refused[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "r", AssumeRolePolicyDocument: trust}, "MalformedPolicyDocument")
	}
	sn, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if f, err := h.iam.resolve(t.Context(), sn, g.Arn); f != nil || err != nil {
		t.Errorf("%+v %v", f, err)
	}
	if e, err := h.iam.Principal(t.Context(), sn, g.GroupId); err == nil {
		t.Errorf("%+v makes calls", e)
	}
	refused[shape.GetUserOutput](t, h, h.admin, "iam:GetUser", &shape.GetUserInput{UserName: "g"}, "NoSuchEntity")
	refused[shape.PutUserPolicyOutput](t, h, h.admin, "iam:PutUserPolicy", &shape.PutUserPolicyInput{UserName: "g", PolicyName: "p", PolicyDocument: apitest.Admin}, "NoSuchEntity")
}

// The permission to fill a group is one on that group, and says nothing of others,
// of what the group may, or of other accounts.
func TestGroupPermissions(t *testing.T) {
	h := newHouse(t)
	h.bootstrap(t, apitest.Other, "admin")
	for _, name := range []string{"red", "blue"} {
		must[shape.CreateGroupOutput](t, h, h.admin, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: name, Path: "/" + name + "/"})
	}
	c := h.user(t, "clerk", allow(`"Action":"iam:*","Resource":"arn:aws:iam::`+apitest.Account+`:group/red/*"`))
	add := func(group, code string) {
		t.Helper()
		in := &shape.AddUserToGroupInput{GroupName: group, UserName: "clerk"}
		if code == "" {
			must[shape.AddUserToGroupOutput](t, h, c, "iam:AddUserToGroup", in)
		} else {
			refused[shape.AddUserToGroupOutput](t, h, c, "iam:AddUserToGroup", in, code)
		}
	}
	add("red", "")
	add("blue", "AccessDenied")
	add("none", "AccessDenied") // whether there is one is not told
	refused[shape.ListGroupsForUserOutput](t, h, c, "iam:ListGroupsForUser", &shape.ListGroupsForUserInput{UserName: "clerk"}, "AccessDenied")
	refused[shape.PutGroupPolicyOutput](t, h, c, "iam:PutGroupPolicy", &shape.PutGroupPolicyInput{GroupName: "blue", PolicyName: "p", PolicyDocument: apitest.Admin}, "AccessDenied")

	// Neither out of a name or path that he may not touch, nor into one.
	for _, in := range []shape.UpdateGroupInput{{GroupName: "blue", NewPath: "/red/"}, {GroupName: "red", NewPath: "/blue/"}, {GroupName: "blue"}, {GroupName: "none", NewPath: "/red/"}} {
		refused[shape.UpdateGroupOutput](t, h, c, "iam:UpdateGroup", &in, "AccessDenied")
	}
	must[shape.UpdateGroupOutput](t, h, c, "iam:UpdateGroup", &shape.UpdateGroupInput{GroupName: "red", NewGroupName: "crimson"})

	other := h.bootstrap(t, apitest.Other, "second")
	refused[shape.GetGroupOutput](t, h, other, "iam:GetGroup", &shape.GetGroupInput{GroupName: "blue"}, "NoSuchEntity")
	refused[shape.AddUserToGroupOutput](t, h, other, "iam:AddUserToGroup", &shape.AddUserToGroupInput{GroupName: "blue", UserName: "second"}, "NoSuchEntity")
	must[shape.CreateGroupOutput](t, h, other, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: "theirs"})
	refused[shape.AddUserToGroupOutput](t, h, other, "iam:AddUserToGroup", &shape.AddUserToGroupInput{GroupName: "theirs", UserName: "clerk"}, "NoSuchEntity")
}

// The quotas hold when many come at once.
func TestGroupQuotasAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.user(t, "ada", "")
		err := h.Store.Update(t.Context(), func(tx *store.Tx) error {
			u, err := entityByName(tx, user, apitest.Account, "ada")
			if err != nil {
				return err
			}
			for i := range maxGroups - 2 {
				g := newEntity(group, apitest.Account, "", fmt.Sprintf("g%d", i), h.Now())
				if err := insertEntity(tx, g); err != nil {
					return err
				}
				if i >= maxGroupsPerUser-1 {
					continue
				}
				if _, err := tx.Exec(`INSERT INTO iam_members (user_id, group_id) VALUES (?, ?)`, u.id, g.id); err != nil {
					return err
				}
			}
			return tx.Touch(u.key())
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := each(t, h, 4, func(i int) (string, any) {
			return "iam:AddUserToGroup", &shape.AddUserToGroupInput{GroupName: fmt.Sprintf("g%d", 100+i), UserName: "ada"}
		}); n != 1 {
			t.Errorf("%d came into a tenth group", n)
		}
		if in := must[shape.ListGroupsForUserOutput](t, h, h.admin, "iam:ListGroupsForUser", &shape.ListGroupsForUserInput{UserName: "ada"}).Groups; len(in) != maxGroupsPerUser {
			t.Errorf("is in %d groups", len(in))
		}
		each(t, h, 4, func(i int) (string, any) {
			return "iam:CreateGroup", &shape.CreateGroupInput{GroupName: fmt.Sprintf("new%d", i)}
		})
		for i := range 4 { // those who gave up while others came first
			in := &shape.CreateGroupInput{GroupName: fmt.Sprintf("again%d", i)}
			if _, err := apitest.CallAs[shape.CreateGroupOutput](t, h.Rig, h.claim(t, h.admin), "", "iam:CreateGroup", in); err != nil && err.Message != "Cannot exceed quota for GroupsPerAccount: 300" {
				t.Error(err)
			}
		}
		limit := int32(1000)
		if all := must[shape.ListGroupsOutput](t, h, h.admin, "iam:ListGroups", &shape.ListGroupsInput{MaxItems: &limit}).Groups; len(all) != maxGroups {
			t.Errorf("%d groups", len(all))
		}
	})
}
