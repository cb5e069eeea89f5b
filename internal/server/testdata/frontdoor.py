# Stage by stage through the front door, as an administrator and then as a person:
# a role that carries its person, a sealed upload, refusals that explain themselves,
# the key turned off, and the record of it all.
token, replayed = sys.argv[1], sys.argv[2]
account = client("sts").get_caller_identity()["Account"]
iam, kms, sso, ids = client("iam"), client("kms"), client("sso-admin"), client("identitystore")

# The person, and the application through which she enters.
instance = sso.list_instances()["Instances"][0]
store = instance["IdentityStoreId"]
user = ids.create_user(IdentityStoreId=store, UserName="ada", DisplayName="Ada", Name={"GivenName": "Ada", "FamilyName": "L"},
                       Emails=[{"Value": "ada@example.org", "Type": "work", "Primary": True}])["UserId"]
tti = sso.create_trusted_token_issuer(InstanceArn=instance["InstanceArn"], Name="idp", TrustedTokenIssuerType="OIDC_JWT",
    TrustedTokenIssuerConfiguration={"OidcJwtConfiguration": {"IssuerUrl": os.environ["BAWN_ISSUER"], "ClaimAttributePath": "email",
        "IdentityStoreAttributePath": "emails.value", "JwksRetrievalOption": "OPEN_ID_DISCOVERY"}})["TrustedTokenIssuerArn"]
app = sso.create_application(InstanceArn=instance["InstanceArn"], Name="workbench", ApplicationProviderArn="arn:aws:sso::aws:applicationProvider/custom")["ApplicationArn"]
sso.put_application_grant(ApplicationArn=app, GrantType="urn:ietf:params:oauth:grant-type:jwt-bearer",
    Grant={"JwtBearer": {"AuthorizedTokenIssuers": [{"TrustedTokenIssuerArn": tti, "AuthorizedAudiences": ["bawn-sample"]}]}})

# The workbench may exchange tokens and put on the scientist's role, and nothing else.
iam.create_user(UserName="workbench")
wkeys = iam.create_access_key(UserName="workbench")["AccessKey"]
warn = iam.get_user(UserName="workbench")["User"]["Arn"]
sso.put_application_authentication_method(ApplicationArn=app, AuthenticationMethodType="IAM", AuthenticationMethod={"Iam": {"ActorPolicy": {
    "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": warn}, "Action": "sso-oauth:CreateTokenWithIAM", "Resource": "*"}]}}})
role = iam.create_role(RoleName="scientist", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": warn}, "Action": ["sts:AssumeRole", "sts:SetContext"]}]}))["Role"]["Arn"]
key = kms.create_key(Description="data", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Sid": "admin", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}]}))["KeyMetadata"]["Arn"]
s3 = client("s3")
s3.create_bucket(Bucket="research-data")
s3.put_bucket_encryption(Bucket="research-data", ServerSideEncryptionConfiguration={"Rules": [
    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
iam.put_role_policy(RoleName="scientist", PolicyName="own-prefix", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::research-data/${identitystore:UserId}/*"},
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::research-data"},
    {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key,
     "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}}]}))

# She signs in. Assignment is required and not there yet; then it is.
oidc = client("sso-oidc", wkeys)
exchange = dict(clientId=app, grantType="urn:ietf:params:oauth:grant-type:jwt-bearer")
refused(oidc.create_token_with_iam, "AccessDeniedException", assertion=token, **exchange)
sso.create_application_assignment(ApplicationArn=app, PrincipalId=user, PrincipalType="USER")
out = oidc.create_token_with_iam(assertion=token, **exchange)
context = out["awsAdditionalDetails"]["identityContext"]
refused(oidc.create_token_with_iam, "InvalidGrantException", assertion=token, **exchange)   # used once
refused(client("sso-oidc").create_token_with_iam, "AccessDeniedException", assertion=replayed, **exchange)  # the admin is no actor
sts = client("sts", wkeys)
creds = sts.assume_role(RoleArn=role, RoleSessionName="ada", ProvidedContexts=[
    {"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": context}])["Credentials"]
refused(sts.assume_role, RoleArn=role, RoleSessionName="ada", ProvidedContexts=[
    {"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": context[:-8] + "AAAAAAAA"}])
plain = sts.assume_role(RoleArn=role, RoleSessionName="nobody")["Credentials"]

# A sealed upload under her own prefix, and nowhere else.
hers = client("s3", creds)
hers.put_object(Bucket="research-data", Key=f"{user}/set.csv", Body=b"MARKER-plaintext-of-the-data-set" * 100)
assert hers.get_object(Bucket="research-data", Key=f"{user}/set.csv", Range="bytes=0-5")["Body"].read() == b"MARKER"
why = refused(hers.get_object, "AccessDenied", Bucket="research-data", Key="someone/set.csv")
assert "because no identity-based policy allows the s3:GetObject action" in why, why
refused(client("s3", plain).get_object, "AccessDenied", Bucket="research-data", Key=f"{user}/set.csv")  # the same role without the person
why = refused(client("kms", creds).decrypt, "AccessDeniedException", CiphertextBlob=b"x" * 100)
refused(client("kms", creds).generate_data_key, "AccessDeniedException", KeyId=key, KeySpec="AES_256")  # only through S3
refused(client("iam", creds).create_user, "AccessDenied", UserName="backdoor")

# The key turned off: unreadable on the next call.
kms.disable_key(KeyId=key)
refused(hers.get_object, Bucket="research-data", Key=f"{user}/set.csv")
refused(hers.put_object, Bucket="research-data", Key=f"{user}/more.csv", Body=b"x")
kms.enable_key(KeyId=key)
assert hers.get_object(Bucket="research-data", Key=f"{user}/set.csv")["Body"].read() == b"MARKER-plaintext-of-the-data-set" * 100

# The record, on her behalf.
events = client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "GetObject"}])["Events"]
told = [json.loads(e["CloudTrailEvent"]) for e in events]
good = [e for e in told if e["userIdentity"].get("onBehalfOf", {}).get("userId") == user]
assert any("errorCode" not in e for e in good) and any(e.get("errorCode") == "AccessDenied" for e in good), told
decrypts = [json.loads(e["CloudTrailEvent"]) for e in client("cloudtrail").lookup_events(
    LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}])["Events"]]
assert any(e["userIdentity"].get("invokedBy") == "s3.amazonaws.com" and e["userIdentity"].get("onBehalfOf", {}).get("userId") == user for e in decrypts)

# She leaves: her session ends on the next call.
ids.delete_user(IdentityStoreId=store, UserId=user)
refused(hers.get_object, "InvalidAccessKeyId", Bucket="research-data", Key=f"{user}/set.csv")
print(user)
