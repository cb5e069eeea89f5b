package iam

import (
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestUsersAndKeysWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.Python(t, h.admin, users)
	})
}

const users = `
iam = client("iam")
me = iam.get_user()["User"]
assert me["UserName"] == "admin" and me["UserId"].startswith("AIDA") and len(me["UserId"]) == 21, me
assert iam.list_attached_user_policies(UserName="admin")["AttachedPolicies"] == [
    {"PolicyName": "AdministratorAccess", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}]

ada = iam.create_user(UserName="Ada", Path="/science/", Tags=[{"Key": "Team", "Value": "imaging"}])["User"]
assert ada["Arn"] == "arn:aws:iam::123456789012:user/science/Ada", ada
refused(iam.create_user, "EntityAlreadyExists", UserName="ADA")
assert iam.get_user(UserName="Ada")["User"]["Tags"] == [{"Key": "Team", "Value": "imaging"}]
refused(iam.get_user, "NoSuchEntity", UserName="nobody")
refused(iam.create_user, "InvalidInput", UserName="x", Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])
refused(iam.create_user, "ValidationError", UserName="x", Path="no-slash")
refused(iam.create_user, "ValidationError", UserName="a b")

for i in range(4):
    iam.create_user(UserName=f"u{i}")
pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}))
assert [u["UserName"] for p in pages for u in p["Users"]] == ["Ada", "admin", "u0", "u1", "u2", "u3"] and len(pages) == 3, pages
assert [u["UserName"] for u in iam.list_users(PathPrefix="/science/")["Users"]] == ["Ada"]
refused(iam.list_users, "ValidationError", Marker="!")

one = iam.create_access_key(UserName="Ada")["AccessKey"]
assert len(one["SecretAccessKey"]) == 40 and one["AccessKeyId"].startswith("AKIA") and len(one["AccessKeyId"]) == 20, one
iam.create_access_key(UserName="Ada")
refused(iam.create_access_key, "LimitExceeded", UserName="Ada")
assert len(iam.list_access_keys(UserName="Ada")["AccessKeyMetadata"]) == 2

# Her key is hers, and opens nothing.
hers = client("iam", aws_access_key_id=one["AccessKeyId"], aws_secret_access_key=one["SecretAccessKey"])
refused(hers.get_user, "AccessDenied")
iam.put_user_policy(UserName="Ada", PolicyName="self", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Action": ["iam:GetUser", "iam:*AccessKey*"], "Resource": "arn:aws:iam::*:user/science/${aws:username}"}]}))
assert hers.get_user()["User"]["UserName"] == "Ada"
assert hers.get_user(UserName="Ada")["User"]["UserName"] == "Ada"
refused(hers.get_user, "AccessDenied", UserName="admin")
refused(hers.get_user, "AccessDenied", UserName="nobody")  # whether she exists is not told
assert len(hers.list_access_keys()["AccessKeyMetadata"]) == 2
refused(hers.create_access_key, "AccessDenied", UserName="admin")

# A stolen key that is switched off is dead on the next call, and lives again when it is switched on.
iam.update_access_key(UserName="Ada", AccessKeyId=one["AccessKeyId"], Status="Inactive")
refused(hers.get_user, "InvalidClientTokenId")
refused(iam.update_access_key, "NoSuchEntity", UserName="u0", AccessKeyId=one["AccessKeyId"], Status="Active")
iam.update_access_key(UserName="Ada", AccessKeyId=one["AccessKeyId"], Status="Active")
hers.get_user()
forged = client("iam", aws_access_key_id=one["AccessKeyId"], aws_secret_access_key=one["SecretAccessKey"], aws_session_token="anything")
refused(forged.get_user, "InvalidClientTokenId")
wrong = client("iam", aws_access_key_id=one["AccessKeyId"], aws_secret_access_key="x" * 40)
refused(wrong.get_user, "SignatureDoesNotMatch")

refused(iam.delete_user, "DeleteConflict", UserName="Ada")
for k in iam.list_access_keys(UserName="Ada")["AccessKeyMetadata"]:
    iam.delete_access_key(UserName="Ada", AccessKeyId=k["AccessKeyId"])
refused(hers.get_user, "InvalidClientTokenId")
refused(iam.delete_user, "DeleteConflict", UserName="Ada")
iam.delete_user_policy(UserName="Ada", PolicyName="self")
iam.delete_user(UserName="Ada")
refused(iam.delete_user, "NoSuchEntity", UserName="Ada")
`

func TestRolesAndPoliciesWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.Python(t, h.admin, roles)
	})
}

const roles = `
iam = client("iam")
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
r = iam.create_role(RoleName="train", Path="/service-role/", AssumeRolePolicyDocument=json.dumps(trust), MaxSessionDuration=7200,
    Description="trains", Tags=[{"Key": "Team", "Value": "imaging"}])["Role"]
assert r["Arn"] == "arn:aws:iam::123456789012:role/service-role/train" and r["RoleId"].startswith("AROA"), r
assert r["AssumeRolePolicyDocument"] == trust
iam.get_waiter("role_exists").wait(RoleName="train")
got = iam.get_role(RoleName="train")["Role"]
assert got["MaxSessionDuration"] == 7200 and got["Description"] == "trains" and got["Tags"] == [{"Key": "Team", "Value": "imaging"}], got
refused(iam.create_role, "EntityAlreadyExists", RoleName="TRAIN", AssumeRolePolicyDocument=json.dumps(trust))

e = refused(iam.create_role, "MalformedPolicyDocument", RoleName="bad", AssumeRolePolicyDocument='{"Version":"2012-10-17",\n "Statement":[{"Effect":"Permit"}]}')
assert "Line 2, column" in str(e), e
e = refused(iam.create_role, "MalformedPolicyDocument", RoleName="bad", AssumeRolePolicyDocument=json.dumps(trust)[:-1] + ', "Statement": []}')
for principal in ("arn:aws:iam::123456789012:role/none", "arn:aws:iam::123456789012:user/none", "AROAABCDEFGHIJKLMNOPQ",
                  "arn:aws:iam::123456789012:user/wrong/path/admin", "arn:aws:sts::123456789012:assumed-role/none/s"):
    bad = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}]}
    e = refused(iam.create_role, "MalformedPolicyDocument", RoleName="bad", AssumeRolePolicyDocument=json.dumps(bad))
    assert "Invalid principal" in str(e), e
refused(iam.create_role, "ValidationError", RoleName="bad", Path="/aws-service-role/x.amazonaws.com/", AssumeRolePolicyDocument=json.dumps(trust))
refused(iam.get_role, "NoSuchEntity", RoleName="bad")

doc = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
iam.put_role_policy(RoleName="train", PolicyName="read", PolicyDocument=json.dumps(doc))
assert iam.get_role_policy(RoleName="train", PolicyName="read")["PolicyDocument"] == doc
assert iam.list_role_policies(RoleName="train")["PolicyNames"] == ["read"]
refused(iam.put_role_policy, "MalformedPolicyDocument", RoleName="train", PolicyName="x", PolicyDocument=json.dumps(trust))
refused(iam.get_role_policy, "NoSuchEntity", RoleName="train", PolicyName="x")
refused(iam.delete_role_policy, "NoSuchEntity", RoleName="train", PolicyName="x")
big = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::b/" + "x" * 500 for i in range(15)]}]}
iam.put_role_policy(RoleName="train", PolicyName="big", PolicyDocument=json.dumps(big))
refused(iam.put_role_policy, "LimitExceeded", RoleName="train", PolicyName="bigger", PolicyDocument=json.dumps(big))
iam.put_role_policy(RoleName="train", PolicyName="big", PolicyDocument=json.dumps(big, indent=4))  # white space weighs nothing
iam.delete_role_policy(RoleName="train", PolicyName="big")

p = iam.create_policy(PolicyName="Reader", Path="/team/", PolicyDocument=json.dumps(doc), Description="reads", Tags=[{"Key": "k", "Value": "v"}])["Policy"]
assert p["Arn"] == "arn:aws:iam::123456789012:policy/team/Reader" and p["PolicyId"].startswith("ANPA") and p["AttachmentCount"] == 0, p
refused(iam.create_policy, "EntityAlreadyExists", PolicyName="reader", PolicyDocument=json.dumps(doc))
refused(iam.create_policy, "MalformedPolicyDocument", PolicyName="other", PolicyDocument="{}")
refused(iam.create_policy, "LimitExceeded", PolicyName="other", PolicyDocument=json.dumps(big))
assert iam.get_policy_version(PolicyArn=p["Arn"], VersionId="v1")["PolicyVersion"]["Document"] == doc
refused(iam.get_policy_version, "NoSuchEntity", PolicyArn=p["Arn"], VersionId="v2")
refused(iam.get_policy, "NoSuchEntity", PolicyArn="arn:aws:iam::123456789012:policy/Reader")
iam.attach_role_policy(RoleName="train", PolicyArn=p["Arn"])
iam.attach_role_policy(RoleName="train", PolicyArn=p["Arn"])
iam.attach_role_policy(RoleName="train", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
assert [a["PolicyName"] for a in iam.list_attached_role_policies(RoleName="train")["AttachedPolicies"]] == ["Reader", "ReadOnlyAccess"]
assert [a["PolicyName"] for a in iam.list_attached_role_policies(RoleName="train", PathPrefix="/team/")["AttachedPolicies"]] == ["Reader"]
assert iam.get_policy(PolicyArn=p["Arn"])["Policy"]["AttachmentCount"] == 1
refused(iam.attach_role_policy, "NoSuchEntity", RoleName="train", PolicyArn="arn:aws:iam::123456789012:policy/none")
refused(iam.attach_role_policy, "NoSuchEntity", RoleName="train", PolicyArn="arn:aws:iam::210987654321:policy/none")
refused(iam.attach_role_policy, "InvalidInput", RoleName="train", PolicyArn="arn:aws:s3:::not-a-policy-at-all")
refused(iam.attach_role_policy, "NoSuchEntity", RoleName="none", PolicyArn=p["Arn"])
refused(iam.delete_policy, "DeleteConflict", PolicyArn=p["Arn"])
refused(iam.delete_policy, "AccessDenied", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
names = [x["PolicyName"] for page in iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": 7}) for x in page["Policies"]]
assert len(names) == len(set(names)) and {"AdministratorAccess", "AmazonSageMakerFullAccess", "ReadOnlyAccess", "Reader", "ViewOnlyAccess"} < set(names), names
assert [x["PolicyName"] for x in iam.list_policies(Scope="Local")["Policies"]] == ["Reader"]
assert sorted(x["PolicyName"] for x in iam.list_policies(OnlyAttached=True)["Policies"]) == ["AdministratorAccess", "ReadOnlyAccess", "Reader"]

iam.tag_role(RoleName="train", Tags=[{"Key": "team", "Value": "genomics"}, {"Key": "Cost", "Value": "1"}])
assert iam.list_role_tags(RoleName="train")["Tags"] == [{"Key": "Cost", "Value": "1"}, {"Key": "team", "Value": "genomics"}]
iam.untag_role(RoleName="train", TagKeys=["TEAM"])
assert iam.list_role_tags(RoleName="train")["Tags"] == [{"Key": "Cost", "Value": "1"}]
refused(iam.tag_role, "ValidationError", RoleName="train", Tags=[{"Key": "aws:x", "Value": ""}])
refused(iam.tag_role, "LimitExceeded", RoleName="train", Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])
assert len(iam.list_role_tags(RoleName="train")["Tags"]) == 1

new = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::123456789012:user/admin", "210987654321"]}, "Action": "sts:AssumeRole"}]}
iam.update_assume_role_policy(RoleName="train", PolicyDocument=json.dumps(new))
assert iam.get_role(RoleName="train")["Role"]["AssumeRolePolicyDocument"] == new
assert iam.list_instance_profiles_for_role(RoleName="train")["InstanceProfiles"] == []
assert [x["RoleName"] for x in iam.list_roles(PathPrefix="/service-role/")["Roles"]] == ["train"]

refused(iam.delete_role, "DeleteConflict", RoleName="train")
for a in iam.list_attached_role_policies(RoleName="train")["AttachedPolicies"]:
    iam.detach_role_policy(RoleName="train", PolicyArn=a["PolicyArn"])
refused(iam.detach_role_policy, "NoSuchEntity", RoleName="train", PolicyArn=p["Arn"])
refused(iam.delete_role, "DeleteConflict", RoleName="train")
iam.delete_role_policy(RoleName="train", PolicyName="read")
iam.delete_role(RoleName="train")
refused(iam.get_role, "NoSuchEntity", RoleName="train")
iam.delete_policy(PolicyArn=p["Arn"])
refused(iam.get_policy, "NoSuchEntity", PolicyArn=p["Arn"])
`
