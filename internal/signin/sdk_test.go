package signin

import (
	"os"
	"path/filepath"
	"testing"

	"bawn.dev/internal/api/apitest"
)

// The SDK's own SSO providers, unmodified, with the profile that the AWS command line
// writes: the token is fetched as its login does, refreshed and used by the SDK.
func TestSDKProviders(t *testing.T) {
	g := newGate(t)
	_, ada := g.signIn(g.ada)
	d := filepath.Join(g.Dir, ".aws")
	if err := os.MkdirAll(d, 0o700); err != nil {
		t.Fatal(err)
	}
	config := `[sso-session work]
sso_start_url = ` + g.URL + `/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access

[profile session]
sso_session = work
sso_account_id = ` + apitest.Account + `
sso_role_name = Scientist
region = us-east-1
endpoint_url = ` + g.URL + `

[profile legacy]
sso_start_url = ` + g.URL + `/start
sso_region = us-east-1
sso_account_id = ` + apitest.Other + `
sso_role_name = Auditor
region = us-east-1
endpoint_url = ` + g.URL + `

[profile forbidden]
sso_session = work
sso_account_id = ` + apitest.Other + `
sso_role_name = Scientist
region = us-east-1
endpoint_url = ` + g.URL + `
`
	if err := os.WriteFile(filepath.Join(d, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	g.Python(t, g.admin, `
import datetime, hashlib, pathlib, urllib.request
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
    os.environ.pop(name)
URL, START = os.environ["BAWN_URL"], os.environ["BAWN_URL"] + "/start"
oidc = client("sso-oidc", region_name="us-east-1")

def page(op, **body):
    r = urllib.request.Request(URL, json.dumps(body).encode(), {"X-Amz-Target": "BawnSignIn." + op, "Content-Type": "application/x-amz-json-1.1"})
    return json.load(urllib.request.urlopen(r))

def login(key, scopes, age):
    """What aws sso login does: a device flow, and a file in the cache."""
    client_ = oidc.register_client(clientName="botocore-client-" + key, clientType="public", **scopes)
    keys = dict(clientId=client_["clientId"], clientSecret=client_["clientSecret"])
    device = oidc.start_device_authorization(startUrl=START, **keys)
    get = dict(grantType="urn:ietf:params:oauth:grant-type:device_code", deviceCode=device["deviceCode"], **keys)
    for error in (oidc.exceptions.AuthorizationPendingException, oidc.exceptions.SlowDownException):
        try:
            oidc.create_token(**get)
            raise AssertionError("was not refused")
        except error as e:
            assert e.response["error"] and e.response["error_description"], e.response
    page("ApproveDevice", Session="`+ada+`", UserCode=device["userCode"])
    token = oidc.create_token(**get)
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=token["expiresIn"] - age)
    form = "%Y-%m-%dT%H:%M:%SZ"
    entry = dict(startUrl=START, region="us-east-1", accessToken=token["accessToken"], expiresAt=until.strftime(form),
        registrationExpiresAt=datetime.datetime.fromtimestamp(client_["clientSecretExpiresAt"], datetime.timezone.utc).strftime(form), **keys)
    if "refreshToken" in token:
        entry["refreshToken"] = token["refreshToken"]
    path = pathlib.Path.home() / ".aws/sso/cache" / (hashlib.sha1(key.encode()).hexdigest() + ".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entry))
    return path, entry

path, entry = login("work", dict(scopes=["sso:account:access"]), age=3000) # so old that the SDK refreshes it
me = boto3.Session(profile_name="session").client("sts").get_caller_identity()
assert me["Arn"] == "arn:aws:sts::`+apitest.Account+`:assumed-role/AWSReservedSSO_Scientist_0123456789abcdef/ada", me
after = json.loads(path.read_text())
assert after["refreshToken"] != entry["refreshToken"] and after["accessToken"] != entry["accessToken"], "the SDK did not refresh"

login(START, {}, age=0)
me = boto3.Session(profile_name="legacy").client("sts").get_caller_identity()
assert me["Account"] == "`+apitest.Other+`" and me["Arn"].endswith("/ada"), me

refused(boto3.Session(profile_name="forbidden").client("sts").get_caller_identity, "ForbiddenException")

sso = client("sso", region_name="us-east-1")
accounts = [a["accountId"] for page_ in sso.get_paginator("list_accounts").paginate(accessToken=after["accessToken"], PaginationConfig={"PageSize": 1}) for a in page_["accountList"]]
assert accounts == ["`+apitest.Account+`", "`+apitest.Other+`"], accounts
sso.logout(accessToken=after["accessToken"])
try:
    sso.list_accounts(accessToken=after["accessToken"])
    raise AssertionError("was not refused")
except sso.exceptions.UnauthorizedException:
    pass
try:
    oidc.create_token(grantType="refresh_token", refreshToken=after["refreshToken"], clientId=after["clientId"], clientSecret=after["clientSecret"])
    raise AssertionError("was not refused")
except oidc.exceptions.InvalidGrantException as e:
    assert e.response["error"] == "invalid_grant", e.response
`)
}
