package browser

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// assign gives a person a permission set in the management account.
func assign(t *testing.T, name, set string) {
	t.Helper()
	python(t, nil, `
import time
sso, ids = client("sso-admin"), client("identitystore")
one = sso.list_instances()["Instances"][0]
user = ids.get_user_id(IdentityStoreId=one["IdentityStoreId"], AlternateIdentifier={"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": sys.argv[1]}})["UserId"]
made = sso.create_permission_set(InstanceArn=one["InstanceArn"], Name=sys.argv[2], Description="reads", SessionDuration="PT1H")["PermissionSet"]["PermissionSetArn"]
sso.put_inline_policy_to_permission_set(InstanceArn=one["InstanceArn"], PermissionSetArn=made,
    InlinePolicy=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}))
account = client("sts").get_caller_identity()["Account"]
status = sso.create_account_assignment(InstanceArn=one["InstanceArn"], PermissionSetArn=made, PrincipalType="USER", PrincipalId=user,
    TargetId=account, TargetType="AWS_ACCOUNT")["AccountAssignmentCreationStatus"]
while status["Status"] == "IN_PROGRESS":
    status = sso.describe_account_assignment_creation_status(InstanceArn=one["InstanceArn"], AccountAssignmentCreationRequestId=status["RequestId"])["AccountAssignmentCreationStatus"]
assert status["Status"] == "SUCCEEDED", status
`, name, set)
}

// Credentials are copied from the page into a shell, and boto3 is the person's role
// with them; the record has her.
func TestCredentialsAreCopied(t *testing.T) {
	once := person(t, "mary", "Mary Somerville")
	assign(t, "mary", "Readers")
	b := newTab(t)
	b.join("mary", once)
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		grant := cdpbrowser.SetPermission(&cdpbrowser.PermissionDescriptor{Name: name}, cdpbrowser.PermissionSettingGranted).WithOrigin(site)
		if err := grant.WithBrowserContextID(b.private).Do(cdp.WithExecutor(chromium, chromedp.FromContext(chromium).Browser)); err != nil {
			t.Fatal(err)
		}
	}
	b.press("I have kept them").sees("Accounts").says("Readers").press("Credentials").sees("Credentials")
	var copied string
	b.do(chromedp.Click(`[data-copy="shell"]`, chromedp.ByQuery), chromedp.WaitVisible(`//button[text()="Copied"]`))
	b.eval(`navigator.clipboard.readText()`, &copied)
	var env []string
	for line := range strings.Lines(copied) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok {
			t.Fatalf("%q is no export", line)
		}
		env = append(env, name+"="+strings.Trim(value, "'"))
	}
	python(t, env, `
who = boto3.client("sts").get_caller_identity()["Arn"]
assert "AWSReservedSSO_Readers_" in who and who.endswith("/mary"), who
boto3.client("s3").list_buckets()
try:
    boto3.client("s3").create_bucket(Bucket="not-hers")
    raise SystemExit("made a bucket")
except boto3.client("s3").exceptions.ClientError as e:
    assert e.response["Error"]["Code"] == "AccessDenied", e
`)
	python(t, nil, `
events = client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "ListBuckets"}])["Events"]
assert any("onBehalfOf" in json.loads(e["CloudTrailEvent"])["userIdentity"] for e in events), events
`)

	// As the other forms say it.
	var profile, raw string
	b.do(chromedp.Text("#profile", &profile, chromedp.ByQuery), chromedp.Text("#json", &raw, chromedp.ByQuery))
	file := t.TempDir() + "/credentials"
	if err := os.WriteFile(file, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	name := strings.Trim(strings.SplitN(profile, "\n", 2)[0], "[] ")
	python(t, []string{"AWS_SHARED_CREDENTIALS_FILE=" + file, "AWS_PROFILE=" + name, "PROCESS=" + raw}, `
assert "AWSReservedSSO_Readers_" in client("sts").get_caller_identity()["Arn"]
assert json.loads(os.environ["PROCESS"])["Version"] == 1
`)
	b.quiet()
}

