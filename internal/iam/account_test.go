package iam

import (
	"slices"
	"testing"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestAccountWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.Python(t, h.admin, accountFlow)
	})
}

const accountFlow = `
iam = client("iam")
assert iam.list_account_aliases()["AccountAliases"] == []
iam.create_account_alias(AccountAlias="st-mary")
refused(iam.create_account_alias, "EntityAlreadyExists", AccountAlias="st-mary")
iam.create_account_alias(AccountAlias="st-john")  # instead of the first
assert iam.list_account_aliases()["AccountAliases"] == ["st-john"]
refused(iam.delete_account_alias, "NoSuchEntity", AccountAlias="st-mary")
for bad in ("St-John", "-st-john", "st--john", "st_john", "210987654321"):
    refused(iam.create_account_alias, "ValidationError", AccountAlias=bad)
iam.delete_account_alias(AccountAlias="st-john")
assert iam.list_account_aliases()["AccountAliases"] == []

doc = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:user/ada"}, "Action": "sts:AssumeRole"}]}
arn = iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(doc), Description="reads")["Policy"]["Arn"]
iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(doc))
iam.create_user(UserName="ada", PermissionsBoundary=arn, Tags=[{"Key": "a", "Value": "b"}])
iam.create_group(GroupName="g", Path="/team/")
iam.add_user_to_group(GroupName="g", UserName="ada")
iam.put_group_policy(GroupName="g", PolicyName="i", PolicyDocument=json.dumps(doc))
iam.attach_group_policy(GroupName="g", PolicyArn="arn:aws:iam::aws:policy/job-function/ViewOnlyAccess")
iam.put_user_policy(UserName="ada", PolicyName="j", PolicyDocument=json.dumps(doc))
iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
iam.attach_role_policy(RoleName="r", PolicyArn=arn)

iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")
iam.create_open_id_connect_provider(Url="https://id.example.org")
got = iam.get_account_summary()["SummaryMap"]
want = {"Users": 2, "UsersQuota": 5000, "Groups": 1, "GroupsQuota": 300, "Roles": 1, "RolesQuota": 1000, "Policies": 1, "PoliciesQuota": 1500,
        "PolicyVersionsInUse": 2, "VersionsPerPolicyQuota": 5, "AccessKeysPerUserQuota": 2, "AccountAccessKeysPresent": 0,
        "MFADevices": 1, "MFADevicesInUse": 0, "Providers": 1}
assert {k: got[k] for k in want} == want, got

all = iam.get_account_authorization_details()
assert not all["IsTruncated"]
admin, ada = all["UserDetailList"][1], all["UserDetailList"][0]
assert [u["UserName"] for u in all["UserDetailList"]] == ["ada", "admin"]
assert ada["GroupList"] == ["g"] and ada["UserPolicyList"] == [{"PolicyName": "j", "PolicyDocument": doc}] and ada["Tags"] == [{"Key": "a", "Value": "b"}], ada
assert ada["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn and ada["AttachedManagedPolicies"] == [], ada
assert [a["PolicyName"] for a in admin["AttachedManagedPolicies"]] == ["AdministratorAccess"] and "PermissionsBoundary" not in admin, admin
g, = all["GroupDetailList"]
assert g["GroupPolicyList"] == [{"PolicyName": "i", "PolicyDocument": doc}] and g["AttachedManagedPolicies"][0]["PolicyName"] == "ViewOnlyAccess", g
r, = all["RoleDetailList"]
assert r["AssumeRolePolicyDocument"] == trust and r["InstanceProfileList"] == [] and r["AttachedManagedPolicies"] == [{"PolicyName": "p", "PolicyArn": arn}], r
assert [p["PolicyName"] for p in all["Policies"]] == ["p", "AdministratorAccess", "ViewOnlyAccess"], all["Policies"]
p = all["Policies"][0]
assert (p["AttachmentCount"], p["PermissionsBoundaryUsageCount"], p["DefaultVersionId"]) == (1, 1, "v1"), p
assert [(v["VersionId"], v["IsDefaultVersion"], v["Document"]) for v in p["PolicyVersionList"]] == [("v2", False, doc), ("v1", True, doc)], p

# In pages of any size it is the same list.
def listed(**kw):
    names = []
    for page in iam.get_paginator("get_account_authorization_details").paginate(**kw):
        for key, name in (("UserDetailList", "UserName"), ("GroupDetailList", "GroupName"), ("RoleDetailList", "RoleName"), ("Policies", "PolicyName")):
            names += [x[name] for x in page[key]]
    return names
want = ["ada", "admin", "g", "r", "p", "AdministratorAccess", "ViewOnlyAccess"]
for size in (1, 2, 3, 7):
    assert listed(PaginationConfig={"PageSize": size}) == want, (size, listed(PaginationConfig={"PageSize": size}))
assert listed(Filter=["Role", "LocalManagedPolicy"], PaginationConfig={"PageSize": 1}) == ["r", "p"]
assert listed(Filter=["AWSManagedPolicy"]) == want[5:]
refused(iam.get_account_authorization_details, "ValidationError", Marker="eA")
`

