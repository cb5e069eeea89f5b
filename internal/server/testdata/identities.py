# Everybody who can make a call makes some. Prints JSON: the calls.
# A user, by her key and by a session of it.
ada = iam.create_user(UserName="ada", Path="/staff/")["User"]
key = iam.create_access_key(UserName="ada")["AccessKey"]
iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=document(Action=["sts:*", "s3:*", "kms:*"], Resource="*"))
case("IAMUser", by_user(ada, key), who(key))
case("IAMUser denied", by_user(ada, key), client("iam", key).list_users, error="AccessDenied")
step = int(time.time()) // 30
d = iam.create_virtual_mfa_device(VirtualMFADeviceName="hers")["VirtualMFADevice"]
iam.enable_mfa_device(UserName="ada", SerialNumber=d["SerialNumber"],
    AuthenticationCode1=code(d["Base32StringSeed"], step - 1), AuthenticationCode2=code(d["Base32StringSeed"], step))
hers = client("sts", key)
careful = hers.get_session_token(SerialNumber=d["SerialNumber"], TokenCode=code(d["Base32StringSeed"], step + 1))["Credentials"]
plain = hers.get_session_token()["Credentials"]
case("IAMUser session", {**by_user(ada, plain), "sessionContext": context()}, who(plain))
case("IAMUser session with MFA", {**by_user(ada, careful), "sessionContext": context("true")}, who(careful))

# A federated user.
bob = hers.get_federation_token(Name="bob", DurationSeconds=900, Policy=document(Action="s3:*", Resource="*"))
keys = bob["Credentials"]
by_bob = {"type": "FederatedUser", "principalId": M + ":bob", "arn": f"arn:aws:sts::{M}:federated-user/bob", "accountId": M, "accessKeyId": keys["AccessKeyId"],
          "sessionContext": context(sessionIssuer={"type": "IAMUser", "principalId": ada["UserId"], "arn": ada["Arn"], "accountId": M, "userName": "ada"})}
case("FederatedUser", by_bob, who(keys))
case("FederatedUser denied", by_bob, client("iam", keys).list_users, error="AccessDenied")

# Roles, one after the other; the source identity stays, and the tags that are to.
first = role("first", {"AWS": ada["Arn"]}, ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"])
second = role("second", {"AWS": M}, ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"])
one = case("AssumeRole", by_user(ada, key), hers.assume_role, RoleArn=first["Arn"], RoleSessionName="job", SourceIdentity="ada@example.org",
    Tags=[{"Key": "team", "Value": "scans"}], TransitiveTagKeys=["team"])["Credentials"]
by_first = by_role(first, "job", one, sourceIdentity="ada@example.org")
case("AssumedRole", by_first, who(one))
two = case("AssumedRole chains", by_first, client("sts", one).assume_role, RoleArn=second["Arn"], RoleSessionName="next")["Credentials"]
case("AssumedRole chained", by_role(second, "next", two, sourceIdentity="ada@example.org"), who(two))
case("AssumedRole denied", by_role(second, "next", two, sourceIdentity="ada@example.org"), client("iam", two).list_users, error="AccessDenied")
role_keys = client("sts", careful).assume_role(RoleArn=first["Arn"], RoleSessionName="mfa")["Credentials"]
case("AssumedRole after MFA, of which it knows nothing", by_role(first, "mfa", role_keys), who(role_keys))

# Another account: its copy says whose the caller is, and not what she is called.
s = org.create_account(AccountName="clinic", Email="clinic@example.org")["CreateAccountStatus"]
while s["State"] == "IN_PROGRESS":
    s = org.describe_create_account_status(CreateAccountRequestId=s["Id"])["CreateAccountStatus"]
clinic = s["AccountId"]
inside = sts.assume_role(RoleArn=f"arn:aws:iam::{clinic}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
guest = role("guest", {"AWS": ada["Arn"]}, "sts:AssumeRole", by=client("iam", inside))
there = case("AssumeRole abroad", by_user(ada, key), hers.assume_role, RoleArn=guest["Arn"], RoleSessionName="visit")["Credentials"]
CASES.append({**CASES[-1], "name": "AWSAccount", "account": clinic, "want": {"type": "AWSAccount", "principalId": ada["UserId"], "accountId": M}})
case("AssumedRole abroad", by_role(guest, "visit", there), who(there), account=clinic)
client("s3", inside).create_bucket(Bucket="clinic-data")
client("s3", inside).put_bucket_policy(Bucket="clinic-data", Policy=document(Principal={"AWS": M}, Action="s3:*",
    Resource=["arn:aws:s3:::clinic-data", "arn:aws:s3:::clinic-data/*"]))
case("AssumedRole at another account's bucket", by_first, client("s3", one).list_objects_v2, Bucket="clinic-data")
CASES.append({**CASES[-1], "name": "AWSAccount, a role's", "account": clinic, "want": {"type": "AWSAccount", "principalId": first["RoleId"] + ":job", "accountId": M}})

# A service, and a service for somebody.
kms = client("kms")
k = kms.create_key()["KeyMetadata"]["Arn"]
s3.create_bucket(Bucket="data")
out = client("s3", key).put_object(Bucket="data", Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=k)
CASES.append({"name": "IAMUser by way of S3", "parent": out["ResponseMetadata"]["RequestId"], "event": "GenerateDataKey", "account": M, "error": "",
              "want": {**by_user(ada, key), "invokedBy": "s3.amazonaws.com"}})
s3.put_bucket_policy(Bucket="data", Policy=document({"Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:GetBucketAcl", "Resource": "arn:aws:s3:::data"},
    {"Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::data/*"}))
trail = client("cloudtrail").create_trail(Name="all", S3BucketName="data")["TrailARN"]
CASES.append({"name": "AWSService", "invoker": "cloudtrail.amazonaws.com", "event": "PutObject", "account": M, "error": "",
              "want": {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com", "inScopeOf": {"sourceArn": trail, "sourceAccount": M}}})

# Who is not believed.
unsigned = boto3.client("sts", endpoint_url=URL, verify=CA, region_name="us-east-1", config=botocore.config.Config(signature_version=botocore.UNSIGNED))
case("nobody", {"type": "Unknown"}, unsigned.get_caller_identity, error="MissingAuthenticationToken")
case("an unknown key", {"type": "Unknown"}, who({"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x"}), error="InvalidClientTokenId")
tried = {"type": "Unknown", "principalId": ada["UserId"], "accountId": M, "accessKeyId": key["AccessKeyId"]}
case("a wrong secret", tried, who({**key, "SecretAccessKey": "x"}), error="SignatureDoesNotMatch")
case("a wrong secret of a session", {"type": "Unknown", "principalId": guest["RoleId"] + ":visit", "accountId": clinic, "accessKeyId": there["AccessKeyId"]},
    who({**there, "SecretAccessKey": "x"}), error="SignatureDoesNotMatch", account=clinic)
iam.update_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"], Status="Inactive")
case("a key that was turned off", tried, who(key), error="InvalidClientTokenId")
case("a session of that key", {**tried, "accessKeyId": plain["AccessKeyId"]}, who(plain), error="InvalidClientTokenId")
iam.delete_role_policy(RoleName="second", PolicyName="p")
iam.delete_role(RoleName="second")
case("a role that was deleted", {"type": "Unknown", "principalId": second["RoleId"] + ":next", "accountId": M, "accessKeyId": two["AccessKeyId"]},
    who(two), error="InvalidClientTokenId")
print(json.dumps({"cases": CASES}))
