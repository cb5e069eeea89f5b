package server_test

import (
	"testing"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

// One permission set gives each person what her own attributes say, from her sign-in to
// the object; what she was given ends with the assignment, not with its hour.
func TestAttributesDecide(t *testing.T) {
	b := servertest.Start(t)
	b.Python(t, accessSetup+attributeSetup)
	var once server.PeopleAnswer
	if err := server.AskRunning(t.Context(), b.Config, "/people", server.PeopleRequest{Do: "set-password", User: "ada", Operator: "root"}, &once); err != nil {
		t.Fatal(err)
	}
	b.Python(t, accessSetup+attributeFlow, door{t, b}.session("ada", once.Password))
}

const attributeSetup = `
ada = user("ada", Extensions={"aws:identitystore:enterprise": {"department": "cardiology"}})
sso.create_instance_access_control_attribute_configuration(InstanceArn=instance, InstanceAccessControlAttributeConfiguration={
    "AccessControlAttributes": [{"Key": "Department", "Value": {"Source": ["${path:enterprise.department}"]}}]})
sso.put_inline_policy_to_permission_set(InstanceArn=instance, PermissionSetArn=ps, InlinePolicy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::notes/${aws:PrincipalTag/Department}/*"}]}))
settled("creation", sso.create_account_assignment(**assignment("GROUP", group("doctors", ada))))
s3 = client("s3", enter(clinic))
s3.create_bucket(Bucket="notes")
for key in ("cardiology/1", "oncology/1"):
    s3.put_object(Bucket="notes", Key=key, Body=key.encode())
`

const attributeFlow = `
import ssl, urllib.request
oidc, portal = client("sso-oidc"), client("sso")
app = oidc.register_client(clientName="test", clientType="public", scopes=["sso:account:access"])
secret = dict(clientId=app["clientId"], clientSecret=app["clientSecret"])
device = oidc.start_device_authorization(startUrl=URL + "/start", **secret)
approval = urllib.request.Request(URL, json.dumps({"Session": sys.argv[1], "UserCode": device["userCode"]}).encode(),
    {"X-Amz-Target": "BawnSignIn.ApproveDevice", "Content-Type": "application/x-amz-json-1.1"})
urllib.request.urlopen(approval, context=ssl.create_default_context(cafile=CA))
token = oidc.create_token(grantType="urn:ietf:params:oauth:grant-type:device_code", deviceCode=device["deviceCode"], **secret)["accessToken"]
def enter_as_ada():
    c = portal.get_role_credentials(roleName="Doctor", accountId=clinic, accessToken=token)["roleCredentials"]
    return {"AccessKeyId": c["accessKeyId"], "SecretAccessKey": c["secretAccessKey"], "SessionToken": c["sessionToken"]}
read = lambda s3, key: s3.get_object(Bucket="notes", Key=key)["Body"].read().decode()
keys = enter_as_ada()
s3 = client("s3", keys)
assert read(s3, "cardiology/1") == "cardiology/1"
refused(read, "AccessDenied", s3=s3, key="oncology/1")

# Her department changes: the next session is another's, the tags of this one stay.
ids.update_user(IdentityStoreId=store, UserId=user_id("ada"), Operations=[{"AttributePath": "aws:identitystore:enterprise.department", "AttributeValue": "oncology"}])
moved = client("s3", enter_as_ada())
assert read(moved, "oncology/1") == "oncology/1" and read(s3, "cardiology/1") == "cardiology/1"
refused(read, "AccessDenied", s3=moved, key="cardiology/1")

# What cannot be a tag lets nobody in.
ids.update_user(IdentityStoreId=store, UserId=user_id("ada"), Operations=[{"AttributePath": "aws:identitystore:enterprise.department", "AttributeValue": "*"}])
refused(enter_as_ada, "InvalidRequestException")

# She leaves the group: every key that she was given is worth nothing.
m = ids.get_group_membership_id(IdentityStoreId=store, GroupId=group_id("doctors"), MemberId={"UserId": user_id("ada")})["MembershipId"]
ids.delete_group_membership(IdentityStoreId=store, MembershipId=m)
for gone in (s3, moved):
    refused(read, s3=gone, key="cardiology/1")
refused(client("sts", keys).get_caller_identity)
refused(enter_as_ada)
assert portal.list_accounts(accessToken=token)["accountList"] == []
`
