# Who comes from elsewhere, and a person of the identity centre. Prints JSON: the calls. Arguments: what
# identity_setup.py printed, then JSON of an assertion and tokens, then the session of a person who signed in.
import hashlib, ssl, urllib.request
facts, proof, session = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
unsigned = boto3.client("sts", endpoint_url=URL, verify=CA, region_name="us-east-1", config=botocore.config.Config(signature_version=botocore.UNSIGNED))
stranger = {"type": "Unknown"}

staff, with_saml = facts["staff"], unsigned.assume_role_with_saml
asked = dict(RoleArn=staff["Arn"], PrincipalArn=facts["saml"])
qualifier = base64.b64encode(hashlib.sha1(f"https://idp.example.org/saml{M}/idp".encode()).digest()).decode()
keys = case("SAMLUser", {"type": "SAMLUser", "principalId": qualifier + ":cleo", "userName": "cleo", "identityProvider": qualifier},
    with_saml, **asked, SAMLAssertion=proof["assertion"])["Credentials"]
case("AssumedRole of a SAMLUser", by_role(staff, "cleo@example.org", keys), who(keys))
case("an assertion that nobody signed", stranger, with_saml, **asked, SAMLAssertion=proof["forged"], error="InvalidIdentityToken")
case("an assertion of another role", stranger, with_saml, error="AccessDenied",
    RoleArn=facts["deploy"]["Arn"], PrincipalArn=facts["saml"], SAMLAssertion=proof["assertion"])

deploy, with_token = facts["deploy"], unsigned.assume_role_with_web_identity
asked = dict(RoleArn=deploy["Arn"], RoleSessionName="pipeline")
def by_token(sub):
    return {"type": "WebIdentityUser", "principalId": facts["issuer"] + ":bawn-client:" + sub, "userName": sub, "identityProvider": facts["issuer"]}
keys = case("WebIdentityUser", by_token("repo/main"), with_token, **asked, WebIdentityToken=proof["token"])["Credentials"]
case("AssumedRole of a WebIdentityUser", by_role(deploy, "pipeline", keys, webIdFederationData={"federatedProvider": facts["issuer"], "attributes": {
    "sub": "repo/main", "aud": "bawn-client", "oaud": "bawn-client", "email": "main@example.org"}}), who(keys))
case("WebIdentityUser denied", by_token("repo/other"), with_token, **asked, WebIdentityToken=proof["other"], error="AccessDenied")
case("a token for another", stranger, with_token, **asked, WebIdentityToken=proof["astray"], error="InvalidIdentityToken")
case("a token that was changed", stranger, with_token, **asked, WebIdentityToken=proof["token"][:-6] + "AAAAAA", error="InvalidIdentityToken")

# A person: signed in, in a role, and in one after that.
def own(session):
    headers = {"X-Amz-Target": "BawnSignIn.DescribeOwn", "Content-Type": "application/x-amz-json-1.1"}
    r = urllib.request.Request(URL, json.dumps({"Session": session}).encode(), headers)
    try:
        answer, error = urllib.request.urlopen(r, context=ssl.create_default_context(cafile=CA)), ""
    except urllib.error.HTTPError as e:
        answer, error = e, json.loads(e.read())["__type"]
    return answer.headers["x-amzn-RequestId"], error
sso, ids = client("sso-admin"), client("identitystore")
instance = sso.list_instances()["Instances"][0]
store = instance["IdentityStoreId"]
person = ids.get_user_id(IdentityStoreId=store, AlternateIdentifier={"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": "dora"}})["UserId"]
behalf = {"onBehalfOf": {"userId": person, "identityStoreArn": f"arn:aws:identitystore::{M}:identitystore/{store}"}}
request, error = own(session)
assert not error, error
CASES.append({"name": "IdentityCenterUser", "request": request, "account": M, "error": "", "want": {"type": "IdentityCenterUser", "accountId": M, "credentialId": "$ID", **behalf}})

tti = sso.create_trusted_token_issuer(InstanceArn=instance["InstanceArn"], Name="idp", TrustedTokenIssuerType="OIDC_JWT",
    TrustedTokenIssuerConfiguration={"OidcJwtConfiguration": {"IssuerUrl": os.environ["BAWN_ISSUER"], "ClaimAttributePath": "email",
        "IdentityStoreAttributePath": "emails.value", "JwksRetrievalOption": "OPEN_ID_DISCOVERY"}})["TrustedTokenIssuerArn"]
app = sso.create_application(InstanceArn=instance["InstanceArn"], Name="workbench", ApplicationProviderArn="arn:aws:sso::aws:applicationProvider/custom")["ApplicationArn"]
grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
sso.put_application_grant(ApplicationArn=app, GrantType=grant,
    Grant={"JwtBearer": {"AuthorizedTokenIssuers": [{"TrustedTokenIssuerArn": tti, "AuthorizedAudiences": ["bawn-sample"]}]}})
me = sts.get_caller_identity()["Arn"]
sso.put_application_authentication_method(ApplicationArn=app, AuthenticationMethodType="IAM", AuthenticationMethod={"Iam": {
    "ActorPolicy": json.loads(document(Principal={"AWS": me}, Action="sso-oauth:CreateTokenWithIAM", Resource="*"))}})
sso.create_application_assignment(ApplicationArn=app, PrincipalId=person, PrincipalType="USER")
scientist = role("scientist", {"AWS": me}, ["sts:AssumeRole", "sts:SetContext"])
after = role("after", {"AWS": M}, "sts:AssumeRole")
assertion = client("sso-oidc").create_token_with_iam(clientId=app, grantType=grant, assertion=proof["person"])["awsAdditionalDetails"]["identityContext"]
keys = sts.assume_role(RoleArn=scientist["Arn"], RoleSessionName="dora", ProvidedContexts=[
    {"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": assertion}])["Credentials"]
case("AssumedRole of a person", {**by_role(scientist, "dora", keys), **behalf}, who(keys))
next = client("sts", keys).assume_role(RoleArn=after["Arn"], RoleSessionName="next")["Credentials"]
case("AssumedRole of a person, chained", {**by_role(after, "next", next), **behalf}, who(next))
case("AssumedRole of a person, denied", {**by_role(after, "next", next), **behalf}, client("iam", next).list_users, error="AccessDenied")

# She is no longer there: what was made for her ends, and who tries it is told from others.
ids.delete_user(IdentityStoreId=store, UserId=person)
for name, r, k in (("dora", scientist, keys), ("next", after, next)):
    case("a session of a person who is gone: " + name, {"type": "Unknown", "principalId": r["RoleId"] + ":" + name, "accountId": M,
        "accessKeyId": k["AccessKeyId"], **behalf}, who(k), error="InvalidClientTokenId")
request, error = own(session)
CASES.append({"name": "a sign-in of a person who is gone", "request": request, "account": M, "error": error.split("#")[-1], "want": stranger})
print(json.dumps({"cases": CASES}))
