package server_test

import (
	"strings"
	"testing"

	"bawn.dev/internal/server/servertest"
)

// The organization's word against what buckets, keys and roles of a member account
// say, across the real services.
func TestOrganizationControls(t *testing.T) {
	b := servertest.Start(t)
	b.Python(t, organizationFlow)
}

// The AWS CLI builds and limits a tree.
func TestOrganizationWithCLI(t *testing.T) {
	b := servertest.Start(t)
	run := func(args ...string) string {
		t.Helper()
		return strings.TrimSpace(b.CLI(t, append([]string{"organizations"}, append(args, "--output", "text")...)...))
	}
	account := b.Config.AccountID
	root := run("list-roots", "--query", "Roots[0].Id")
	ou := run("create-organizational-unit", "--parent-id", root, "--name", "Research", "--tags", "Key=a,Value=b", "--query", "OrganizationalUnit.Id")
	run("enable-policy-type", "--root-id", root, "--policy-type", "SERVICE_CONTROL_POLICY")
	p := run("create-policy", "--type", "SERVICE_CONTROL_POLICY", "--name", "p", "--description", "d", "--query", "Policy.PolicySummary.Id",
		"--content", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}`)
	run("attach-policy", "--policy-id", p, "--target-id", ou)
	if got := run("list-targets-for-policy", "--policy-id", p, "--query", "Targets[].TargetId"); got != ou {
		t.Errorf("attached to %s", got)
	}
	run("move-account", "--account-id", account, "--source-parent-id", root, "--destination-parent-id", ou)
	if got := run("list-accounts-for-parent", "--parent-id", ou, "--query", "Accounts[].Id"); got != account {
		t.Errorf("in the unit: %s", got)
	}
	if got := run("list-tags-for-resource", "--resource-id", ou, "--query", "Tags[].[Key,Value]"); got != "a\tb" {
		t.Errorf("tags: %s", got)
	}
}

const organizationFlow = `
org, sts, iam = client("organizations"), client("sts"), client("iam")
M = sts.get_caller_identity()["Account"]
SCP, RCP = "SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"
root = org.list_roots()["Roots"][0]["Id"]
def account(name):
    s = org.create_account(AccountName=name, Email=f"{name}@example.org")["CreateAccountStatus"]
    while s["State"] == "IN_PROGRESS":
        s = org.describe_create_account_status(CreateAccountRequestId=s["Id"])["CreateAccountStatus"]
    assert s["State"] == "SUCCEEDED", s
    return s["AccountId"]
def enter(a):
    return sts.assume_role(RoleArn=f"arn:aws:iam::{a}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
def policy(kind, name, *statements):
    return org.create_policy(Type=kind, Name=name, Description="", Content=json.dumps({"Version": "2012-10-17", "Statement": statements}))["Policy"]["PolicySummary"]["Id"]
def denied(words, f, **kw):
    said = refused(f, **kw)
    assert words in said, said

clinic, research = account("clinic"), account("research")
keys = enter(clinic)
s3, kms = client("s3", keys), client("kms", keys)
s3.create_bucket(Bucket="clinic-data")
everyone = lambda actions, *resources: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": [M, research]}, "Action": actions, "Resource": list(resources)}]})
s3.put_bucket_policy(Bucket="clinic-data", Policy=everyone("s3:*", "arn:aws:s3:::clinic-data", "arn:aws:s3:::clinic-data/*"))
key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": [clinic, research, M]}, "Action": "kms:*", "Resource": "*"}]}))["KeyMetadata"]["Arn"]
s3.put_object(Bucket="clinic-data", Key="scan", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
iam_clinic = client("iam", keys)
role = iam_clinic.create_role(RoleName="guest", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": research}, "Action": "sts:AssumeRole"}]}))["Role"]["Arn"]

# Before: the other account reads, encrypts and enters.
there = enter(research)
s3_r, kms_r, sts_r = client("s3", there), client("kms", there), client("sts", there)
read = lambda c: c.get_object(Bucket="clinic-data", Key="scan")["Body"].read()
assert read(s3_r) == b"x"
kms_r.encrypt(KeyId=key, Plaintext=b"x")
sts_r.assume_role(RoleArn=role, RoleSessionName="me")

# A perimeter of the clinic's resources: nobody from outside, whatever the resources say.
org.enable_policy_type(RootId=root, PolicyType=RCP)
assert read(s3_r) == b"x"
perimeter = policy(RCP, "perimeter", {"Effect": "Deny", "Principal": "*", "Action": ["s3:*", "kms:*", "sts:AssumeRole"], "Resource": "*",
    "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalAccount": [clinic, M]}, "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}})
org.attach_policy(PolicyId=perimeter, TargetId=clinic)
by_rcp = "with an explicit deny in a resource control policy"
denied(by_rcp, s3_r.get_object, Bucket="clinic-data", Key="scan")
denied(by_rcp, kms_r.encrypt, KeyId=key, Plaintext=b"x")
denied(by_rcp, sts_r.assume_role, RoleArn=role, RoleSessionName="me")
assert read(s3) == b"x" and read(client("s3")) == b"x"
s3_r.create_bucket(Bucket="research-data")  # its own resources are not the clinic's

# It binds the management account at the clinic's resources, if it says so.
org.update_policy(PolicyId=perimeter, Content=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:PrincipalAccount": clinic}}}]}))
denied(by_rcp, client("s3").get_object, Bucket="clinic-data", Key="scan")
kms_r.encrypt(KeyId=key, Plaintext=b"x")

# But not what the management account owns.
client("s3").create_bucket(Bucket="management-data")
org.attach_policy(PolicyId=perimeter, TargetId=root)
client("s3").put_object(Bucket="management-data", Key="k", Body=b"x")
org.detach_policy(PolicyId=perimeter, TargetId=root)
org.detach_policy(PolicyId=perimeter, TargetId=clinic)
assert read(s3_r) == b"x"

# What the clinic's own people may do: a unit without deletions, except for one path of units.
org.enable_policy_type(RootId=root, PolicyType=SCP)
unit = org.create_organizational_unit(ParentId=root, Name="clinics")["OrganizationalUnit"]
no_delete = policy(SCP, "no-delete", {"Effect": "Deny", "Action": ["s3:DeleteObject", "kms:DisableKey"], "Resource": "*"})
org.attach_policy(PolicyId=no_delete, TargetId=unit["Id"])
s3.delete_object(Bucket="clinic-data", Key="nothing")
org.move_account(AccountId=clinic, SourceParentId=root, DestinationParentId=unit["Id"])
by_scp = "with an explicit deny in a service control policy"
denied(by_scp, s3.delete_object, Bucket="clinic-data", Key="scan")
denied(by_scp, kms.disable_key, KeyId=key)
s3_r.delete_object(Bucket="clinic-data", Key="nothing")  # the limit is the caller's, not the bucket's
client("s3").delete_object(Bucket="clinic-data", Key="nothing")
assert read(s3) == b"x"

# What was allowed when it began is refused when it would be done too late.
import io
class Long(io.BytesIO):
    def read(self, n=-1):
        data = super().read(n)
        if self.tell() > 1 << 20 and no_put is not None:
            late()
        return data
no_put = policy(SCP, "no-put", {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"})
def late():
    global no_put
    id, no_put = no_put, None
    org.attach_policy(PolicyId=id, TargetId=unit["Id"])
    late.id = id
denied(by_scp, s3.put_object, Bucket="clinic-data", Key="late", Body=Long(b"x" * (8 << 20)))
org.detach_policy(PolicyId=late.id, TargetId=unit["Id"])
assert "late" not in [o["Key"] for o in s3.list_objects_v2(Bucket="clinic-data")["Contents"]]

# A user of the clinic's with every permission and a key of her own is limited alike.
iam_clinic.create_user(UserName="root-like")
iam_clinic.attach_user_policy(UserName="root-like", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
k = iam_clinic.create_access_key(UserName="root-like")["AccessKey"]
user = client("s3", {"AccessKeyId": k["AccessKeyId"], "SecretAccessKey": k["SecretAccessKey"]})
assert read(user) == b"x"
denied(by_scp, user.delete_object, Bucket="clinic-data", Key="scan")

# aws:PrincipalOrgPaths follows a move.
s3_r.put_bucket_policy(Bucket="research-data", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": clinic}, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::research-data",
     "Condition": {"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": unit["Path"]}}}]}))
s3.list_objects_v2(Bucket="research-data")
org.move_account(AccountId=clinic, SourceParentId=unit["Id"], DestinationParentId=root)
refused(s3.list_objects_v2, "AccessDenied", Bucket="research-data")
s3.delete_object(Bucket="clinic-data", Key="nothing")

# Only what every level allows.
only_s3 = policy(SCP, "only-s3", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
org.attach_policy(PolicyId=only_s3, TargetId=clinic)
kms.describe_key(KeyId=key)
org.detach_policy(PolicyId="p-FullAWSAccess", TargetId=clinic)
denied("because no service control policy allows the kms:DescribeKey action", kms.describe_key, KeyId=key)
s3.list_objects_v2(Bucket="clinic-data")
denied("because no service control policy allows the kms:Decrypt action", read, c=s3)  # S3 asks KMS as the caller
assert client("sts", keys).get_caller_identity()["Account"] == clinic  # which nothing can deny

# Closed: sessions and keys are dead, and nobody enters.
org.close_account(AccountId=clinic)
for c in (s3, user):
    refused(c.get_object, "InvalidAccessKeyId", Bucket="clinic-data", Key="scan")
refused(kms.describe_key, "UnrecognizedClientException", KeyId=key)
refused(sts.assume_role, "AccessDenied", RoleArn=f"arn:aws:iam::{clinic}:role/OrganizationAccountAccessRole", RoleSessionName="me")
refused(client("s3").get_object, "AccessDenied", Bucket="clinic-data", Key="scan")
refused(s3_r.get_object, "AccessDenied", Bucket="clinic-data", Key="scan")
assert client("s3").get_object(Bucket="management-data", Key="k")["Body"].read() == b"x"
`
