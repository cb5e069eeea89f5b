package server_test

import (
	"strings"
	"testing"

	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// A grant is enough for what a service does with a key for its grantee, until it is
// revoked: IAM's own principals, S3's use of the key, and the record of both.
func TestGrantsThroughServices(t *testing.T) {
	b := servertest.Start(t)
	grant := strings.TrimSpace(b.Python(t, `
iam, s3, kms = client("iam"), client("s3"), client("kms")
def doc(*statements): return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
def user(name):
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    iam.put_user_policy(UserName=name, PolicyName="s3", PolicyDocument=doc({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}))
    k = iam.create_access_key(UserName=name)["AccessKey"]
    return arn, dict(aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"])
ada, keys = user("ada")
eve, others = user("eve")
key = kms.create_key()["KeyMetadata"]["Arn"]
s3.create_bucket(Bucket="ward")
def put(): return s3.put_object(Bucket="ward", Key="scan", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
put()
hers, not_hers = client("s3", **keys), client("s3", **others)
refused(hers.get_object, "AccessDenied", Bucket="ward", Key="scan")
made = kms.create_grant(KeyId=key, GranteePrincipal=ada, Operations=["Decrypt"], Constraints={"EncryptionContextEquals": {"aws:s3:arn": "arn:aws:s3:::ward/scan"}})
assert hers.get_object(Bucket="ward", Key="scan")["Body"].read() == b"x"
refused(not_hers.get_object, "AccessDenied", Bucket="ward", Key="scan")
s3.put_object(Bucket="ward", Key="other", Body=b"y", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
refused(hers.get_object, "AccessDenied", Bucket="ward", Key="other")
refused(hers.put_object, "AccessDenied", Bucket="ward", Key="scan", Body=b"z", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)

# The grant means her and not her name.
(shown,) = kms.list_grants(KeyId=key)["Grants"]
assert shown["GranteePrincipal"] == ada and shown["GrantId"] == made["GrantId"], shown
k = keys["aws_access_key_id"]
iam.delete_access_key(UserName="ada", AccessKeyId=k)
iam.delete_user_policy(UserName="ada", PolicyName="s3")
gone = iam.get_user(UserName="ada")["User"]["UserId"]
iam.delete_user(UserName="ada")
_, keys = user("ada")
again = client("s3", **keys)
refused(again.get_object, "AccessDenied", Bucket="ward", Key="scan")
(shown,) = kms.list_grants(KeyId=key)["Grants"]
assert shown["GranteePrincipal"] == gone, shown

# A group is nobody, and neither is a service.
group = iam.create_group(GroupName="g")["Group"]["Arn"]
for who in (group, "sagemaker.amazonaws.com", ada + "x"):
    refused(kms.create_grant, "InvalidArnException", KeyId=key, GranteePrincipal=who, Operations=["Decrypt"])

made = kms.create_grant(KeyId=key, GranteePrincipal=ada, Operations=["Decrypt"])
again.get_object(Bucket="ward", Key="scan")
kms.revoke_grant(KeyId=key, GrantId=made["GrantId"])
refused(again.get_object, "AccessDenied", Bucket="ward", Key="scan")
print(made["GrantId"])
`))
	page, err := b.Trail().Find(t.Context(), trail.Query{Account: b.Config.AccountID, EventName: "Decrypt"})
	if err != nil {
		t.Fatal(err)
	}
	uses := 0
	for _, e := range page.Entries {
		r := e.Record
		if !strings.Contains(string(r.AdditionalEventData), `{"grantIds":["`+grant+`"]}`) {
			continue
		}
		uses++
		if r.UserIdentity.UserName != "ada" || r.UserIdentity.InvokedBy != "s3.amazonaws.com" || !strings.Contains(string(r.RequestParameters), `"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::ward/scan"}`) {
			t.Errorf("%+v %s", r.UserIdentity, r.RequestParameters)
		}
	}
	if uses != 1 {
		t.Errorf("%d records name the grant", uses)
	}
}
