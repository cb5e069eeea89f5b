package server_test

import (
	"testing"

	"bawn.dev/internal/server/servertest"
)

// A stolen access key alone opens nothing that asks for a one-time code, and a code
// that was seen in flight opens nothing again, also when it is shown many times at
// once.
func TestMFA(t *testing.T) {
	b := servertest.Start(t)
	b.Python(t, `
import base64, concurrent.futures, hmac, struct, time
iam = client("iam")
def code(seed, n):
    d = hmac.new(base64.b32decode(seed), struct.pack(">Q", n), "sha1").digest()
    at = d[-1] & 15
    return "%06d" % ((struct.unpack(">I", d[at:at + 4])[0] & 0x7fffffff) % 1000000)
def device(name):
    step = int(time.time()) // 30
    d = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]
    iam.enable_mfa_device(UserName="ada", SerialNumber=d["SerialNumber"],
        AuthenticationCode1=code(d["Base32StringSeed"], step - 1), AuthenticationCode2=code(d["Base32StringSeed"], step))
    return dict(SerialNumber=d["SerialNumber"], TokenCode=code(d["Base32StringSeed"], step + 1))

ada = iam.create_user(UserName="ada")["User"]
key = iam.create_access_key(UserName="ada")["AccessKey"]
present = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"},
    {"Effect": "Allow", "Action": ["s3:ListAllMyBuckets", "iam:GetUser"], "Resource": "*", "Condition": present}]}))
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ada["Arn"]}, "Action": "sts:AssumeRole",
    "Condition": {**present, "NumericLessThan": {"aws:MultiFactorAuthAge": "300"}}}]}
role = dict(RoleArn=iam.create_role(RoleName="careful", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"], RoleSessionName="session")
hers = client("sts", key)

refused(hers.assume_role, "AccessDenied", **role)
refused(client("s3", key).list_buckets, "AccessDenied")
one = device("one")
e = refused(hers.assume_role, "AccessDenied", **role, SerialNumber=one["SerialNumber"], TokenCode="%06d" % ((int(one["TokenCode"]) + 1) % 1000000))
assert "invalid MFA one time pass code" in str(e), e
def attempt(i):
    try:
        return hers.assume_role(**role, **one)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == "AccessDenied", e
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    won = [r for r in pool.map(attempt, range(4)) if r]
assert len(won) == 1, f"one code counted {len(won)} times"
refused(hers.assume_role, "AccessDenied", **role, **one)

two = device("two")
session = hers.get_session_token(**two)["Credentials"]
client("s3", session).list_buckets()
assert client("iam", session).get_user()["User"]["UserName"] == "ada"
client("sts", session).assume_role(**role)
refused(hers.get_session_token, "AccessDenied", **two)
plain = hers.get_session_token()["Credentials"]
refused(client("s3", plain).list_buckets, "AccessDenied")
refused(client("iam", plain).get_user)

# Another user's code, and another's device, are worth nothing to him.
iam.create_user(UserName="bob")
his = client("sts", iam.create_access_key(UserName="bob")["AccessKey"])
three = device("three")
e = refused(his.get_session_token, "AccessDenied", **three)
assert "associated with this user" in str(e), e
iam.deactivate_mfa_device(UserName="ada", SerialNumber=three["SerialNumber"])
refused(hers.get_session_token, "AccessDenied", **three)
`)
}