// An SSO login by device code with boto3, approved in the browser; then one refused.
func TestDeviceIsApproved(t *testing.T) {
	once := person(t, "emmy", "Emmy Noether")
	assign(t, "emmy", "Guests")
	b := newTab(t)
	b.join("emmy", once)
	for _, approve := range []bool{true, false} {
		login := pythonCommand(t, []string{"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x"}, `
import time
oidc = client("sso-oidc")
c = oidc.register_client(clientName="a program", clientType="public", scopes=["sso:account:access"])
asked = oidc.start_device_authorization(clientId=c["clientId"], clientSecret=c["clientSecret"], startUrl=URL + "/start")
print(asked["userCode"], asked["verificationUri"], asked["verificationUriComplete"], flush=True)
token = None
while not token:
    try:
        token = oidc.create_token(clientId=c["clientId"], clientSecret=c["clientSecret"], deviceCode=asked["deviceCode"],
            grantType="urn:ietf:params:oauth:grant-type:device_code")["accessToken"]
    except (oidc.exceptions.AuthorizationPendingException, oidc.exceptions.SlowDownException):
        time.sleep(asked["interval"])
    except oidc.exceptions.AccessDeniedException:
        print("AccessDeniedException")
        sys.exit()
sso = client("sso")
print(sso.list_account_roles(accessToken=token, accountId=sso.list_accounts(accessToken=token)["accountList"][0]["accountId"])["roleList"][0]["roleName"])
`)
		login.Stderr = os.Stderr
		out, err := login.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := login.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		said, err := lines.ReadString('\n')
		words := strings.Fields(said)
		if err != nil || len(words) != 3 || !strings.HasSuffix(words[1], "/device") {
			t.Fatalf("%q %v", said, err)
		}
		if approve {
			b.open("/device").fill("user_code", "BCDF-BCDF").press("Continue").says("There is no such code")
			b.open("/device").fill("user_code", strings.ToLower(words[0])).press("Continue").says("127.0.0.1").says("wants to sign in as you")
			b.press("Approve").sees("Approved")
		} else {
			b.open("/device?user_code=" + words[0]).says("wants to sign in as you").press("Refuse").sees("Refused")
		}
		rest, err := io.ReadAll(lines)
		if err != nil {
			t.Fatal(err)
		}
		if err := login.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(rest)); approve && got != "Guests" || !approve && got != "AccessDeniedException" {
			t.Errorf("the program got %q", got)
		}
	}
	b.quiet()
}

// A program on the person's machine signs in by a code that comes back to its own port
// (PKCE); she may refuse; and a link that would send her elsewhere sends her nowhere.
func TestProgramIsAuthorized(t *testing.T) {
	once := person(t, "olga", "Olga Taussky")
	assign(t, "olga", "Mathematicians")
	b := newTab(t)
	b.join("olga", once)
	got := make(chan url.Values, 1)
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/callback" {
			got <- r.URL.Query()
			io.WriteString(w, "<h1>back in the program</h1>")
		}
	}))
	defer program.Close()
	registered := strings.Fields(python(t, []string{"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x"}, `
c = client("sso-oidc").register_client(clientName="a program", clientType="public", scopes=["sso:account:access"],
    grantTypes=["authorization_code", "refresh_token"], redirectUris=[sys.argv[1]], issuerUrl=URL + "/start")
print(c["clientId"], c["clientSecret"])
`, "http://127.0.0.1/oauth/callback"))
	verifier := strings.Repeat("verifier", 8)
	sum := sha256.Sum256([]byte(verifier))
	back := program.URL + "/oauth/callback"
	asks := url.Values{
		"response_type": {"code"}, "client_id": {registered[0]}, "redirect_uri": {back}, "state": {"state of the program"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "scopes": {"sso:account:access"},
	}
	b.open("/authorize?" + asks.Encode()).says("wants to sign in as you").says(strings.TrimPrefix(program.URL, "http://"))
	b.press("Refuse").sees("back in the program")
	if q := <-got; q.Get("error") != "access_denied" || q.Get("code") != "" {
		t.Errorf("the program heard %v", q)
	}
	b.open("/authorize?" + asks.Encode()).press("Approve").sees("back in the program")
	q := <-got
	if q.Get("state") != "state of the program" || q.Get("code") == "" {
		t.Fatalf("the program heard %v", q)
	}
	role := python(t, []string{"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x"}, `
token = client("sso-oidc").create_token(clientId=sys.argv[1], clientSecret=sys.argv[2], grantType="authorization_code", code=sys.argv[3],
    codeVerifier=sys.argv[4], redirectUri=sys.argv[5])["accessToken"]
sso = client("sso")
print(sso.list_account_roles(accessToken=token, accountId=sso.list_accounts(accessToken=token)["accountList"][0]["accountId"])["roleList"][0]["roleName"])
`, registered[0], registered[1], q.Get("code"), verifier, back)
	if role != "Mathematicians" {
		t.Errorf("the program is let into %q", role)
	}
	for why, edit := range map[string]func(url.Values){
		"another host":    func(v url.Values) { v.Set("redirect_uri", evil.url+"/oauth/callback") },
		"another path":    func(v url.Values) { v.Set("redirect_uri", program.URL+"/other") },
		"a program":       func(v url.Values) { v.Set("client_id", "nobody") },
		"plain":           func(v url.Values) { v.Set("code_challenge_method", "plain") },
		"no challenge":    func(v url.Values) { v.Del("code_challenge") },
		"an address more": func(v url.Values) { v.Add("redirect_uri", evil.url) },
		"script":          func(v url.Values) { v.Set("redirect_uri", "javascript:alert(1)") },
	} {
		bad, err := url.ParseQuery(asks.Encode())
		if err != nil {
			t.Fatal(err)
		}
		edit(bad)
		if b.open("/authorize?" + bad.Encode()).sees("This could not be done"); !strings.HasPrefix(b.at(), "/authorize?") {
			t.Errorf("%s: at %s", why, b.at())
		}
	}
	if len(b.dialogs) > 0 {
		t.Errorf("script says %q", b.dialogs)
	}
}
