# Calls, and how the record should name who made them: before scripts that make some.
import base64, hmac, struct, time
iam, sts, s3, org = client("iam"), client("sts"), client("s3"), client("organizations")
M = sts.get_caller_identity()["Account"]
CASES = []
def document(*statements, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **s} for s in statements or [more]]})
def case(name, want, f, error="", account=M, **kw):
    try:
        out = f(**kw)
        got = ""
    except botocore.exceptions.ClientError as e:
        out, got = e.response, e.response["Error"]["Code"]
    assert got == error, f"{name}: {got or 'allowed'}, not {error}: {out}"
    CASES.append({"name": name, "request": out["ResponseMetadata"]["RequestId"], "account": account, "error": error, "want": want})
    return out
def code(seed, n):
    d = hmac.new(base64.b32decode(seed), struct.pack(">Q", n), "sha1").digest()
    at = d[-1] & 15
    return "%06d" % ((struct.unpack(">I", d[at:at + 4])[0] & 0x7fffffff) % 1000000)

def by_user(u, key):
    return {"type": "IAMUser", "principalId": u["UserId"], "arn": u["Arn"], "accountId": M, "accessKeyId": key["AccessKeyId"], "userName": u["UserName"]}
def context(mfa="false", **more):
    return {"attributes": {"creationDate": "$TIME", "mfaAuthenticated": mfa}, **more}
def by_role(role, name, keys, **more):
    account = role["Arn"].split(":")[4]
    issuer = {"type": "Role", "principalId": role["RoleId"], "arn": role["Arn"], "accountId": account, "userName": role["RoleName"]}
    return {"type": "AssumedRole", "principalId": role["RoleId"] + ":" + name, "arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{name}",
            "accountId": account, "accessKeyId": keys["AccessKeyId"], "sessionContext": context(sessionIssuer=issuer, **more)}
def role(name, principal, actions, by=iam, **more):
    r = by.create_role(RoleName=name, Path="/staff/", AssumeRolePolicyDocument=document(Principal=principal, Action=actions, **more))["Role"]
    by.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(Action=["s3:*", "sts:*"], Resource="*"))
    return r
who = lambda keys: client("sts", keys).get_caller_identity

