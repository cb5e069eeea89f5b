package sts_test

import (
	"encoding/json"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
)

func TestSessionsWithBoto3(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "auditor", trust(`{"AWS":"arn:aws:iam::`+apitest.Account+`:root"}`, assume, ""), document(`{"Effect":"Allow","Action":["iam:ListUsers","iam:ListRoles"],"Resource":"*"}`))
	out := h.Python(t, h.key, `
import datetime
sts = client("sts")
me = sts.get_caller_identity()
assert me["Account"] == "123456789012" and me["Arn"] == "arn:aws:iam::123456789012:user/admin" and me["UserId"].startswith("AIDA"), me

ROLE = "`+arn+`"
got = sts.assume_role(RoleArn=ROLE, RoleSessionName="look", DurationSeconds=900)
c = got["Credentials"]
assert c["AccessKeyId"].startswith("ASIA") and len(c["AccessKeyId"]) == 20 and len(c["SecretAccessKey"]) == 40, c
left = c["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
assert 880 < left.total_seconds() <= 900, left
assert got["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/auditor/look", got
def as_session(c, service, **kw):
    return client(service, aws_access_key_id=c["AccessKeyId"], aws_secret_access_key=c["SecretAccessKey"], aws_session_token=kw.get("token", c["SessionToken"]))
who = as_session(c, "sts").get_caller_identity()
assert who["Arn"] == got["AssumedRoleUser"]["Arn"] and who["UserId"] == got["AssumedRoleUser"]["AssumedRoleId"], who
as_session(c, "iam").list_users()
refused(as_session(c, "iam").get_user, "AccessDenied", UserName="admin")
refused(as_session(c, "iam").get_user, "ValidationError")

# Every changed character of the token, and a token with another's key, is refused.
t = c["SessionToken"]
for i in range(0, len(t) - 2, max(1, len(t) // 12)):
    changed = t[:i] + ("A" if t[i] != "A" else "B") + t[i + 1:]
    refused(as_session(c, "sts", token=changed).get_caller_identity, "InvalidClientTokenId")
refused(as_session(c, "sts", token=t + "AAAA").get_caller_identity, "InvalidClientTokenId")
refused(as_session(c, "sts", token=t[:-4]).get_caller_identity, "InvalidClientTokenId")
refused(client("sts", aws_access_key_id=c["AccessKeyId"], aws_secret_access_key=c["SecretAccessKey"]).get_caller_identity, "InvalidClientTokenId")
d = sts.assume_role(RoleArn=ROLE, RoleSessionName="look")["Credentials"]
refused(as_session(dict(c, SessionToken=d["SessionToken"]), "sts").get_caller_identity, "InvalidClientTokenId")
refused(as_session(dict(c, SecretAccessKey=d["SecretAccessKey"]), "sts").get_caller_identity, "SignatureDoesNotMatch")

# A session policy narrows, and narrows only.
p = lambda action: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
narrow = sts.assume_role(RoleArn=ROLE, RoleSessionName="narrow", Policy=p("iam:ListUsers"))
assert narrow["PackedPolicySize"] > 0
as_session(narrow["Credentials"], "iam").list_users()
refused(as_session(narrow["Credentials"], "iam").list_roles, "AccessDenied")
wide = sts.assume_role(RoleArn=ROLE, RoleSessionName="wide", Policy=p("*"))["Credentials"]
refused(as_session(wide, "iam").get_user, "AccessDenied", UserName="admin")
none = sts.assume_role(RoleArn=ROLE, RoleSessionName="none", Policy=p("s3:GetObject"))["Credentials"]
refused(as_session(none, "iam").list_users, "AccessDenied")

refused(sts.assume_role, "AccessDenied", RoleArn=ROLE + "x", RoleSessionName="look")
refused(sts.assume_role, "AccessDenied", RoleArn="arn:aws:iam::999999999999:role/x", RoleSessionName="look")
refused(sts.assume_role, "ValidationError", RoleArn="arn:aws:iam::123456789012:user/admin", RoleSessionName="look")
refused(sts.assume_role, "ValidationError", RoleArn=ROLE, RoleSessionName="two words")
refused(sts.assume_role, "ValidationError", RoleArn=ROLE, RoleSessionName="look", DurationSeconds=7200)
e = refused(sts.assume_role, "MalformedPolicyDocument", RoleArn=ROLE, RoleSessionName="look", Policy='{"Version": "2012-10-17", "Statement": 1}')
assert "Line 1, column" in str(e)
print(json.dumps({"id": c["AccessKeyId"], "secret": c["SecretAccessKey"], "token": t}))
`)
	var made struct{ ID, Secret, Token string }
	if err := json.Unmarshal([]byte(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]), &made); err != nil {
		t.Fatal(err, out)
	}
	// The record links the session to who made it, and holds neither secret nor token.
	records := h.Records(t, apitest.Account, "AssumeRole")
	linked := false
	for _, r := range records {
		linked = linked || strings.Contains(string(r.AdditionalEventData), made.ID) && r.UserIdentity.UserName == "admin"
	}
	if !linked {
		t.Errorf("no record of AssumeRole names %s", made.ID)
	}
	apitest.NoPlaintext(t, h.Dir, made.Secret)
	apitest.NoPlaintext(t, h.Dir, made.Token[:64])
}
