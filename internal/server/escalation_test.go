package server_test

import (
	"testing"

	"bawn.dev/internal/server/servertest"
)

// Nobody leaves behind what limits him by being called something else.
func TestEscalationByNames(t *testing.T) {
	servertest.Start(t).Python(t, otherNames)
}

const otherNames = `
org, sts, iam, s3 = client("organizations"), client("sts"), client("iam"), client("s3")
M = sts.get_caller_identity()["Account"]
def doc(*statements): return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}

# A member's administrator, whom the organization forbids s3, makes a role whose path reads like a service-linked role's.
root = org.list_roots()["Roots"][0]["Id"]
status = org.create_account(AccountName="clinic", Email="clinic@example.org")["CreateAccountStatus"]
while status["State"] == "IN_PROGRESS":
    status = org.describe_create_account_status(CreateAccountRequestId=status["Id"])["CreateAccountStatus"]
clinic = status["AccountId"]
org.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
scp = org.create_policy(Type="SERVICE_CONTROL_POLICY", Name="no-s3", Description="", Content=doc({"Effect": "Deny", "Action": "s3:*", "Resource": "*"}))
org.attach_policy(PolicyId=scp["Policy"]["PolicySummary"]["Id"], TargetId=clinic)
keys = sts.assume_role(RoleArn=f"arn:aws:iam::{clinic}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
refused(client("s3", keys).list_buckets, "AccessDenied")
trust = doc({"Effect": "Allow", "Principal": {"AWS": clinic}, "Action": "sts:AssumeRole"})
role = client("iam", keys).create_role(RoleName="poser", Path="/x:role/aws-service-role/s3.amazonaws.com/", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
client("iam", keys).attach_role_policy(RoleName="poser", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
posing = client("sts", keys).assume_role(RoleArn=role, RoleSessionName="poser")["Credentials"]
client("iam", posing).list_users()
assert "service control policy" in str(refused(client("s3", posing).list_buckets, "AccessDenied"))

# A user whom a bucket or a key denies lends what she has to a name of her own.
ada = iam.create_user(UserName="ada", Path="/x:role/aws-service-role/y/")["User"]["Arn"]
iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=doc(everything))
lender = client("sts", iam.create_access_key(UserName="ada")["AccessKey"])
lent = lender.get_federation_token(Name="eve", Policy=doc(everything), DurationSeconds=900)["Credentials"]
s3.create_bucket(Bucket="closed")
s3.put_object(Bucket="closed", Key="k", Body=b"x")
assert client("s3", lent).get_object(Bucket="closed", Key="k")["Body"].read() == b"x"
s3.put_bucket_policy(Bucket="closed", Policy=doc({"Effect": "Deny", "Principal": {"AWS": ada}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::closed/*"}))
refused(client("s3", lent).get_object, "AccessDenied", Bucket="closed", Key="k")
`
