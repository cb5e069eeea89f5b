package server_test

import (
	"testing"

	"bawn.dev/internal/server/servertest"
)

// What sessions of users may at the resources of other services, and how they end.
func TestSessionsOfUsers(t *testing.T) {
	b := servertest.Start(t)
	b.Python(t, `
iam, sts, s3 = client("iam"), client("sts"), client("s3")
def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
everything = document({"Effect": "Allow", "Action": "*", "Resource": "*"})
ACCOUNT = sts.get_caller_identity()["Account"]
iam.create_user(UserName="lender")
iam.put_user_policy(UserName="lender", PolicyName="p", PolicyDocument=document(
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "sts:GetFederationToken"], "Resource": "*"}))
key = iam.create_access_key(UserName="lender")["AccessKey"]
lender = client("sts", key)
s3.create_bucket(Bucket="lent")
for name in ("open.txt", "named.txt"):
    s3.put_object(Bucket="lent", Key=name, Body=b"text")

def lend(name, **kw):
    return client("s3", lender.get_federation_token(Name=name, DurationSeconds=900, **kw)["Credentials"])
read = lambda c, name: c.get_object(Bucket="lent", Key=name)["Body"].read()

# A federated user has what both the lender and the policy of the session allow.
bob = lend("bob", Policy=everything)
assert read(bob, "open.txt") == b"text"
refused(bob.put_object, "AccessDenied", Bucket="lent", Key="x", Body=b"x")
refused(bob.list_buckets, "AccessDenied")
part = lend("bob", Policy=document({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lent/open.txt"}))
assert read(part, "open.txt") == b"text"
refused(part.get_object, "AccessDenied", Bucket="lent", Key="named.txt")

# Without such a policy she has nothing but what a resource gives to her by name.
bare = lend("ada")
refused(bare.get_object, "AccessDenied", Bucket="lent", Key="named.txt")
s3.put_bucket_policy(Bucket="lent", Policy=document({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lent/named.txt",
    "Principal": {"AWS": f"arn:aws:sts::{ACCOUNT}:federated-user/ada"}}))
assert read(bare, "named.txt") == b"text"
refused(bare.get_object, "AccessDenied", Bucket="lent", Key="open.txt")
refused(lend("eve").get_object, "AccessDenied", Bucket="lent", Key="named.txt")

# What the lender may no longer, nobody may in her name; nor after her key is gone.
own = client("s3", lender.get_session_token()["Credentials"])
assert read(own, "open.txt") == b"text"
iam.put_user_policy(UserName="lender", PolicyName="q", PolicyDocument=document({"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::lent/open.txt"}))
for c in (own, bob, part):
    refused(c.get_object, "AccessDenied", Bucket="lent", Key="open.txt")
assert read(own, "named.txt") == b"text"
iam.put_user_policy(UserName="lender", PolicyName="q", PolicyDocument=document({"Effect": "Deny", "Action": "*", "Resource": "*",
    "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2099-01-01T00:00:00Z"}}}))
for c in (own, bob, bare):
    refused(c.get_object, "AccessDenied", Bucket="lent", Key="named.txt")
assert read(client("s3", key), "named.txt") == b"text", "the key that she keeps has no time of issue"
iam.delete_user_policy(UserName="lender", PolicyName="q")
assert read(own, "named.txt") == b"text"
iam.update_access_key(UserName="lender", AccessKeyId=key["AccessKeyId"], Status="Inactive")
for c in (own, bob, bare):
    refused(c.get_object, "InvalidAccessKeyId", Bucket="lent", Key="named.txt")
iam.update_access_key(UserName="lender", AccessKeyId=key["AccessKeyId"], Status="Active")
assert read(own, "named.txt") == b"text"
iam.delete_access_key(UserName="lender", AccessKeyId=key["AccessKeyId"])
for c in (own, bob, bare):
    refused(c.get_object, "InvalidAccessKeyId", Bucket="lent", Key="named.txt")
`)
}
