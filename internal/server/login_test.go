package server_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

// session lets a person in whose one-time password an administrator just told her.
func (d door) session(name, password string) string {
	d.t.Helper()
	out := d.password(name, password)
	out = d.call("ContinueSignIn", map[string]string{"Flow": out.Flow, "NewPassword": "seven lamps over Dublin"})
	if out.Totp == nil {
		d.t.Fatalf("%+v", out)
	}
	code, err := totp.GenerateCode(out.Totp.Secret, time.Now())
	if err != nil {
		d.t.Fatal(err)
	}
	if out = d.call("ContinueSignIn", map[string]string{"Flow": out.Flow, "Code": code}); out.Session == "" {
		d.t.Fatalf("%+v", out)
	}
	return out.Session
}

// A scientist signs in with one command, and AWS's tools work by her profile until her
// assignment goes.
func TestBawnLogin(t *testing.T) {
	b := servertest.Start(t)
	binary := build(t)
	var made map[string]string
	if err := json.Unmarshal([]byte(b.Python(t, accessSetup+`
ada = ids.create_user(IdentityStoreId=store, UserName="ada", DisplayName="Ada", Name=dict(GivenName="Ada", FamilyName="L"))["UserId"]
me = sts.get_caller_identity()["Account"]
ps = sso.create_permission_set(InstanceArn=instance, Name="Scientist")["PermissionSet"]["PermissionSetArn"]
sso.attach_managed_policy_to_permission_set(InstanceArn=instance, PermissionSetArn=ps, ManagedPolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
grant = dict(InstanceArn=instance, TargetId=me, TargetType="AWS_ACCOUNT", PermissionSetArn=ps, PrincipalType="USER", PrincipalId=ada)
settled("creation", sso.create_account_assignment(**grant))
print(json.dumps(grant))
`)), &made); err != nil {
		t.Fatal(err)
	}
	var once server.PeopleAnswer
	if err := server.AskRunning(t.Context(), b.Config, "/people", server.PeopleRequest{Do: "set-password", User: "ada", Operator: "root"}, &once); err != nil {
		t.Fatal(err)
	}
	d := door{t, b}
	session := d.session("ada", once.Password)
	b.Python(t, awsLogin, session, t.TempDir(), made["TargetId"])

	home := t.TempDir()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "GODEBUG=" + os.Getenv("GODEBUG")}
	cmd := exec.Command(binary, "login", "--device", "--url", b.URL, "--ca", b.Config.Path("ca.pem"), "--profile", "work")
	cmd.Env, cmd.Stderr = env, os.Stderr
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`^ +([A-Z]{4}-[A-Z]{4})$`)
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if m := code.FindStringSubmatch(lines.Text()); m != nil {
			b.Python(t, `
import ssl, urllib.request
headers = {"X-Amz-Target": "BawnSignIn.ApproveDevice", "Content-Type": "application/x-amz-json-1.1"}
r = urllib.request.Request(URL, json.dumps({"Session": sys.argv[1], "UserCode": sys.argv[2]}).encode(), headers)
urllib.request.urlopen(r, context=ssl.create_default_context(cafile=CA))`, session, m[1])
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}

	aws := func(args ...string) (string, error) {
		cmd := exec.Command("aws", append([]string{"--profile", "work"}, args...)...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := aws("sts", "get-caller-identity"); err != nil || !regexp.MustCompile(`assumed-role/AWSReservedSSO_Scientist_[0-9a-f]{16}/ada"`).MatchString(out) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := aws("iam", "list-roles"); err != nil || !strings.Contains(out, "AWSReservedSSO_Scientist_") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := aws("iam", "create-user", "--user-name", "eve"); err == nil || !strings.Contains(out, "AccessDenied") {
		t.Errorf("who may read makes users: %v\n%s", err, out)
	}
	if info, err := os.Stat(filepath.Join(home, ".aws", "bawn", "work.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}

	grant, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	b.Python(t, accessSetup+`
settled("deletion", sso.delete_account_assignment(**json.loads(sys.argv[1])))
`, string(grant))
	if out, err := aws("sts", "get-caller-identity"); err == nil || !strings.Contains(out, "No access") {
		t.Errorf("after the assignment went: %v\n%s", err, out)
	}
	out := exec.Command(binary, "logout", "--profile", "work")
	out.Env = env
	if text, err := out.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if out, err := aws("sts", "get-caller-identity"); err == nil || !strings.Contains(out, "bawn login") {
		t.Errorf("after she signed out: %v\n%s", err, out)
	}
}

// What AWS's command line is told that asks a start URL where it leads.
func TestStartURL(t *testing.T) {
	b := servertest.Start(t)
	resp, err := b.Client(t).Head(b.URL + "/start")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	instance := strings.TrimSpace(b.Python(t, `print(client("sso-admin").list_instances()["Instances"][0]["InstanceArn"].split("/")[1])`))
	if want := "https://identitycenter.amazonaws.com/" + instance; resp.StatusCode != 302 || resp.Header.Get("Location") != want {
		t.Errorf("%s leads to %q, want %q", resp.Status, resp.Header.Get("Location"), want)
	}
	b.Python(t, `
oidc = client("sso-oidc")
c = oidc.register_client(clientName="aws-cli", clientType="public", scopes=["sso:account:access"], issuerUrl=sys.argv[1],
    grantTypes=["authorization_code", "refresh_token"], redirectUris=["http://127.0.0.1/oauth/callback"])
assert c["authorizationEndpoint"].endswith("/authorize") and c["authorizationEndpoint"].startswith("https://"), c
c = oidc.register_client(clientName="aws-cli", clientType="public", scopes=["sso:account:access"])
d = oidc.start_device_authorization(clientId=c["clientId"], clientSecret=c["clientSecret"], startUrl=sys.argv[1])
assert d["verificationUriComplete"].endswith("/device?user_code=" + d["userCode"]), d
`, resp.Header.Get("Location"))
}

// awsLogin is what `aws sso login` of AWS's command line does by default, call by call
// (that binary is no part of the tests): it asks the start URL where it leads, registers,
// has the browser consent and listens at a port that it did not register; then it writes
// what it got where botocore, unmodified, finds it, refreshes it and uses it.
const awsLogin = `
import base64, datetime, hashlib, html, http.client, http.server, pathlib, re, secrets, ssl, subprocess, threading, urllib.parse, urllib.request
session, home = sys.argv[1], pathlib.Path(sys.argv[2])
trust = ssl.create_default_context(cafile=CA)

def ask(method, address, body=None, **headers):
    u = urllib.parse.urlsplit(address)
    c = http.client.HTTPSConnection(u.hostname, u.port, context=trust)
    c.request(method, u.path + ("?" + u.query if u.query else ""), body and urllib.parse.urlencode(body), headers)
    r = c.getresponse()
    return r, r.read().decode()

start = URL + "/start"
leads, _ = ask("HEAD", start)
name = leads.getheader("Location")
assert leads.status == 302 and urllib.parse.urlsplit(name).hostname == "identitycenter.amazonaws.com", (leads.status, name)

oidc = client("sso-oidc")
c = oidc.register_client(clientName="aws-cli", clientType="public", grantTypes=["authorization_code", "refresh_token"],
    redirectUris=["http://127.0.0.1/oauth/callback"], issuerUrl=name, scopes=["sso:account:access"])

came = []
class Listener(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        came.append(self.path)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
listener = http.server.HTTPServer(("127.0.0.1", 0), Listener)
threading.Thread(target=listener.handle_request).start()
redirect = "http://127.0.0.1:%d/oauth/callback" % listener.server_port
state, verifier = secrets.token_hex(16), secrets.token_urlsafe(64)
challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
query = dict(response_type="code", client_id=c["clientId"], redirect_uri=redirect, state=state, code_challenge_method="S256",
    scopes="sso:account:access", code_challenge=challenge)
endpoint = c["authorizationEndpoint"]
cookie = {"Cookie": "__Host-bawn=" + session, "Sec-Fetch-Site": "same-origin"}
r, page = ask("GET", endpoint + "?" + urllib.parse.urlencode(query), **cookie)
assert r.status == 200 and "aws-cli" in page, (r.status, page)
fields = {n: html.unescape(v) for n, v in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)}
r, page = ask("POST", endpoint, {**fields, "decision": "approve"}, **{**cookie, "Content-Type": "application/x-www-form-urlencoded"})
back = html.unescape(re.search(r'href="(http://127[^"]*)"', page).group(1))
assert back.startswith(redirect + "?"), back
urllib.request.urlopen(back).read()
got = urllib.parse.parse_qs(urllib.parse.urlsplit(came[0]).query)
assert got["state"] == [state], got

keys = dict(clientId=c["clientId"], clientSecret=c["clientSecret"])
token = oidc.create_token(grantType="authorization_code", code=got["code"][0], codeVerifier=verifier, redirectUri=redirect, **keys)
form = "%Y-%m-%dT%H:%M:%SZ"
entry = dict(startUrl=start, region="us-east-1", accessToken=token["accessToken"], refreshToken=token["refreshToken"],
    expiresAt=(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)).strftime(form), # so that it is refreshed
    registrationExpiresAt=datetime.datetime.fromtimestamp(c["clientSecretExpiresAt"], datetime.timezone.utc).strftime(form), **keys)
cache = home / ".aws/sso/cache" / (hashlib.sha1(b"work").hexdigest() + ".json")
cache.parent.mkdir(parents=True, exist_ok=True)
cache.write_text(json.dumps(entry))
(home / ".aws/config").write_text(f"""[sso-session work]
sso_start_url = {start}
sso_region = us-east-1
sso_registration_scopes = sso:account:access
[profile scientist]
sso_session = work
sso_account_id = {sys.argv[3]}
sso_role_name = Scientist
region = us-east-1
endpoint_url = {URL}
ca_bundle = {CA}
""")
me = subprocess.check_output([sys.executable, "-c", "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"], text=True,
    env=dict(PATH=os.environ["PATH"], HOME=str(home), AWS_PROFILE="scientist", AWS_EC2_METADATA_DISABLED="true")).strip()
assert re.search("assumed-role/AWSReservedSSO_Scientist_[0-9a-f]{16}/ada$", me), me
after = json.loads(cache.read_text())
assert after["accessToken"] != entry["accessToken"] and after["refreshToken"] != entry["refreshToken"], "it was not refreshed"
`