// An alias is one account's, and none takes it from another. Nothing of an account
// shows in another's details.
func TestAccountsKeepTheirNames(t *testing.T) {
	h := newHouse(t)
	other := h.bootstrap(t, apitest.Other, "admin")
	must[shape.CreateAccountAliasOutput](t, h, h.admin, "iam:CreateAccountAlias", &shape.CreateAccountAliasInput{AccountAlias: "ours"})
	refused[shape.CreateAccountAliasOutput](t, h, other, "iam:CreateAccountAlias", &shape.CreateAccountAliasInput{AccountAlias: "ours"}, "EntityAlreadyExists")
	refused[shape.DeleteAccountAliasOutput](t, h, other, "iam:DeleteAccountAlias", &shape.DeleteAccountAliasInput{AccountAlias: "ours"}, "NoSuchEntity")
	if all := must[shape.ListAccountAliasesOutput](t, h, h.admin, "iam:ListAccountAliases", &shape.ListAccountAliasesInput{}).AccountAliases; !slices.Equal(all, []string{"ours"}) {
		t.Errorf("%v", all)
	}
	must[shape.DeleteAccountAliasOutput](t, h, h.admin, "iam:DeleteAccountAlias", &shape.DeleteAccountAliasInput{AccountAlias: "ours"})
	must[shape.CreateAccountAliasOutput](t, h, other, "iam:CreateAccountAlias", &shape.CreateAccountAliasInput{AccountAlias: "ours"})

	must[shape.CreatePolicyOutput](t, h, h.admin, "iam:CreatePolicy", &shape.CreatePolicyInput{PolicyName: "secret", PolicyDocument: apitest.Admin})
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "secret", AssumeRolePolicyDocument: trustAccount, PermissionsBoundary: reader})
	all := must[shape.GetAccountAuthorizationDetailsOutput](t, h, other, "iam:GetAccountAuthorizationDetails", &shape.GetAccountAuthorizationDetailsInput{})
	if len(all.UserDetailList) != 1 || len(all.RoleDetailList) != 0 || len(all.Policies) != 1 || *all.Policies[0].AttachmentCount != 1 {
		t.Errorf("sees %+v", all)
	}
	sum := must[shape.GetAccountSummaryOutput](t, h, other, "iam:GetAccountSummary", &shape.GetAccountSummaryInput{}).SummaryMap
	if sum["Users"] != 1 || sum["Roles"] != 0 || sum["Policies"] != 0 {
		t.Errorf("counts %v", sum)
	}
	if p := must[shape.GetPolicyOutput](t, h, other, "iam:GetPolicy", &shape.GetPolicyInput{PolicyArn: reader}).Policy; *p.PermissionsBoundaryUsageCount != 0 {
		t.Errorf("counts %v", *p.PermissionsBoundaryUsageCount)
	}
}

// Of callers who want the same alias one gets it.
func TestAliasAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		if n := atOnce[shape.CreateAccountAliasOutput](t, h, "iam:CreateAccountAlias", &shape.CreateAccountAliasInput{AccountAlias: "ours"}); n != 1 {
			t.Errorf("%d got it", n)
		}
	})
}
