package iam

import (
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestPolicyVersionsWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.Python(t, h.admin, versionsFlow)
	})
}

const versionsFlow = `
iam = client("iam")
x = iam.exceptions
def doc(*actions):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
def raises(kind, f, **kw):
    try:
        f(**kw)
    except kind as e:
        return e.response["Error"]["Message"]
    raise AssertionError("was not refused")

p = iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(doc("s3:GetObject")))["Policy"]
arn = p["Arn"]
assert p["DefaultVersionId"] == "v1" and p["UpdateDate"] == p["CreateDate"] and p["PermissionsBoundaryUsageCount"] == 0, p
v = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(doc("s3:PutObject")))["PolicyVersion"]
assert v["VersionId"] == "v2" and not v["IsDefaultVersion"] and "Document" not in v, v
assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v1"
v = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(doc("s3:DeleteObject")), SetAsDefault=True)["PolicyVersion"]
assert v["VersionId"] == "v3" and v["IsDefaultVersion"], v
assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v3"
got = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
assert got["Document"] == doc("s3:PutObject") and not got["IsDefaultVersion"], got
iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(doc("s3:ListBucket")))
iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(doc("s3:ListBucket")))
m = raises(x.LimitExceededException, iam.create_policy_version, PolicyArn=arn, PolicyDocument=json.dumps(doc("s3:ListBucket")))
assert m == "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.", m
pages = list(iam.get_paginator("list_policy_versions").paginate(PolicyArn=arn, PaginationConfig={"PageSize": 2}))
assert [(v["VersionId"], v["IsDefaultVersion"]) for g in pages for v in g["Versions"]] == [
    ("v5", False), ("v4", False), ("v3", True), ("v2", False), ("v1", False)] and len(pages) == 3, pages
assert raises(x.DeleteConflictException, iam.delete_policy_version, PolicyArn=arn, VersionId="v3") == "Cannot delete the default version of a policy."
raises(x.NoSuchEntityException, iam.delete_policy_version, PolicyArn=arn, VersionId="v9")
raises(x.NoSuchEntityException, iam.set_default_policy_version, PolicyArn=arn, VersionId="v9")
raises(x.NoSuchEntityException, iam.get_policy_version, PolicyArn=arn, VersionId="v3.x")
refused(iam.get_policy_version, "ValidationError", PolicyArn=arn, VersionId="3")
iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
v = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(doc("s3:ListBucket")))["PolicyVersion"]
assert v["VersionId"] == "v6", v  # the number of the dead is not given again
raises(x.MalformedPolicyDocumentException, iam.create_policy_version, PolicyArn=arn, PolicyDocument="{}")
iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
raises(x.NoSuchEntityException, iam.create_policy_version, PolicyArn=arn + "x", PolicyDocument=json.dumps(doc("s3:ListBucket")))

aws = "arn:aws:iam::aws:policy/ReadOnlyAccess"
assert [v["VersionId"] for v in iam.list_policy_versions(PolicyArn=aws)["Versions"]] == ["v1"]
for f, kw in ((iam.create_policy_version, {"PolicyDocument": json.dumps(doc("s3:*"))}), (iam.delete_policy_version, {"VersionId": "v1"}),
              (iam.set_default_policy_version, {"VersionId": "v1"}), (iam.tag_policy, {"Tags": [{"Key": "a", "Value": "b"}]}),
              (iam.untag_policy, {"TagKeys": ["a"]})):
    refused(f, "AccessDenied", PolicyArn=aws, **kw)

iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "Team", "Value": "a"}, {"Key": "Cost", "Value": "1"}])
iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "team", "Value": "b"}])
pages = list(iam.get_paginator("list_policy_tags").paginate(PolicyArn=arn, PaginationConfig={"PageSize": 1}))
assert [t for g in pages for t in g["Tags"]] == [{"Key": "Cost", "Value": "1"}, {"Key": "team", "Value": "b"}], pages
raises(x.LimitExceededException, iam.tag_policy, PolicyArn=arn, Tags=[{"Key": f"k{i}", "Value": ""} for i in range(49)])
raises(x.InvalidInputException, iam.tag_policy, PolicyArn=arn, Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])
iam.untag_policy(PolicyArn=arn, TagKeys=["TEAM", "none"])
assert iam.get_policy(PolicyArn=arn)["Policy"]["Tags"] == [{"Key": "Cost", "Value": "1"}]

# Whom it speaks of.
trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
iam.create_group(GroupName="g")
iam.attach_group_policy(GroupName="g", PolicyArn=arn)
for n in ("a", "b"):
    iam.create_user(UserName=n, Path="/team/")
    iam.attach_user_policy(UserName=n, PolicyArn=arn)
iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust, PermissionsBoundary=arn)
iam.create_role(RoleName="s", AssumeRolePolicyDocument=trust, PermissionsBoundary=arn)
iam.attach_role_policy(RoleName="s", PolicyArn=arn)
def entities(**kw):
    n = 0
    found = []
    for g in iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=arn, **kw):
        n += 1
        found += [x["GroupName"] for x in g["PolicyGroups"]] + [x["RoleName"] for x in g["PolicyRoles"]] + [x["UserName"] for x in g["PolicyUsers"]]
    return found, n
assert entities() == (["g", "r", "s", "a", "b"], 1), entities()
assert entities(PaginationConfig={"PageSize": 2}) == (["g", "r", "s", "a", "b"], 3), entities(PaginationConfig={"PageSize": 2})
assert entities(EntityFilter="User")[0] == ["a", "b"]
assert entities(PathPrefix="/team/")[0] == ["a", "b"]
assert entities(PolicyUsageFilter="PermissionsBoundary")[0] == ["r", "s"]
assert entities(PolicyUsageFilter="PermissionsPolicy")[0] == ["g", "s", "a", "b"]
assert entities(PolicyUsageFilter="PermissionsPolicy", EntityFilter="Role")[0] == ["s"]
got = iam.get_policy(PolicyArn=arn)["Policy"]
assert got["AttachmentCount"] == 4 and got["PermissionsBoundaryUsageCount"] == 2, got
q = iam.create_policy(PolicyName="q", PolicyDocument=json.dumps(doc("s3:GetObject")))["Policy"]["Arn"]
iam.put_user_permissions_boundary(UserName="a", PermissionsBoundary=q)
def local(**kw):
    return [x["PolicyName"] for x in iam.list_policies(Scope="Local", **kw)["Policies"]]
assert (local(), local(OnlyAttached=True), local(PolicyUsageFilter="PermissionsBoundary"), local(PolicyUsageFilter="PermissionsPolicy")) == (["p", "q"], ["p"], ["p", "q"], ["p"])

# It goes when nothing hangs on it.
raises(x.DeleteConflictException, iam.delete_policy, PolicyArn=q)
iam.delete_user_permissions_boundary(UserName="a")
iam.delete_policy(PolicyArn=q)
iam.detach_group_policy(GroupName="g", PolicyArn=arn)
iam.detach_role_policy(RoleName="s", PolicyArn=arn)
for n in ("a", "b"):
    iam.detach_user_policy(UserName=n, PolicyArn=arn)
raises(x.DeleteConflictException, iam.delete_policy, PolicyArn=arn)
iam.delete_role(RoleName="r")
iam.delete_role_permissions_boundary(RoleName="s")
assert "more than one version" in raises(x.DeleteConflictException, iam.delete_policy, PolicyArn=arn)
for v in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
    if not v["IsDefaultVersion"]:
        iam.delete_policy_version(PolicyArn=arn, VersionId=v["VersionId"])
iam.delete_policy(PolicyArn=arn)
raises(x.NoSuchEntityException, iam.get_policy, PolicyArn=arn)
raises(x.NoSuchEntityException, iam.list_policy_versions, PolicyArn=arn)
`

func TestBoundariesWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.Python(t, h.admin, boundariesFlow)
	})
}

// As Terraform makes a role, changes it and takes it away: each step reads what
// the one before wrote.
const boundariesFlow = `
iam = client("iam")
x = iam.exceptions
doc = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
b = iam.create_policy(PolicyName="b", PolicyDocument=doc)["Policy"]["Arn"]
shown = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": b}

made = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust, PermissionsBoundary=b, Description="one", MaxSessionDuration=7200)["Role"]
assert made["PermissionsBoundary"] == shown, made
got = iam.get_role(RoleName="r")["Role"]
assert got["PermissionsBoundary"] == shown and got["RoleId"] == made["RoleId"], got
assert "PermissionsBoundary" not in iam.list_roles()["Roles"][0]
iam.attach_role_policy(RoleName="r", PolicyArn=b)
assert iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"] == [{"PolicyName": "b", "PolicyArn": b}]
assert iam.update_role_description(RoleName="r", Description="two")["Role"]["Description"] == "two"
got = iam.get_role(RoleName="r")["Role"]
assert (got["Description"], got["MaxSessionDuration"]) == ("two", 7200), got
iam.update_role(RoleName="r", MaxSessionDuration=10800)
got = iam.get_role(RoleName="r")["Role"]
assert (got["Description"], got["MaxSessionDuration"], got["PermissionsBoundary"]) == ("two", 10800, shown), got
iam.update_role(RoleName="r", Description="three")
got = iam.get_role(RoleName="r")["Role"]
assert (got["Description"], got["MaxSessionDuration"]) == ("three", 3600), got
refused(iam.update_role, "ValidationError", RoleName="r", MaxSessionDuration=43201)
refused(iam.update_role, "NoSuchEntity", RoleName="none", MaxSessionDuration=3600)
refused(iam.update_role_description, "NoSuchEntity", RoleName="none", Description="")
aws = "arn:aws:iam::aws:policy/ReadOnlyAccess"
iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=aws)
assert iam.get_role(RoleName="r")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == aws
iam.delete_role_permissions_boundary(RoleName="r")
iam.delete_role_permissions_boundary(RoleName="r")
assert "PermissionsBoundary" not in iam.get_role(RoleName="r")["Role"]

u = iam.create_user(UserName="u", PermissionsBoundary=b)["User"]
assert u["PermissionsBoundary"] == shown and iam.get_user(UserName="u")["User"]["PermissionsBoundary"] == shown, u
iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=aws)
assert iam.get_user(UserName="u")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == aws
iam.delete_user_permissions_boundary(UserName="u")
assert "PermissionsBoundary" not in iam.get_user(UserName="u")["User"]

for bad, code in (("arn:aws:iam::123456789012:policy/none", "NoSuchEntity"), ("arn:aws:iam::210987654321:policy/b", "NoSuchEntity"),
                  ("arn:aws:iam::aws:policy/none", "NoSuchEntity"), ("arn:aws:s3:::not-a-policy-at-all", "InvalidInput")):
    for f, kw in ((iam.put_user_permissions_boundary, {"UserName": "u"}), (iam.put_role_permissions_boundary, {"RoleName": "r"}),
                  (iam.create_user, {"UserName": "v"}), (iam.create_role, {"RoleName": "v", "AssumeRolePolicyDocument": trust})):
        refused(f, code, PermissionsBoundary=bad, **kw)
refused(iam.get_user, "NoSuchEntity", UserName="v")
for f in (iam.put_user_permissions_boundary, iam.delete_user_permissions_boundary):
    refused(f, "NoSuchEntity", UserName="none", **({"PermissionsBoundary": b} if "put" in f.__name__ else {}))

iam.detach_role_policy(RoleName="r", PolicyArn=b)
iam.delete_role(RoleName="r")
refused(iam.get_role, "NoSuchEntity", RoleName="r")
iam.delete_policy(PolicyArn=b)
`
