# People sign in through an application to which their groups are assigned, and take
# sessions of a role: a list of JSON. Arguments: token, group, token, group …
people = list(zip(sys.argv[1::2], sys.argv[2::2]))
iam, sso = client("iam"), client("sso-admin")
instance = sso.list_instances()["Instances"][0]["InstanceArn"]
tti = sso.create_trusted_token_issuer(InstanceArn=instance, Name="idp", TrustedTokenIssuerType="OIDC_JWT",
    TrustedTokenIssuerConfiguration={"OidcJwtConfiguration": {"IssuerUrl": os.environ["BAWN_ISSUER"], "ClaimAttributePath": "email",
        "IdentityStoreAttributePath": "emails.value", "JwksRetrievalOption": "OPEN_ID_DISCOVERY"}})["TrustedTokenIssuerArn"]
app = sso.create_application(InstanceArn=instance, Name="workbench", ApplicationProviderArn="arn:aws:sso::aws:applicationProvider/custom")["ApplicationArn"]
grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
sso.put_application_grant(ApplicationArn=app, GrantType=grant,
    Grant={"JwtBearer": {"AuthorizedTokenIssuers": [{"TrustedTokenIssuerArn": tti, "AuthorizedAudiences": ["bawn-sample"]}]}})
for _, team in people:
    sso.create_application_assignment(ApplicationArn=app, PrincipalId=team, PrincipalType="GROUP")
iam.create_user(UserName="workbench")
keys = iam.create_access_key(UserName="workbench")["AccessKey"]
arn = iam.get_user(UserName="workbench")["User"]["Arn"]
sso.put_application_authentication_method(ApplicationArn=app, AuthenticationMethodType="IAM", AuthenticationMethod={"Iam": {"ActorPolicy": {
    "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sso-oauth:CreateTokenWithIAM", "Resource": "*"}]}}})
role = iam.create_role(RoleName="scientist", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": ["sts:AssumeRole", "sts:SetContext"]}]}))["Role"]["Arn"]
oidc, sts, sessions = client("sso-oidc", keys), client("sts", keys), []
for token, _ in people:
    context = oidc.create_token_with_iam(clientId=app, grantType=grant, assertion=token)["awsAdditionalDetails"]["identityContext"]
    creds = sts.assume_role(RoleArn=role, RoleSessionName="person", ProvidedContexts=[
        {"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": context}])["Credentials"]
    sessions.append({k: str(v) for k, v in creds.items()})
print(json.dumps(sessions))
