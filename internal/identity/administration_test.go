package identity

import (
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/store/storetest"
)

// boto3, unmodified: applications and what belongs to them, issuers, tags.
func TestAdministration(t *testing.T) {
	h := enter(t, storetest.SQLite(t))
	h.rig.Python(t, h.admin, `
sso, ids = client("sso-admin"), client("identitystore")
E = sso.exceptions
centre = sso.list_instances()["Instances"][0]
instance, store = centre["InstanceArn"], centre["IdentityStoreId"]
def caught(kind, f, **kw):
    try:
        f(**kw)
    except kind as e:
        return str(e)
    raise AssertionError("was not refused")
def pages(name, key, **kw):
    return [x for p in sso.get_paginator(name).paginate(PaginationConfig={"PageSize": 1}, **kw) for x in p[key]]

sso.update_instance(InstanceArn=instance, Name="house")
assert sso.describe_instance(InstanceArn=instance)["Name"] == "house"
caught(E.ResourceNotFoundException, sso.describe_instance, InstanceArn="arn:aws:sso:::instance/ssoins-0123456789abcdef")

# Applications.
custom, = sso.list_application_providers()["ApplicationProviders"]
custom = custom["ApplicationProviderArn"]
assert sso.describe_application_provider(ApplicationProviderArn=custom)["FederationProtocol"] == "OAUTH"
caught(E.ResourceNotFoundException, sso.create_application, InstanceArn=instance, Name="x", ApplicationProviderArn="arn:aws:sso::aws:applicationProvider/catalog/x")
caught(E.ValidationException, sso.create_application, InstanceArn=instance, Name="x", ApplicationProviderArn=custom, PortalOptions={"Visibility": "ENABLED"})
apps = [sso.create_application(InstanceArn=instance, Name=f"app {i}", ApplicationProviderArn=custom, Tags=[{"Key": "Team", "Value": str(i)}])["ApplicationArn"] for i in range(3)]
assert sorted(a["ApplicationArn"] for a in pages("list_applications", "Applications", InstanceArn=instance)) == sorted(apps)
assert sso.list_applications(InstanceArn=instance, Filter={"ApplicationAccount": "000000000000"})["Applications"] == []
app = apps[0]
sso.update_application(ApplicationArn=app, Name="notebooks", Status="DISABLED")
shown = sso.describe_application(ApplicationArn=app)
assert (shown["Name"], shown["Status"]) == ("notebooks", "DISABLED"), shown

code, refresh, bearer, exchange = "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:token-exchange"
put = lambda kind, **grant: dict(ApplicationArn=app, GrantType=kind, Grant=grant)
sso.put_application_grant(**put(code, AuthorizationCode={"RedirectUris": ["https://app.example.org/back", "http://127.0.0.1:8080/back"]}))
sso.put_application_grant(**put(refresh, RefreshToken={}))
sso.put_application_grant(**put(exchange, TokenExchange={}))
for uri in ["http://app.example.org/back", "https://app.example.org/#x", "javascript:alert(1)", "https://user@app.example.org/", "http://127.0.0.1.example.org/"]:
    caught(E.ValidationException, sso.put_application_grant, **put(code, AuthorizationCode={"RedirectUris": [uri]}))
caught(E.ValidationException, sso.put_application_grant, **put(code, RefreshToken={}))
assert [g["GrantType"] for g in sso.list_application_grants(ApplicationArn=app)["Grants"]] == [code, refresh, exchange]
sso.delete_application_grant(ApplicationArn=app, GrantType=refresh)
caught(E.ResourceNotFoundException, sso.get_application_grant, ApplicationArn=app, GrantType=refresh)
caught(E.ResourceNotFoundException, sso.delete_application_grant, ApplicationArn=app, GrantType=refresh)

for scope in ("a:b", "c"):
    sso.put_application_access_scope(ApplicationArn=app, Scope=scope)
assert [s["Scope"] for s in pages("list_application_access_scopes", "Scopes", ApplicationArn=app)] == ["a:b", "c"]
assert sso.get_application_access_scope(ApplicationArn=app, Scope="c")["Scope"] == "c"
sso.delete_application_access_scope(ApplicationArn=app, Scope="c")
caught(E.ResourceNotFoundException, sso.get_application_access_scope, ApplicationArn=app, Scope="c")

policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "`+apitest.Account+`"}, "Action": "sso-oauth:CreateTokenWithIAM", "Resource": "*"}]}
assert sso.list_application_authentication_methods(ApplicationArn=app)["AuthenticationMethods"] == []
sso.put_application_authentication_method(ApplicationArn=app, AuthenticationMethodType="IAM", AuthenticationMethod={"Iam": {"ActorPolicy": policy}})
assert len(sso.list_application_authentication_methods(ApplicationArn=app)["AuthenticationMethods"]) == 1
sso.delete_application_authentication_method(ApplicationArn=app, AuthenticationMethodType="IAM")
caught(E.ResourceNotFoundException, sso.get_application_authentication_method, ApplicationArn=app, AuthenticationMethodType="IAM")

assert sso.get_application_session_configuration(ApplicationArn=app)["UserBackgroundSessionApplicationStatus"] == "DISABLED"
sso.put_application_session_configuration(ApplicationArn=app, UserBackgroundSessionApplicationStatus="ENABLED")
assert sso.get_application_session_configuration(ApplicationArn=app)["UserBackgroundSessionApplicationStatus"] == "ENABLED"
assert sso.get_application_assignment_configuration(ApplicationArn=app)["AssignmentRequired"] is True

ada = ids.create_user(IdentityStoreId=store, UserName="ada", DisplayName="ada", Name={"GivenName": "a", "FamilyName": "a"})["UserId"]
team = ids.create_group(IdentityStoreId=store, DisplayName="team")["GroupId"]
ids.create_group_membership(IdentityStoreId=store, GroupId=team, MemberId={"UserId": ada})
sso.create_application_assignment(ApplicationArn=app, PrincipalType="USER", PrincipalId=ada)
sso.create_application_assignment(ApplicationArn=apps[1], PrincipalType="GROUP", PrincipalId=team)
assert sso.describe_application_assignment(ApplicationArn=app, PrincipalType="USER", PrincipalId=ada)["PrincipalId"] == ada
caught(E.ResourceNotFoundException, sso.describe_application_assignment, ApplicationArn=app, PrincipalType="GROUP", PrincipalId=team)
mine = dict(InstanceArn=instance, PrincipalType="USER", PrincipalId=ada)
assert sorted(a["ApplicationArn"] for a in pages("list_application_assignments_for_principal", "ApplicationAssignments", **mine)) == sorted([app, apps[1]])
one, = sso.list_application_assignments_for_principal(**mine, Filter={"ApplicationArn": apps[1]})["ApplicationAssignments"]
assert one["PrincipalType"] == "GROUP" and one["PrincipalId"] == team, one

# Issuers: the name and the mapping change, and never whose tokens are meant.
def issuer(name):
    return sso.create_trusted_token_issuer(InstanceArn=instance, Name=name, TrustedTokenIssuerType="OIDC_JWT", TrustedTokenIssuerConfiguration={"OidcJwtConfiguration": {
        "IssuerUrl": "https://idp.example.org", "ClaimAttributePath": "email", "IdentityStoreAttributePath": "emails.value", "JwksRetrievalOption": "OPEN_ID_DISCOVERY"}})["TrustedTokenIssuerArn"]
first, second = issuer("first"), issuer("second")
update = lambda **c: dict(TrustedTokenIssuerArn=first, TrustedTokenIssuerConfiguration={"OidcJwtConfiguration": c})
sso.update_trusted_token_issuer(Name="renamed", **update(ClaimAttributePath="sub", IdentityStoreAttributePath="userName"))
shown = sso.describe_trusted_token_issuer(TrustedTokenIssuerArn=first)
assert shown["Name"] == "renamed" and shown["TrustedTokenIssuerConfiguration"]["OidcJwtConfiguration"] == {
    "IssuerUrl": "https://idp.example.org", "ClaimAttributePath": "sub", "IdentityStoreAttributePath": "userName", "JwksRetrievalOption": "OPEN_ID_DISCOVERY"}, shown
caught(E.ConflictException, sso.update_trusted_token_issuer, TrustedTokenIssuerArn=first, Name="second")
caught(E.ValidationException, sso.update_trusted_token_issuer, **update(IdentityStoreAttributePath="displayName"))
assert len(pages("list_trusted_token_issuers", "TrustedTokenIssuers", InstanceArn=instance)) == 2

# Permission sets.
sets = [sso.create_permission_set(InstanceArn=instance, Name=f"set{i}", Tags=[{"Key": "Team", "Value": str(i)}])["PermissionSet"]["PermissionSetArn"] for i in range(3)]
assert pages("list_permission_sets", "PermissionSets", InstanceArn=instance) == sorted(sets)
caught(E.ConflictException, sso.create_permission_set, InstanceArn=instance, Name="set0")
for bad in ["PT59M", "PT13H", "P1D", "PT", "P", "-PT2H", "PT1.5H", "PT99999H"]:
    caught(E.ValidationException, sso.create_permission_set, InstanceArn=instance, Name="long", SessionDuration=bad)
caught(E.ValidationException, sso.create_permission_set, InstanceArn=instance, Name="relay", RelayState="https://example.org")
here = dict(InstanceArn=instance, PermissionSetArn=sets[0])
document = lambda **more: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", **more}]})
for bad in ["{}", "x", document(Principal="*")]:
    caught(E.ValidationException, sso.put_inline_policy_to_permission_set, **here, InlinePolicy=bad)
sso.put_inline_policy_to_permission_set(**here, InlinePolicy=document())
assert sso.get_inline_policy_for_permission_set(**here)["InlinePolicy"] == document()
caught(E.ResourceNotFoundException, sso.attach_managed_policy_to_permission_set, **here, ManagedPolicyArn="arn:aws:iam::aws:policy/NoSuch")
caught(E.ResourceNotFoundException, sso.get_permissions_boundary_for_permission_set, **here)
caught(E.ValidationException, sso.put_permissions_boundary_to_permission_set, **here, PermissionsBoundary={})
refs = [{"Name": f"p{i:02}", "Path": "/"} for i in range(21)]
for r in refs[:20]:
    sso.attach_customer_managed_policy_reference_to_permission_set(**here, CustomerManagedPolicyReference=r)
caught(E.ServiceQuotaExceededException, sso.attach_customer_managed_policy_reference_to_permission_set, **here, CustomerManagedPolicyReference=refs[20])
caught(E.ConflictException, sso.attach_customer_managed_policy_reference_to_permission_set, **here, CustomerManagedPolicyReference={"Name": "p00"})
assert pages("list_customer_managed_policy_references_in_permission_set", "CustomerManagedPolicyReferences", **here) == refs[:20]

# Tags, of everything that has them.
for arn in [instance, sets[1], apps[1], second]:
    sso.tag_resource(InstanceArn=instance, ResourceArn=arn, Tags=[{"Key": "team", "Value": "x"}, {"Key": "b", "Value": ""}])
    assert {t["Key"]: t["Value"] for t in sso.list_tags_for_resource(ResourceArn=arn)["Tags"]} == {"team": "x", "b": ""}
    sso.untag_resource(ResourceArn=arn, TagKeys=["TEAM"])
    assert [t["Key"] for t in sso.list_tags_for_resource(ResourceArn=arn)["Tags"]] == ["b"]
caught(E.ValidationException, sso.tag_resource, ResourceArn=instance, Tags=[{"Key": "aws:x", "Value": "y"}])
caught(E.ValidationException, sso.tag_resource, ResourceArn=instance, Tags=[{"Key": "x", "Value": "y"}, {"Key": "X", "Value": "y"}])
caught(E.ServiceQuotaExceededException, sso.tag_resource, ResourceArn=instance, Tags=[{"Key": f"k{i}", "Value": "y"} for i in range(50)])
caught(E.ResourceNotFoundException, sso.list_tags_for_resource, ResourceArn=sets[0][:-4] + "ffff")
sso.delete_permission_set(InstanceArn=instance, PermissionSetArn=sets[1])
caught(E.ResourceNotFoundException, sso.list_tags_for_resource, ResourceArn=sets[1])
caught(E.ValidationException, sso.list_permission_sets, InstanceArn=instance, NextToken="=")
`)
}

