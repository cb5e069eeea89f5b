# Two people in one shared role read different data, and the record says who. Then
# what each of them, and whoever administers, might try. Arguments: tokens of ada and
# of grace.
import base64
from urllib.parse import urlsplit

def control(keys=None):
    def reach(request, **_):  # the client puts the account before any host, even an address
        host = urlsplit(request.url).netloc
        request.headers["Host"] = host
        request.url = request.url.replace(host, host.partition(".")[2], 1)
    c = client("s3control", keys)
    c.meta.events.register("before-send.s3-control", reach)
    return c

document = lambda *statements: json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
allow = lambda actions, resource="*", **more: {"Effect": "Allow", "Action": actions, "Resource": resource, **more}
account = client("sts").get_caller_identity()["Account"]
iam, sso, ids, s3, grants = client("iam"), client("sso-admin"), client("identitystore"), client("s3"), control()
instance = sso.list_instances()["Instances"][0]
centre, store = instance["InstanceArn"], instance["IdentityStoreId"]
def person(name):
    return ids.create_user(IdentityStoreId=store, UserName=name, DisplayName=name, Name={"GivenName": name, "FamilyName": "L"},
                           Emails=[{"Value": name + "@example.org", "Type": "work", "Primary": True}])["UserId"]
ada, grace = person("ada"), person("grace")
team = ids.create_group(IdentityStoreId=store, DisplayName="oncology")["GroupId"]
member = ids.create_group_membership(IdentityStoreId=store, GroupId=team, MemberId={"UserId": grace})["MembershipId"]

# The application through which they enter, and the one role that both take.
tti = sso.create_trusted_token_issuer(InstanceArn=centre, Name="idp", TrustedTokenIssuerType="OIDC_JWT",
    TrustedTokenIssuerConfiguration={"OidcJwtConfiguration": {"IssuerUrl": os.environ["BAWN_ISSUER"], "ClaimAttributePath": "email",
        "IdentityStoreAttributePath": "emails.value", "JwksRetrievalOption": "OPEN_ID_DISCOVERY"}})["TrustedTokenIssuerArn"]
