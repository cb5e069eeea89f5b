package server_test

import (
	"strings"
	"testing"

	"bawn.dev/internal/server/servertest"
)

// When a key and a role were used is known after a restart.
func TestLastUsedOutlivesTheServer(t *testing.T) {
	b := servertest.Start(t)
	key := strings.TrimSpace(b.Python(t, `
iam = client("iam")
iam.create_user(UserName="ada")
k = iam.create_access_key(UserName="ada")["AccessKey"]
me = client("sts").get_caller_identity()["Arn"]
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": me}, "Action": "sts:AssumeRole"}]}
r = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
session = client("sts").assume_role(RoleArn=r["Arn"], RoleSessionName="session")["Credentials"]
refused(client("s3", session).list_buckets, "AccessDenied")
refused(client("kms", k).list_keys)
print(k["AccessKeyId"])
`))
	b.Restart(t)
	b.Python(t, `
iam = client("iam")
used = iam.get_access_key_last_used(AccessKeyId=sys.argv[1])
assert used["UserName"] == "ada" and used["AccessKeyLastUsed"]["ServiceName"] == "kms" and "LastUsedDate" in used["AccessKeyLastUsed"], used
assert iam.get_role(RoleName="worker")["Role"]["RoleLastUsed"]["Region"] == "us-east-1"
iam.delete_role(RoleName="worker")
`, key)
}