// Who may manage what bears a tag manages nothing else, and cannot take the tag along.
func TestPermissionSetsByTag(t *testing.T) {
	h := enter(t, storetest.SQLite(t))
	helper := h.rig.User(t, apitest.Account, "helper", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"sso:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"ward"}}},
		{"Effect":"Allow","Action":["sso:ListInstances","sso:DescribePermissionSet","sso:UpdatePermissionSet","sso:PutInlinePolicyToPermissionSet"],"Resource":"arn:aws:sso:::instance/*"},
		{"Effect":"Allow","Action":"sso:ListInstances","Resource":"*"},
		{"Effect":"Allow","Action":["sso:CreatePermissionSet","sso:TagResource"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"ward"}}},
		{"Effect":"Deny","Action":"sso:UntagResource","Resource":"*"}]}`)
	h.rig.Python(t, h.admin, `
sso = client("sso-admin")
instance = sso.list_instances()["Instances"][0]["InstanceArn"]
for name, team in [("ours", "ward"), ("theirs", "board")]:
    sso.create_permission_set(InstanceArn=instance, Name=name, Tags=[{"Key": "team", "Value": team}])
sso.create_permission_set(InstanceArn=instance, Name="plain")
`)
	h.rig.Python(t, helper, `
sso = client("sso-admin")
instance = sso.list_instances()["Instances"][0]["InstanceArn"]
no = "AccessDeniedException"
refused(sso.create_permission_set, no, InstanceArn=instance, Name="x")
refused(sso.create_permission_set, no, InstanceArn=instance, Name="x", Tags=[{"Key": "team", "Value": "board"}])
new = sso.create_permission_set(InstanceArn=instance, Name="x", Tags=[{"Key": "team", "Value": "ward"}])["PermissionSet"]["PermissionSetArn"]
sso.update_permission_set(InstanceArn=instance, PermissionSetArn=new, Description="ours")
refused(sso.untag_resource, no, InstanceArn=instance, ResourceArn=new, TagKeys=["team"])
refused(sso.describe_permission_set, no, InstanceArn=instance, PermissionSetArn=new[:-4] + "ffff")
refused(sso.list_permission_sets, no, InstanceArn=instance)
`)
	for _, name := range []string{"theirs", "plain"} {
		var arn string
		sn, err := h.rig.Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := sn.QueryRow(`SELECT arn FROM identity_permission_sets WHERE name = ?`, name).Scan(&arn); err != nil {
			t.Fatal(err)
		}
		sn.Close()
		h.rig.Python(t, helper, `
sso = client("sso-admin")
instance, no = sso.list_instances()["Instances"][0]["InstanceArn"], "AccessDeniedException"
here = dict(InstanceArn=instance, PermissionSetArn="`+arn+`")
refused(sso.describe_permission_set, no, **here)
refused(sso.update_permission_set, no, **here, Description="mine now")
refused(sso.put_inline_policy_to_permission_set, no, **here, InlinePolicy="{}")
`)
	}
}