jwt = "urn:ietf:params:oauth:grant-type:jwt-bearer"
iam.create_user(UserName="workbench")
wkeys = iam.create_access_key(UserName="workbench")["AccessKey"]
warn = iam.get_user(UserName="workbench")["User"]["Arn"]
def application(name):
    app = sso.create_application(InstanceArn=centre, Name=name, ApplicationProviderArn="arn:aws:sso::aws:applicationProvider/custom")["ApplicationArn"]
    sso.put_application_grant(ApplicationArn=app, GrantType=jwt,
        Grant={"JwtBearer": {"AuthorizedTokenIssuers": [{"TrustedTokenIssuerArn": tti, "AuthorizedAudiences": ["bawn-sample"]}]}})
    sso.put_application_authentication_method(ApplicationArn=app, AuthenticationMethodType="IAM", AuthenticationMethod={"Iam": {"ActorPolicy": {
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": warn}, "Action": "sso-oauth:CreateTokenWithIAM", "Resource": "*"}]}}})
    for who in (ada, grace):
        sso.create_application_assignment(ApplicationArn=app, PrincipalId=who, PrincipalType="USER")
    return app
app, other = application("workbench"), application("other")
role = iam.create_role(RoleName="scientist", AssumeRolePolicyDocument=document(
    {"Effect": "Allow", "Principal": {"AWS": warn}, "Action": ["sts:AssumeRole", "sts:SetContext"]}))["Role"]["Arn"]
iam.put_role_policy(RoleName="scientist", PolicyName="ask", PolicyDocument=document(allow(["s3:GetDataAccess", "s3:ListCallerAccessGrants"])))
oidc, sts = client("sso-oidc", wkeys), client("sts", wkeys)
def carry(context):
    return sts.assume_role(RoleArn=role, RoleSessionName="person", ProvidedContexts=[
        {"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": context}])["Credentials"]
sso.put_application_grant(ApplicationArn=app, GrantType="refresh_token", Grant={"RefreshToken": {}})
exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
sso.put_application_grant(ApplicationArn=other, GrantType=exchange, Grant={"TokenExchange": {}})
def enter(token):
    out = oidc.create_token_with_iam(clientId=app, grantType=jwt, assertion=token)
    told = json.loads(base64.urlsafe_b64decode(out["idToken"].split(".")[1] + "=="))
    assert told["sts:identity_context"] == out["awsAdditionalDetails"]["identityContext"]
    again = oidc.create_token_with_iam(clientId=app, grantType="refresh_token", refreshToken=out["refreshToken"])
    refused(oidc.create_token_with_iam, "InvalidGrantException", clientId=app, grantType="refresh_token", refreshToken=out["refreshToken"])
    got = oidc.create_token_with_iam(clientId=other, grantType=exchange, subjectToken=again["accessToken"],
        subjectTokenType="urn:ietf:params:oauth:token-type:access_token")
    assert got["issuedTokenType"] == "urn:ietf:params:oauth:token-type:access_token" and "refreshToken" not in got, got
    refused(oidc.create_token_with_iam, "UnauthorizedClientException", clientId=other, grantType="refresh_token", refreshToken=again["refreshToken"])
    refused(oidc.create_token_with_iam, "UnsupportedGrantTypeException", clientId=app, grantType="password")
    return carry(again["awsAdditionalDetails"]["identityContext"]), carry(told["sts:audit_context"])
(ada_keys, audit_keys), (grace_keys, _) = enter(sys.argv[1]), enter(sys.argv[2])
asAda, asGrace, audited = control(ada_keys), control(grace_keys), control(audit_keys)
plain = control(sts.assume_role(RoleArn=role, RoleSessionName="nobody")["Credentials"])
A = dict(AccountId=account)

# A context for the record gives nothing that hers gives.
iam.put_role_policy(RoleName="scientist", PolicyName="people", PolicyDocument=document(
    allow("s3:ListAllMyBuckets", Condition={"Null": {"identitystore:UserId": "false"}})))
client("s3", ada_keys).list_buckets()
refused(client("s3", audit_keys).list_buckets, "AccessDenied")

# The data: a key of every spelling that a prefix could be tricked with.
s3.create_bucket(Bucket="cohort")
s3.create_bucket(Bucket="cohort2")
names = ["ada/x.csv", "ada-private/x.csv", "grace/x.csv", "grace/../ada/x.csv", "gracious.csv", "*.csv", "a?a/x.csv", "${identitystore:UserId}/x"]
for name in names:
    s3.put_object(Bucket="cohort", Key=name, Body=name.encode())
s3.put_object(Bucket="cohort2", Key="ada/x.csv", Body=b"another bucket")

# The instance, its location, and a role that trusts it.
refused(asAda.get_data_access, "AccessGrantsInstanceNotExistsError", Target="s3://cohort/ada/*", Permission="READ", **A)
refused(grants.create_access_grants_instance, "InvalidIdentityCenterInstance", IdentityCenterArn="arn:aws:sso:::instance/ssoins-0000000000000000", **A)
made = grants.create_access_grants_instance(Tags=[{"Key": "for", "Value": "research"}], **A)
arn = made["AccessGrantsInstanceArn"]
assert arn == f"arn:aws:s3:us-east-1:{account}:access-grants/default", arn
refused(grants.create_access_grants_instance, "AccessGrantsInstanceAlreadyExists", **A)
def reach(*more):
    def admits(actions, **condition):
        return {"Effect": "Allow", "Principal": {"Service": "access-grants.s3.amazonaws.com"}, "Action": actions,
                "Condition": {"StringEquals": {"aws:SourceAccount": account, "aws:SourceArn": arn}, **condition}}
    return document(admits(["sts:AssumeRole", "sts:SetSourceIdentity"]), *[admits(a, **{"ForAllValues:ArnEquals": {
        "sts:RequestContextProviders": "arn:aws:iam::aws:contextProvider/IdentityCenter"}}) for a in more])
reacher = iam.create_role(RoleName="reacher", AssumeRolePolicyDocument=document(
    {"Effect": "Allow", "Principal": {"AWS": warn}, "Action": "sts:AssumeRole"}))["Role"]["Arn"]
iam.put_role_policy(RoleName="reacher", PolicyName="all", PolicyDocument=document(allow(["s3:*", "kms:*"])))
refused(grants.create_access_grants_location, "InvalidIamRole", LocationScope="s3://cohort", IAMRoleArn=reacher, **A)
iam.update_assume_role_policy(RoleName="reacher", PolicyDocument=reach())
refused(grants.create_access_grants_location, "InvalidAccessGrantsLocation", LocationScope="s3://coh*", IAMRoleArn=reacher, **A)
place = grants.create_access_grants_location(LocationScope="s3://cohort", IAMRoleArn=reacher, **A)["AccessGrantsLocationId"]
refused(grants.create_access_grants_location, "AccessGrantsLocationAlreadyExistsError", LocationScope="s3://cohort/*", IAMRoleArn=reacher, **A)
assert grants.get_access_grants_instance_for_prefix(S3Prefix="s3://cohort/ada/*", **A)["AccessGrantsInstanceArn"] == arn
refused(grants.get_access_grants_instance_for_prefix, "AccessGrantsInstanceNotExistsError", S3Prefix="s3://cohort2/*", **A)

# Who may pass no role registers none.
iam.put_user_policy(UserName="workbench", PolicyName="p", PolicyDocument=document(allow("s3:*")))
refused(control(wkeys).create_access_grants_location, "AccessDenied", LocationScope="s3://cohort2", IAMRoleArn=reacher, **A)
iam.delete_user_policy(UserName="workbench", PolicyName="p")

# Grants: to a person, to a group.
def grant(kind, who, sub, permission="READ", where=None, **kw):
    return grants.create_access_grant(AccessGrantsLocationId=where or place, AccessGrantsLocationConfiguration={"S3SubPrefix": sub},
        Grantee={"GranteeType": kind, "GranteeIdentifier": who}, Permission=permission, **A, **kw)
def no_grant(code, *args, **kw):
    refused(lambda: grant(*args, **kw), code)
no_grant("InvalidAccessGrant", "DIRECTORY_USER", ada, "ada/*")  # there is no directory yet
grants.associate_access_grants_identity_center(IdentityCenterArn=centre, **A)
no_grant("InvalidAccessGrant", "DIRECTORY_USER", "nobody", "ada/*")
no_grant("InvalidAccessGrant", "DIRECTORY_GROUP", ada, "ada/*")
no_grant("InvalidAccessGrant", "IAM", f"arn:aws:iam::{account}:role/none", "ada/*")
for sub in ("ada/", "*/x.csv*", "a?a*", "/*", "**"):
    no_grant("InvalidAccessGrant", "DIRECTORY_USER", ada, sub)
hers = grant("DIRECTORY_USER", ada, "ada/*", Tags=[{"Key": "a", "Value": "b"}])
assert hers["GrantScope"] == "s3://cohort/ada/*", hers
no_grant("AccessGrantAlreadyExists", "DIRECTORY_USER", ada, "ada/*")
theirs = grant("DIRECTORY_GROUP", team, "grac*", "READWRITE")

# The location's role must let the service carry a person: it does not yet.
ask = lambda who, target, permission="READ", **kw: who.get_data_access(Target=target, Permission=permission, **A, **kw)
def no(who, code, *args, **kw):
    return refused(lambda: ask(who, *args, **kw), code)
no(asAda, "StsNotAuthorizedError", "s3://cohort/ada/*")
iam.update_assume_role_policy(RoleName="reacher", PolicyDocument=reach("sts:SetContext"))

# One role, two people, different data.
got = ask(asAda, "s3://cohort/ada/*")
assert got["MatchedGrantTarget"] == "s3://cohort/ada/*" and got["Grantee"] == {"GranteeType": "DIRECTORY_USER", "GranteeIdentifier": ada}, got
adas, graces = client("s3", got["Credentials"]), client("s3", ask(asGrace, "s3://cohort/grac*", "READWRITE")["Credentials"])
read = lambda c, key, bucket="cohort": c.get_object(Bucket=bucket, Key=key)["Body"].read()
assert read(adas, "ada/x.csv") == b"ada/x.csv"
for key in names[1:]:
    refused(adas.get_object, "AccessDenied", Bucket="cohort", Key=key)
refused(adas.get_object, "AccessDenied", Bucket="cohort2", Key="ada/x.csv")
refused(adas.put_object, "AccessDenied", Bucket="cohort", Key="ada/x.csv", Body=b"changed")
refused(adas.delete_object, "AccessDenied", Bucket="cohort", Key="ada/x.csv")
assert [o["Key"] for o in adas.list_objects_v2(Bucket="cohort", Prefix="ada/")["Contents"]] == ["ada/x.csv"]
for prefix in ("", "ada", "a", "grace/"):
    refused(adas.list_objects_v2, "AccessDenied", Bucket="cohort", Prefix=prefix)
for key in ("grace/x.csv", "grace/../ada/x.csv", "gracious.csv"):
    assert read(graces, key) == key.encode()
graces.put_object(Bucket="cohort", Key="grace/new", Body=b"new")
graces.delete_object(Bucket="cohort", Key="grace/new")
for key in ("ada/x.csv", "*.csv", "a?a/x.csv"):
    refused(graces.get_object, "AccessDenied", Bucket="cohort", Key=key)
refused(client("iam", got["Credentials"]).create_user, "AccessDenied", UserName="x")
refused(client("kms", got["Credentials"]).list_keys, "AccessDeniedException")

# What is another account's: whether it is there or not.
for call, more in ((grants.create_access_grants_instance, {}), (grants.list_access_grants_instances, {}), (grants.list_access_grants, {}),
                   (grants.get_data_access, dict(Target="s3://cohort/ada/*", Permission="READ"))):
    refused(call, "AccessDenied", AccountId="210987654321", **more)
refused(grants.create_access_grants_location, "InvalidIamRole", LocationScope="s3://cohort2", IAMRoleArn="arn:aws:iam::210987654321:role/reacher", **A)

# What nobody granted.
for target in ("s3://cohort/grace/*", "s3://cohort/ada*", "s3://cohort/*", "s3://cohort", "s3://cohort2/ada/*", "s3://cohort/ada-private/*", "s3://cohort/ad*"):
    no(asAda, "AccessDenied", target)
for permission in ("WRITE", "READWRITE"):
    no(asAda, "AccessDenied", "s3://cohort/ada/*", permission)
for who in (plain, audited, control()):  # the shared role without a person, or with one for the record only, and the administrator
    no(who, "AccessDenied", "s3://cohort/ada/*")
for target in ("s3://", "cohort/ada/*", "s3://*/ada/*", "arn:aws:s3:::cohort/ada/*"):
    no(asAda, "InvalidRequest", target)
no(asAda, "StsValidationError", "s3://cohort/ada/*", DurationSeconds=7200)

# The least that is asked for, and one object.
least = client("s3", ask(asGrace, "s3://cohort/grace/x.csv", TargetType="Object", Privilege="Minimal", DurationSeconds=900)["Credentials"])
assert read(least, "grace/x.csv") == b"grace/x.csv"
for key in ("gracious.csv", "grace/x.csvx"):
    refused(least.get_object, "AccessDenied", Bucket="cohort", Key=key)
refused(least.put_object, "AccessDenied", Bucket="cohort", Key="grace/x.csv", Body=b"READ was asked for")

# What stands in a key stands for itself.
grant("DIRECTORY_USER", ada, "*", "READ", where=place, ApplicationArn=other)
no(asAda, "AccessDenied", "s3://cohort/*.csv", TargetType="Object")  # by the other application only
everything = grant("DIRECTORY_USER", ada, "*", "READ")
for key, not_these in (("*.csv", ["gracious.csv"]), ("a?a/x.csv", ["ada/x.csv"]), ("${identitystore:UserId}/x", [ada + "/x"])):
    one = client("s3", ask(asAda, "s3://cohort/" + key, TargetType="Object", Privilege="Minimal")["Credentials"])
    assert read(one, key) == key.encode()
    for wrong in not_these:
        refused(one.get_object, "AccessDenied", Bucket="cohort", Key=wrong)
grants.delete_access_grant(AccessGrantId=everything["AccessGrantId"], **A)

# What each is told of.
scopes = lambda c, **kw: sorted(g["GrantScope"] for g in c.list_caller_access_grants(**A, **kw)["CallerAccessGrantsList"])
assert scopes(asAda) == ["s3://cohort/*", "s3://cohort/ada/*"] and scopes(asAda, AllowedByApplication=True) == ["s3://cohort/ada/*"], scopes(asAda)
assert scopes(asGrace) == ["s3://cohort/grac*"] and scopes(plain) == []
assert len(grants.list_access_grants(GranteeType="DIRECTORY_USER", GranteeIdentifier=ada, **A)["AccessGrantsList"]) == 2
page = grants.list_access_grants(MaxResults=2, **A)
assert len(page["AccessGrantsList"]) == 2 and len(grants.list_access_grants(NextToken=page["NextToken"], **A)["AccessGrantsList"]) == 1
refused(asAda.list_access_grants, "AccessDenied", **A)
refused(asAda.delete_access_grant, "AccessDenied", AccessGrantId=theirs["AccessGrantId"], **A)

# A grant to the role itself is for all who take it, and for no role of its name later.
mine = grant("IAM", role, "gracious.csv", "WRITE", S3PrefixType="Object")
assert mine["GrantScope"] == "s3://cohort/gracious.csv", mine
client("s3", ask(plain, "s3://cohort/gracious.csv", "WRITE", TargetType="Object")["Credentials"]).put_object(Bucket="cohort", Key="gracious.csv", Body=b"gracious.csv")
no(plain, "AccessDenied", "s3://cohort/gracious.csv*", "WRITE")

# Tags, the policy, and what else there is to administer.
grant_arn = hers["AccessGrantArn"]
grants.tag_resource(ResourceArn=grant_arn, Tags=[{"Key": "c", "Value": "d"}], **A)
grants.untag_resource(ResourceArn=grant_arn, TagKeys=["a"], **A)
assert grants.list_tags_for_resource(ResourceArn=grant_arn, **A)["Tags"] == [{"Key": "c", "Value": "d"}]
assert grants.list_tags_for_resource(ResourceArn=arn, **A)["Tags"] == [{"Key": "for", "Value": "research"}]
refused(grants.list_tags_for_resource, "NoSuchResource", ResourceArn=arn + "/grant/none", **A)
refused(grants.get_access_grants_instance_resource_policy, "AccessGrantsInstanceResourcePolicyNotExists", **A)
iam.create_user(UserName="guest")
guest = iam.get_user(UserName="guest")["User"]["Arn"]
refused(grants.put_access_grants_instance_resource_policy, "InvalidResourcePolicy", Policy="{}", **A)
opening = document({"Effect": "Allow", "Principal": {"AWS": guest}, "Action": "s3:ListCallerAccessGrants", "Resource": arn})
grants.put_access_grants_instance_resource_policy(Policy=opening, **A)
assert json.loads(grants.get_access_grants_instance_resource_policy(**A)["Policy"]) == json.loads(opening)
as_guest = control(iam.create_access_key(UserName="guest")["AccessKey"])
assert scopes(as_guest) == []
refused(as_guest.get_access_grants_instance, "AccessDenied", **A)
grants.delete_access_grants_instance_resource_policy(**A)
refused(as_guest.list_caller_access_grants, "AccessDenied", **A)

# She leaves the group: no more for her. The other is removed: what she has ends.
ids.delete_group_membership(IdentityStoreId=store, MembershipId=member)
no(asGrace, "AccessDenied", "s3://cohort/grac*", "READWRITE")
assert scopes(asGrace) == ["s3://cohort/gracious.csv"]  # the role's
assert read(adas, "ada/x.csv") == b"ada/x.csv"
ids.delete_user(IdentityStoreId=store, UserId=ada)
refused(adas.get_object, "InvalidAccessKeyId", Bucket="cohort", Key="ada/x.csv")
no(asAda, "InvalidAccessKeyId", "s3://cohort/ada/*")

# The role of the location, made again under its name, was never passed.
again = iam.get_role(RoleName="reacher")["Role"]["AssumeRolePolicyDocument"]
iam.delete_role_policy(RoleName="reacher", PolicyName="all")
iam.delete_role(RoleName="reacher")
iam.create_role(RoleName="reacher", AssumeRolePolicyDocument=json.dumps(again))
no(plain, "StsNotAuthorizedError", "s3://cohort/gracious.csv", "WRITE", TargetType="Object")
grants.update_access_grants_location(AccessGrantsLocationId=place, IAMRoleArn=reacher, **A)
ask(plain, "s3://cohort/gracious.csv", "WRITE", TargetType="Object")

# The record says who.
def told(name):
    found = client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}])["Events"]
    return [json.loads(e["CloudTrailEvent"]) for e in found]
for who, key in ((ada, "ada/x.csv"), (grace, "grace/x.csv")):
    reads = [e for e in told("GetObject") if (e.get("requestParameters") or {}).get("key") == key and "errorCode" not in e]
    by = {e["userIdentity"].get("onBehalfOf", {}).get("userId") for e in reads}
    assert by == {who}, (key, by)
listed = [e for e in told("ListBuckets") if e.get("errorCode") == "AccessDenied"]
assert [e["userIdentity"]["onBehalfOf"]["userId"] for e in listed] == [ada], listed
given = [e for e in told("GetDataAccess") if "errorCode" not in e]
assert {ada, grace} <= {e["userIdentity"].get("onBehalfOf", {}).get("userId") for e in given}
assert all(e["responseElements"] is None and e["additionalEventData"]["accessGrantArn"].startswith(arn + "/grant/") for e in given), given[0]

# What is in use stays.
refused(grants.delete_access_grants_location, "AccessGrantsLocationNotEmptyError", AccessGrantsLocationId=place, **A)
for g in grants.list_access_grants(**A)["AccessGrantsList"]:
    grants.delete_access_grant(AccessGrantId=g["AccessGrantId"], **A)
refused(grants.delete_access_grants_instance, "AccessGrantsInstanceNotEmptyError", **A)
grants.delete_access_grants_location(AccessGrantsLocationId=place, **A)
refused(grants.get_access_grants_location, "NoSuchAccessGrantsLocationError", AccessGrantsLocationId=place, **A)
refused(grants.delete_access_grants_instance, "AccessGrantsInstanceNotEmptyError", **A)
grants.dissociate_access_grants_identity_center(**A)
grants.delete_access_grants_instance(**A)
assert grants.list_access_grants_instances(**A)["AccessGrantsInstancesList"] == []
