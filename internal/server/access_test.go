package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/server/servertest"
	shape "bawn.dev/internal/shape/sts"
)

// Permission sets become roles in other accounts, which nobody there can touch.
func TestPermissionSets(t *testing.T) {
	b := servertest.Start(t)
	b.Python(t, accessSetup+permissionSetFlow)
}

// Who loses an assignment, by whatever way, is out of the role on her next call.
func TestAssignmentsEndSessions(t *testing.T) {
	b := servertest.Start(t)
	run := func(script string, args ...string) (out map[string]string) {
		t.Helper()
		if err := json.Unmarshal([]byte(b.Python(t, accessSetup+script, args...)), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	got := run(sessionSetup)
	enter := func(user string) error {
		t.Helper()
		ctx, now := context.Background(), time.Now()
		c, err := b.Door().Begin(ctx, api.Claim{
			Kind: api.KindRole, Account: got["account"], ID: got["role"], SessionName: user, Issued: now, Expires: now.Add(time.Hour),
			Person: &api.Person{UserID: got[user], IdentityStoreARN: got["directory"], InstanceARN: got["instance"], CredentialID: "c", SignedIn: now},
		}, "")
		if err != nil {
			return err
		}
		_, err = api.Invoke[shape.GetCallerIdentityOutput](ctx, c, "sts:GetCallerIdentity", &shape.GetCallerIdentityInput{})
		return err
	}
	in := func(users ...string) {
		t.Helper()
		held := map[string]bool{}
		for _, u := range users {
			held[u] = true
		}
		for _, u := range []string{"ada", "bob", "cleo", "mallory"} {
			if err := enter(u); (err == nil) != held[u] || err != nil && !errors.Is(err, api.ErrGone) {
				t.Errorf("%s: %v", u, err)
			}
		}
	}
	in("ada", "bob", "cleo") // ada by the group doctors, bob by himself, cleo by the group nurses
	run(`
m = ids.get_group_membership_id(IdentityStoreId=store, GroupId=group_id("doctors"), MemberId={"UserId": user_id("ada")})["MembershipId"]
ids.delete_group_membership(IdentityStoreId=store, MembershipId=m)
print("{}")`)
	in("bob", "cleo")
	run(`
settled("deletion", sso.delete_account_assignment(**assignment("USER", user_id("bob"))))
print("{}")`)
	in("cleo")
	run(`
ids.create_group_membership(IdentityStoreId=store, GroupId=group_id("doctors"), MemberId={"UserId": user_id("ada")})
ids.delete_group(IdentityStoreId=store, GroupId=group_id("nurses"))
print("{}")`)
	in("ada")
	b.Restart(t)
	in("ada")
	run(`
settled("deletion", sso.delete_account_assignment(**assignment("GROUP", group_id("doctors"))))
refused(client("iam", enter(clinic)).get_role, "NoSuchEntity", RoleName=sys.argv[1])
print("{}")`, got["name"])
	in()
}

const accessSetup = `
import datetime
org, sts, iam, sso, ids = client("organizations"), client("sts"), client("iam"), client("sso-admin"), client("identitystore")
centre = sso.list_instances()["Instances"][0]
instance, store = centre["InstanceArn"], centre["IdentityStoreId"]
def account(name):
    for a in org.list_accounts()["Accounts"]:
        if a["Name"] == name:
            return a["Id"]
    s = org.create_account(AccountName=name, Email=f"{name}@example.org")["CreateAccountStatus"]
    while s["State"] == "IN_PROGRESS":
        s = org.describe_create_account_status(CreateAccountRequestId=s["Id"])["CreateAccountStatus"]
    assert s["State"] == "SUCCEEDED", s
    return s["AccountId"]
def enter(a):
    return sts.assume_role(RoleArn=f"arn:aws:iam::{a}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
def user(name, **more):
    return ids.create_user(IdentityStoreId=store, UserName=name, DisplayName=name, Name={"GivenName": name, "FamilyName": "X"}, **more)["UserId"]
def group(name, *members):
    g = ids.create_group(IdentityStoreId=store, DisplayName=name)["GroupId"]
    for m in members:
        ids.create_group_membership(IdentityStoreId=store, GroupId=g, MemberId={"UserId": m})
    return g
def user_id(name):
    return ids.get_user_id(IdentityStoreId=store, AlternateIdentifier={"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": name}})["UserId"]
def group_id(name):
    return ids.get_group_id(IdentityStoreId=store, AlternateIdentifier={"UniqueAttribute": {"AttributePath": "displayName", "AttributeValue": name}})["GroupId"]
def settled(kind, out, want="SUCCEEDED"):
    s = out[f"AccountAssignment{kind.title()}Status"]
    while s["Status"] == "IN_PROGRESS":
        f = getattr(sso, f"describe_account_assignment_{kind}_status")
        s = f(InstanceArn=instance, **{f"AccountAssignment{kind.title()}RequestId": s["RequestId"]})[f"AccountAssignment{kind.title()}Status"]
    assert s["Status"] == want, s
    return s.get("FailureReason", "")
def provisioned(want="SUCCEEDED", **kw):
    s = sso.provision_permission_set(InstanceArn=instance, PermissionSetArn=ps, **kw)["PermissionSetProvisioningStatus"]
    while s["Status"] == "IN_PROGRESS":
        s = sso.describe_permission_set_provisioning_status(InstanceArn=instance, ProvisionPermissionSetRequestId=s["RequestId"])["PermissionSetProvisioningStatus"]
    assert s["Status"] == want, s
    return s.get("FailureReason", "")
def document(*actions, effect="Allow"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": list(actions), "Resource": "*"}]})
clinic = account("clinic")
sets = sso.list_permission_sets(InstanceArn=instance)["PermissionSets"]
ps = sets[0] if sets else sso.create_permission_set(InstanceArn=instance, Name="Doctor", SessionDuration="PT4H", Description="sees patients")["PermissionSet"]["PermissionSetArn"]
def assignment(kind, principal, target=None, set=None):
    return dict(InstanceArn=instance, PermissionSetArn=set or ps, PrincipalType=kind, PrincipalId=principal, TargetType="AWS_ACCOUNT", TargetId=target or clinic)
`

const sessionSetup = `
ada, bob, cleo, mallory = [user(n) for n in ("ada", "bob", "cleo", "mallory")]
settled("creation", sso.create_account_assignment(**assignment("GROUP", group("doctors", ada))))
settled("creation", sso.create_account_assignment(**assignment("GROUP", group("nurses", cleo))))
settled("creation", sso.create_account_assignment(**assignment("USER", bob)))
group("visitors", mallory)
role = client("iam", enter(clinic)).list_roles(PathPrefix="/aws-reserved/")["Roles"][0]
print(json.dumps({"account": clinic, "role": role["RoleId"], "name": role["RoleName"], "instance": instance, "directory": store,
    "ada": ada, "bob": bob, "cleo": cleo, "mallory": mallory}))
`

const permissionSetFlow = `
M = sts.get_caller_identity()["Account"]
ada, bob = user("ada"), user("bob")
doctors = group("doctors", ada)
keys = enter(clinic)
there = client("iam", keys)
here = dict(InstanceArn=instance, PermissionSetArn=ps)
def roles():
    return there.list_roles(PathPrefix="/aws-reserved/sso.amazonaws.com/")["Roles"]

refused(sso.put_inline_policy_to_permission_set, "ValidationException", **here, InlinePolicy=document("s3:*").replace('"Action"', '"Condition": {"Null": {"aws:Nonsense": "true"}}, "Action"'))
refused(sso.attach_managed_policy_to_permission_set, "ResourceNotFoundException", **here, ManagedPolicyArn="arn:aws:iam::aws:policy/NoSuch")

# A reference to a policy that the account does not have.
sso.put_inline_policy_to_permission_set(**here, InlinePolicy=document("s3:GetObject"))
sso.attach_managed_policy_to_permission_set(**here, ManagedPolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
sso.attach_customer_managed_policy_reference_to_permission_set(**here, CustomerManagedPolicyReference={"Name": "local", "Path": "/team/"})
sso.put_permissions_boundary_to_permission_set(**here, PermissionsBoundary={"CustomerManagedPolicyReference": {"Name": "fence"}})
reason = settled("creation", sso.create_account_assignment(**assignment("GROUP", doctors)), "FAILED")
assert "policy/team/local" in reason, reason
assert sso.list_account_assignments(InstanceArn=instance, AccountId=clinic, PermissionSetArn=ps)["AccountAssignments"] == []
assert not roles() and sso.list_accounts_for_provisioned_permission_set(**here)["AccountIds"] == []

# With it the role is there, as the set says.
local = there.create_policy(PolicyName="local", Path="/team/", PolicyDocument=document("sts:GetCallerIdentity"))["Policy"]["Arn"]
fence = there.create_policy(PolicyName="fence", PolicyDocument=document("s3:*", "sts:*"))["Policy"]["Arn"]
settled("creation", sso.create_account_assignment(**assignment("GROUP", doctors)))
role, = roles()
name = role["RoleName"]
assert name.startswith("AWSReservedSSO_Doctor_") and len(name) == len("AWSReservedSSO_Doctor_") + 16, name
assert role["MaxSessionDuration"] == 4 * 3600, role
assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "sso.amazonaws.com"}
def attached():
    return sorted(p["PolicyArn"] for p in there.list_attached_role_policies(RoleName=name)["AttachedPolicies"])
assert attached() == sorted([local, "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"])
assert there.get_role(RoleName=name)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == fence
assert there.get_role_policy(RoleName=name, PolicyName="AwsSSOInlinePolicy")["PolicyDocument"] == json.loads(document("s3:GetObject"))
assert sso.list_permission_sets_provisioned_to_account(InstanceArn=instance, AccountId=clinic)["PermissionSets"] == [ps]
found = sso.list_account_assignments_for_principal(InstanceArn=instance, PrincipalType="USER", PrincipalId=ada)["AccountAssignments"]
assert [(a["PrincipalType"], a["PrincipalId"], a["AccountId"]) for a in found] == [("GROUP", doctors, clinic)], found
assert sso.list_account_assignments_for_principal(InstanceArn=instance, PrincipalType="USER", PrincipalId=bob)["AccountAssignments"] == []

# The account's own administrator cannot touch it, make one like it, or walk in.
trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": clinic}, "Action": "sts:AssumeRole"}]})
arn = role["Arn"]
for f, kw in [
    (there.update_assume_role_policy, dict(PolicyDocument=trust)), (there.update_role, dict(MaxSessionDuration=43200)),
    (there.update_role_description, dict(Description="x")), (there.delete_role, {}),
    (there.put_role_policy, dict(PolicyName="more", PolicyDocument=document("*"))), (there.delete_role_policy, dict(PolicyName="AwsSSOInlinePolicy")),
    (there.attach_role_policy, dict(PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")), (there.detach_role_policy, dict(PolicyArn=local)),
    (there.delete_role_permissions_boundary, {}), (there.put_role_permissions_boundary, dict(PermissionsBoundary=local)),
    (there.tag_role, dict(Tags=[{"Key": "a", "Value": "b"}])), (there.untag_role, dict(TagKeys=["a"])),
]:
    said = refused(f, "UnmodifiableEntity", RoleName=name, **kw)
    assert "protected role" in said, said
refused(there.create_role, "ValidationError", RoleName="AWSReservedSSO_Doctor_0123456789abcdef", Path="/aws-reserved/sso.amazonaws.com/", AssumeRolePolicyDocument=trust)
for who in (sts, client("sts", keys)):
    refused(who.assume_role, "AccessDenied", RoleArn=arn, RoleSessionName="me")
refused(there.delete_policy, "DeleteConflict", PolicyArn=local)
refused(there.delete_policy, "DeleteConflict", PolicyArn=fence)

# What changes in the set waits for its provisioning; one that fails leaves the role as it is.
sso.update_permission_set(**here, SessionDuration="PT2H")
sso.detach_managed_policy_from_permission_set(**here, ManagedPolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
sso.delete_inline_policy_from_permission_set(**here)
sso.delete_permissions_boundary_from_permission_set(**here)
sso.attach_customer_managed_policy_reference_to_permission_set(**here, CustomerManagedPolicyReference={"Name": "absent"})
old, new = "LATEST_PERMISSION_SET_NOT_PROVISIONED", "LATEST_PERMISSION_SET_PROVISIONED"
listed = lambda status: sso.list_accounts_for_provisioned_permission_set(**here, ProvisioningStatus=status)["AccountIds"]
assert listed(old) == [clinic] and listed(new) == []
assert len(attached()) == 2
assert "absent" in provisioned("FAILED", TargetType="AWS_ACCOUNT", TargetId=clinic)
assert len(attached()) == 2 and listed(old) == [clinic]
sso.detach_customer_managed_policy_reference_from_permission_set(**here, CustomerManagedPolicyReference={"Name": "absent"})
provisioned(TargetType="ALL_PROVISIONED_ACCOUNTS")
assert listed(new) == [clinic] and listed(old) == []
assert attached() == [local]
refused(there.get_role_policy, "NoSuchEntity", RoleName=name, PolicyName="AwsSSOInlinePolicy")
after = there.get_role(RoleName=name)["Role"]
assert after["MaxSessionDuration"] == 7200 and "PermissionsBoundary" not in after, after
assert after["RoleId"] == role["RoleId"]

# Only the management account manages.
other = client("sso-admin", keys)
for f, kw in [(other.describe_permission_set, here), (other.create_account_assignment, assignment("USER", bob)),
              (other.list_permission_sets, dict(InstanceArn=instance)), (other.put_inline_policy_to_permission_set, dict(**here, InlinePolicy=document("*"))),
              (other.list_account_assignments, dict(InstanceArn=instance, AccountId=clinic, PermissionSetArn=ps))]:
    refused(f, "AccessDeniedException", **kw)

# Nobody who is not there, and nowhere that is not there.
refused(sso.create_account_assignment, "ResourceNotFoundException", **assignment("USER", "12345678-1234-1234-1234-123456789012"))
refused(sso.create_account_assignment, "ResourceNotFoundException", **assignment("GROUP", ada))
refused(sso.create_account_assignment, "ResourceNotFoundException", **assignment("USER", ada, target="999999999999"))
refused(sso.delete_account_assignment, "ResourceNotFoundException", **assignment("USER", bob))
refused(sso.provision_permission_set, "ResourceNotFoundException", **here, TargetType="AWS_ACCOUNT", TargetId=M)
refused(sso.provision_permission_set, "ValidationException", **here, TargetType="ALL_PROVISIONED_ACCOUNTS", TargetId=clinic)
refused(sso.delete_permission_set, "ConflictException", **here)

# The management account has roles too.
visitor = sso.create_permission_set(InstanceArn=instance, Name="Visitor")["PermissionSet"]["PermissionSetArn"]
settled("creation", sso.create_account_assignment(**assignment("USER", bob, M, visitor)))
assert [r["Path"] for r in iam.list_roles(PathPrefix="/aws-reserved/")["Roles"]] == ["/aws-reserved/sso.amazonaws.com/"]
refused(iam.delete_role, "UnmodifiableEntity", RoleName=iam.list_roles(PathPrefix="/aws-reserved/")["Roles"][0]["RoleName"])
settled("deletion", sso.delete_account_assignment(**assignment("USER", bob, M, visitor)))
assert iam.list_roles(PathPrefix="/aws-reserved/")["Roles"] == []

# With the last assignment the role goes, also when it is the group that goes.
ids.delete_group(IdentityStoreId=store, GroupId=doctors)
assert sso.list_account_assignments(InstanceArn=instance, AccountId=clinic, PermissionSetArn=ps)["AccountAssignments"] == []
while roles():
    pass
there.delete_policy(PolicyArn=local)
while True:
    try:
        sso.delete_permission_set(**here)
        break
    except sso.exceptions.ConflictException:
        pass
refused(sso.describe_permission_set, "ResourceNotFoundException", **here)
def outcomes(kind):
    pages = sso.get_paginator(f"list_account_assignment_{kind}_status").paginate(InstanceArn=instance, PaginationConfig={"PageSize": 1})
    return [s["Status"] for p in pages for s in p[f"AccountAssignments{kind.title()}Status"]]
assert outcomes("creation") == ["FAILED", "SUCCEEDED", "SUCCEEDED"], outcomes("creation")
assert outcomes("deletion") == ["SUCCEEDED"], outcomes("deletion")
`
