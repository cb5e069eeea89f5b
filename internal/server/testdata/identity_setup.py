# Providers of people and programs from elsewhere, roles for them, and a person. Prints JSON: their names.
# Arguments: the SAML provider's metadata, the OIDC issuer's URL.
saml = iam.create_saml_provider(Name="idp", SAMLMetadataDocument=sys.argv[1])["SAMLProviderArn"]
staff = role("staff", {"Federated": saml}, "sts:AssumeRoleWithSAML", Condition={"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}})
issuer = iam.create_open_id_connect_provider(Url=sys.argv[2], ClientIDList=["bawn-client"])["OpenIDConnectProviderArn"]
deploy = role("deploy", {"Federated": issuer}, "sts:AssumeRoleWithWebIdentity", Condition={"StringEquals": {sys.argv[2][8:] + ":sub": "repo/main"}})
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
client("identitystore").create_user(IdentityStoreId=store, UserName="dora", DisplayName="Dora", Name={"GivenName": "Dora", "FamilyName": "X"},
    Emails=[{"Value": "dora@example.org", "Type": "work", "Primary": True}])
print(json.dumps({"saml": saml, "staff": staff, "issuer": issuer, "deploy": deploy}, default=str))
