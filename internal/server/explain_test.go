package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// explained asks the running server as bawn explain does.
func explained(t *testing.T, b *servertest.Bawn, in server.ExplainRequest) *server.Explanations {
	t.Helper()
	in.Operator = "test"
	var out server.Explanations
	if err := server.AskRunning(context.Background(), b.Config, "/explain", in, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

const explainable = `
iam, s3, kms, ec2 = client("iam"), client("s3"), client("kms"), client("ec2")
def doc(*statements): return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
def allow(action, resource="*", **kw): return {"Effect": "Allow", "Action": action, "Resource": resource, **kw}
admin = client("sts").get_caller_identity()["Arn"]
account = admin.split(":")[4]
iam.create_group(GroupName="staff")
iam.put_group_policy(GroupName="staff", PolicyName="read", PolicyDocument=doc(allow("s3:GetObject", "arn:aws:s3:::explained/*")))
ada = iam.create_user(UserName="Ada")["User"]["Arn"]
iam.add_user_to_group(GroupName="staff", UserName="Ada")
iam.put_user_policy(UserName="Ada", PolicyName="own", PolicyDocument=doc(allow("ec2:CreateVpc", Condition={"StringEquals": {"ec2:Region": "eu-west-1"}}), {"Sid": "NoTables", **allow("ec2:DeleteVpc"), "Effect": "Deny"}))
trust = doc({"Effect": "Allow", "Principal": {"AWS": ada}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "ward"}}})
role = iam.create_role(RoleName="reader", Path="/team/", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=doc(allow("s3:*"), allow("kms:Decrypt")))
s3.create_bucket(Bucket="explained")
for key in ("open", "secret/x"): s3.put_object(Bucket="explained", Key=key, Body=b"x")
s3.put_bucket_policy(Bucket="explained", Policy=doc({"Sid": "Hidden", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::explained/secret/*",
    "Condition": {"ArnNotEquals": {"aws:PrincipalArn": admin}}}))
granted = kms.create_key()["KeyMetadata"]["Arn"]
grant = kms.create_grant(KeyId=granted, GranteePrincipal=ada, Operations=["Encrypt"], Constraints={"EncryptionContextSubset": {"Ward": "3"}})["GrantId"]
key = kms.create_key(Policy=doc({"Effect": "Allow", "Principal": {"AWS": admin}, "Action": "kms:*", "Resource": "*"}))["KeyMetadata"]["Arn"]
vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", PolicyDocument=doc({"Principal": "*", **allow("s3:ListBucket")}))["VpcEndpoint"]["VpcEndpointId"]
k = iam.create_access_key(UserName="Ada")["AccessKey"]
hers = lambda service: client(service, keys=k)
def ask(f, **kw):
    "whether a call is allowed, and its request id"
    try:
        return True, f(**kw)["ResponseMetadata"]["RequestId"]
    except botocore.exceptions.ClientError as e:
        code = e.response["Error"]["Code"]
        return code not in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"), e.response["ResponseMetadata"]["RequestId"]
r = client("sts", keys=k).assume_role(RoleArn=role, RoleSessionName="night", ExternalId="ward")
session = r["Credentials"]
forged = 'x" because no y allows. User: z is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::other'
calls = {
    "open": [ada, "s3:GetObject", "arn:aws:s3:::explained/open", *ask(hers("s3").get_object, Bucket="explained", Key="open")],
    "secret": [ada, "s3:GetObject", "arn:aws:s3:::explained/secret/x", *ask(hers("s3").get_object, Bucket="explained", Key="secret/x")],
    "secret by admin": [admin, "s3:GetObject", "arn:aws:s3:::explained/secret/x", *ask(s3.get_object, Bucket="explained", Key="secret/x")],
    "list": [ada, "s3:ListBucket", "arn:aws:s3:::explained", *ask(hers("s3").list_objects_v2, Bucket="explained")],
    "no bucket": [ada, "s3:GetObject", "arn:aws:s3:::explained-not/x", *ask(hers("s3").get_object, Bucket="explained-not", Key="x")],
    "forged": [ada, "s3:GetObject", "arn:aws:s3:::explained/secret/" + forged, *ask(hers("s3").get_object, Bucket="explained", Key="secret/" + forged)],
    "vpc": [ada, "ec2:CreateVpc", "arn:aws:ec2:us-east-1:%s:vpc/*" % account, *ask(hers("ec2").create_vpc, CidrBlock="10.1.0.0/16")],
    "delete vpc": [ada, "ec2:DeleteVpc", "arn:aws:ec2:us-east-1:%s:vpc/%s" % (account, vpc), *ask(hers("ec2").delete_vpc, VpcId=vpc)],
    "assume": [ada, "sts:AssumeRole", role, *ask(client("sts", keys=k).assume_role, RoleArn=role, RoleSessionName="day")],
    "session": [r["AssumedRoleUser"]["Arn"], "s3:ListBucket", "arn:aws:s3:::explained", *ask(client("s3", keys=session).list_objects_v2, Bucket="explained")],
    "session's key": [r["AssumedRoleUser"]["Arn"], "kms:DescribeKey", key, *ask(client("kms", keys=session).describe_key, KeyId=key)],
    "granted": [ada, "kms:Encrypt", granted, *ask(hers("kms").encrypt, KeyId=granted, Plaintext=b"x", EncryptionContext={"Ward": "3", "Bed": "1"})],
    "not granted": [ada, "kms:Encrypt", granted, *ask(hers("kms").encrypt, KeyId=granted, Plaintext=b"x", EncryptionContext={"Ward": "4"})],
    "key": [admin, "kms:DescribeKey", key, *ask(kms.describe_key, KeyId=key)],
    "token": [ada, "sts:GetSessionToken", "", *ask(hers("sts").get_session_token)],
    "who": [ada, "sts:GetCallerIdentity", "", *ask(hers("sts").get_caller_identity)],
    "users": [r["AssumedRoleUser"]["Arn"], "iam:GetUser", ada, *ask(client("iam", keys=session).get_user, UserName="Ada")],
}
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
person = client("identitystore").create_user(IdentityStoreId=store, UserName="eve", DisplayName="Eve", Name={"GivenName": "E", "FamilyName": "E"})["UserId"]
iam.put_role_policy(RoleName="reader", PolicyName="personal", PolicyDocument=doc({"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*", "Condition": {"Null": {"identitystore:UserId": "true"}}}))
print(json.dumps({"grant": grant, "granted": granted, "calls": calls, "role": role, "endpoint": endpoint, "ada": ada, "person": person}))
`

// What bawn explain says of a call is what the call itself was told, whether it is
// asked with the call's principal, action and resource or with its request id.
func TestExplanationsAgreeWithCalls(t *testing.T) {
	b := servertest.Start(t)
	var made struct {
		Calls                       map[string][]any
		Role, Endpoint, Ada, Person string
		Grant, Granted              string
	}
	if err := json.Unmarshal([]byte(b.Python(t, explainable)), &made); err != nil {
		t.Fatal(err)
	}
	allowed := 0
	for name, c := range made.Calls {
		was := c[3].(bool)
		if was {
			allowed++
		}
		asked := server.ExplainRequest{Principal: c[0].(string), Action: c[1].(string), Resource: c[2].(string)}
		if name == "granted" { // which the record holds
			asked.Context = map[string][]string{"kms:EncryptionContext:ward": {"3"}}
		}
		out := explained(t, b, asked)
		if out.Allowed != was {
			t.Errorf("%s: the call was allowed: %v; explain says %+v", name, was, out.Demands[0])
		}
		id := c[4].(string)
		again := explained(t, b, server.ExplainRequest{RequestID: id})
		if again.Allowed != was || again.Recorded == nil || again.Recorded.RequestID != id || len(again.Demands) != 1 {
			t.Errorf("%s: of record: %+v", name, again)
		}
		if got := again.Demands[0]; got.Action != c[1] || !strings.HasPrefix(got.Resource, strings.TrimSuffix(c[2].(string), "*")) || got.Principal != c[0] {
			t.Errorf("%s: of record: %s asks for %s on %s", name, got.Principal, got.Action, got.Resource)
		}
	}
	if allowed < 4 || len(made.Calls)-allowed < 6 {
		t.Errorf("%d of %d calls were allowed", allowed, len(made.Calls))
	}

	one := func(in server.ExplainRequest) *server.Explanation { return explained(t, b, in).Demands[0] }
	get := server.ExplainRequest{Principal: made.Ada, Action: "s3:GetObject", Resource: "arn:aws:s3:::explained/secret/x"}
	if x := one(get); !strings.Contains(x.Verdict, "bucket policy of explained") || !strings.Contains(x.Verdict, "Hidden") || !strings.Contains(x.Message, "explicit deny in a resource-based policy") {
		t.Errorf("%s: %s", x.Verdict, x.Message)
	}
	heard := fmt.Sprintf("%+v", one(get).Policies)
	for _, part := range []string{"group/staff", "inline policy own", "is none of ec2:CreateVpc", "ArnNotEquals"} {
		if !strings.Contains(heard, part) {
			t.Errorf("the derivation lacks %q: %s", part, heard)
		}
	}
	// What a grant allows, the grant is shown for, with its place in the derivation.
	use := server.ExplainRequest{RequestID: made.Calls["granted"][4].(string)}
	if x := one(use); x.Verdict != fmt.Sprintf("allowed by grant %q", made.Grant) || !strings.Contains(fmt.Sprintf("%+v", x.Policies), "Kind:grant Level:0 Policy:"+made.Grant) || x.Context["kms:keyspec"][0] != "SYMMETRIC_DEFAULT" {
		t.Errorf("by grant: %+v", x)
	}
	// Through an endpoint, its policy applies too.
	get.Resource, get.Endpoint = "arn:aws:s3:::explained/open", made.Endpoint
	if x := one(get); x.Allowed || !strings.Contains(x.Message, "no VPC endpoint policy allows") {
		t.Errorf("through the endpoint: %+v", x)
	}
	// A condition key that the request lacks is told, and can be given.
	assume := server.ExplainRequest{Principal: made.Ada, Action: "sts:AssumeRole", Resource: made.Role}
	if x := one(assume); x.Allowed || !strings.Contains(strings.Join(x.Lacking, " "), "sts:ExternalId") {
		t.Errorf("%+v", x)
	}
	assume.Context = map[string][]string{"sts:ExternalId": {"ward"}}
	if x := one(assume); !x.Allowed {
		t.Errorf("with the external id: %+v", x)
	}
	// Who stands behind a session, and what narrows it.
	put := server.ExplainRequest{Principal: made.Role, Session: "night", Action: "s3:PutObject", Resource: "arn:aws:s3:::explained/new"}
	if x := one(put); x.Allowed || !strings.HasSuffix(x.Principal, ":assumed-role/reader/night") {
		t.Errorf("without a person: %+v", x)
	}
	put.Person = "eve"
	if x := one(put); !x.Allowed || x.Context["identitystore:userid"][0] != made.Person {
		t.Errorf("with a person: %+v", x)
	}
	put.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`
	if x := one(put); x.Allowed || !strings.Contains(x.Message, "session policy") {
		t.Errorf("with a session policy: %+v", x)
	}
	put.Policy, put.Person = "", "nobody"
	if x := one(put); x.Allowed || !strings.Contains(x.Verdict, "not authenticated") {
		t.Errorf("with nobody: %+v", x)
	}
	// What no policy refuses, and sessions that may never.
	fed := server.ExplainRequest{Principal: "arn:aws:sts::" + b.Config.AccountID + ":federated-user/f", User: made.Ada, Action: "iam:GetUser", Resource: made.Ada}
	if x := one(fed); x.Allowed || !strings.Contains(fmt.Sprintf("%+v", x.Policies), "never ask for") {
		t.Errorf("federated: %+v", x)
	}
	// What was denied then may be allowed now.
	b.Python(t, `client("iam").put_user_policy(UserName="Ada", PolicyName="more", PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}')`)
	if out := explained(t, b, server.ExplainRequest{RequestID: made.Calls["list"][4].(string)}); !out.Allowed || out.Recorded.Error != "AccessDenied" {
		t.Errorf("after it was granted: %+v", out)
	}
}

func TestQuestionsWithoutAnswer(t *testing.T) {
	b := servertest.Start(t)
	user := "arn:aws:iam::" + b.Config.AccountID + ":user/"
	b.Python(t, `client("iam").create_group(GroupName="g")`)
	for name, in := range map[string]server.ExplainRequest{
		"no user":       {Principal: user + "none", Action: "s3:GetObject"},
		"a group":       {Principal: "arn:aws:iam::" + b.Config.AccountID + ":group/g", Action: "s3:GetObject"},
		"root":          {Principal: "arn:aws:iam::" + b.Config.AccountID + ":root", Action: "s3:GetObject"},
		"no ARN":        {Principal: "Ada", Action: "s3:GetObject"},
		"a bucket":      {Principal: "arn:aws:s3:::b", Action: "s3:GetObject"},
		"no resource":   {Principal: user + "admin", Action: "s3:GetObject", Resource: "bucket"},
		"no endpoint":   {Principal: user + "admin", Action: "s3:GetObject", Endpoint: "vpce-0123456789abcdef0"},
		"no record":     {RequestID: "00000000-0000-0000-0000-000000000000"},
		"no session":    {Principal: user + "admin", Action: "s3:GetObject", Policy: "{"},
		"whose session": {Principal: "arn:aws:sts::" + b.Config.AccountID + ":federated-user/f", Action: "s3:GetObject"},
	} {
		var out server.Explanations
		if err := server.AskRunning(context.Background(), b.Config, "/explain", in, &out); err == nil {
			t.Errorf("%s: answered %+v", name, out)
		}
	}
	// Each question is on record, with who asked as the kernel knows him.
	page, err := b.Trail().Find(context.Background(), trail.Query{Account: b.Config.AccountID, EventName: "Explain"})
	if err != nil || len(page.Entries) != 10 {
		t.Fatalf("%d records, %v", len(page.Entries), err)
	}
	if got, want := page.Entries[0].Record.UserIdentity.PrincipalID, fmt.Sprintf("uid-%d", os.Getuid()); got != want {
		t.Errorf("recorded %q, not %q", got, want)
	}
}

// A caller whom EC2 refuses gets a text that somebody of her account may decode who
// has the permission, and nobody else.
func TestEncodedAuthorizationMessages(t *testing.T) {
	b := servertest.Start(t)
	b.Python(t, script(t, "encoded.py"))
}
