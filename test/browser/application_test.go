package browser

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// An application has an address of its own, on another site than the server's. Like
// many it leads people on from where they came back, to yet another.
type application struct {
	url string
	got chan url.Values
}

func newApplication(t *testing.T) *application {
	t.Helper()
	app := &application{got: make(chan url.Values, 1)}
	inside := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<link rel="icon" href="data:,"><h1>in the application</h1>`)
	}))
	t.Cleanup(inside.Close)
	door := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			app.got <- r.URL.Query()
			http.Redirect(w, r, inside.URL, http.StatusSeeOther)
		}
	}))
	t.Cleanup(door.Close)
	app.url = door.URL
	return app
}

const verifier = "verifierverifierverifierverifierverifierverifier"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// signsIn signs a person in who was led to it, by a recovery code.
func (b *tab) signsIn(name, recovery string) *tab {
	b.t.Helper()
	b.sees("Sign in").fill("username", name).press("Continue")
	b.fill("password", goodPassword).press("Sign in").sees("Confirm that it is you")
	return b.do(chromedp.Click("summary", chromedp.ByQuery)).fill("recovery", recovery).press("Use the code")
}

// An application of the identity centre has an https address. A person who is not
// signed in is sent from it, signs in, consents, and is back; the application has her by
// the code. She may refuse.
func TestCentreApplicationIsAuthorized(t *testing.T) {
	once := person(t, "sofya", "Sofya Kovalevskaya")
	b := newTab(t)
	b.join("sofya", once)
	codes := b.recovery()
	b.press("I have kept them").sees("Accounts").press("Sign out").sees("You are signed out")
	app := newApplication(t)
	back := app.url + "/back?from=bawn"
	arn := python(t, nil, `
sso, ids = client("sso-admin"), client("identitystore")
one = sso.list_instances()["Instances"][0]
user = ids.get_user_id(IdentityStoreId=one["IdentityStoreId"], AlternateIdentifier={"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": "sofya"}})["UserId"]
app = sso.create_application(InstanceArn=one["InstanceArn"], Name="the hall", ApplicationProviderArn="arn:aws:sso::aws:applicationProvider/custom")["ApplicationArn"]
sso.put_application_grant(ApplicationArn=app, GrantType="authorization_code", Grant={"AuthorizationCode": {"RedirectUris": [sys.argv[1]]}})
sso.put_application_authentication_method(ApplicationArn=app, AuthenticationMethodType="IAM", AuthenticationMethod={"Iam": {"ActorPolicy": {
    "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": client("sts").get_caller_identity()["Arn"]},
    "Action": "sso-oauth:CreateTokenWithIAM", "Resource": "*"}]}}})
sso.create_application_assignment(ApplicationArn=app, PrincipalId=user, PrincipalType="USER")
print(app)
`, back)
	asks := url.Values{
		"response_type": {"code"}, "client_id": {arn}, "redirect_uri": {back}, "state": {"state of the hall"},
		"code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}
	b.open("/authorize?"+asks.Encode()).signsIn("sofya", codes[0]).sees("Sign in to a program").says(strings.TrimPrefix(app.url, "https://"))
	b.press("Refuse").sees("in the application")
	if q := <-app.got; q.Get("error") != "access_denied" || q.Get("code") != "" || q.Get("from") != "bawn" {
		t.Errorf("the application heard %v", q)
	}
	b.open("/authorize?" + asks.Encode()).press("Approve").sees("in the application")
	q := <-app.got
	if q.Get("state") != "state of the hall" || q.Get("code") == "" {
		t.Fatalf("the application heard %v", q)
	}
	python(t, nil, `
out = client("sso-oidc").create_token_with_iam(clientId=sys.argv[1], grantType="authorization_code", code=sys.argv[2], codeVerifier=sys.argv[3], redirectUri=sys.argv[4])
assert out["idToken"] and out["accessToken"], out
`, arn, q.Get("code"), verifier, back)
	for why, to := range map[string]string{
		"another path": app.url + "/elsewhere?from=bawn", "another query": app.url + "/back?from=evil", "another host": evil.url + "/back?from=bawn", "script": "javascript:alert(1)//",
	} {
		asks.Set("redirect_uri", to)
		if b.open("/authorize?" + asks.Encode()).sees("This could not be done"); !strings.HasPrefix(b.at(), "/authorize?") {
			t.Errorf("%s: at %s", why, b.at())
		}
	}
	if len(b.dialogs) > 0 {
		t.Errorf("script says %q", b.dialogs)
	}
}

// Bawn as an OpenID provider: an application sends a person here who is not signed in,
// she signs in, and is back with a code; the next time she is back at once.
func TestApplicationSignsIn(t *testing.T) {
	once := person(t, "maria", "Maria Mitchell")
	app := newApplication(t)
	_, rest, _ := strings.Cut(admin(t, "", "provider", "add-client", "notebooks", "--redirect-uri", app.url+"/back"), "secret  ")
	secret, _, _ := strings.Cut(rest, "\n")
	asks := "/oidc/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"notebooks"}, "redirect_uri": {app.url + "/back"}, "state": {"a state"}, "nonce": {"a nonce"},
		"scope": {"openid profile"}, "code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}.Encode()
	b := newTab(t)
	// From a first sign-in.
	b.open(asks).sees("Sign in").fill("username", "maria").press("Continue").fill("password", once).press("Sign in")
	b.fill("newpassword", goodPassword).fill("repeated", goodPassword).press("Go on")
	codes := b.registers()
	b.press("I have kept them").sees("in the application")
	first := <-app.got
	// Signed in.
	b.open(asks).sees("in the application")
	second := <-app.got
	// From a later sign-in.
	b.open("/start").press("Sign out").sees("You are signed out")
	b.open(asks).signsIn("maria", codes[0]).sees("in the application")
	third := <-app.got
	for when, q := range map[string]url.Values{"first": first, "signed in": second, "later": third} {
		if q.Get("code") == "" || q.Get("state") != "a state" || q.Get("iss") != site+"/oidc" {
			t.Errorf("%s: the application heard %v", when, q)
		}
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {third.Get("code")}, "redirect_uri": {app.url + "/back"}, "code_verifier": {verifier},
		"client_id": {"notebooks"}, "client_secret": {secret},
	}
	resp, err := trusting.PostForm(site+"/oidc/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if raw, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(raw), "id_token") {
		t.Errorf("the application gets %s %s %v", resp.Status, raw, err)
	}
	// Nobody is led out of here by who is not registered.
	evilAsks := strings.Replace(asks, url.QueryEscape(app.url), url.QueryEscape(evil.url), 1)
	if b.open(evilAsks); !strings.HasPrefix(b.at(), "/oidc/authorize?") {
		t.Errorf("at %s", b.at())
	}
	b.obeyed()
}
