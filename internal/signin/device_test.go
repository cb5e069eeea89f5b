package signin

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
)

// The device flow as programs and pages go through it, to credentials that name her.
func TestDeviceFlow(t *testing.T) {
	g := newGate(t)
	p := g.register(nil)
	d := p.device()
	code := d.text("userCode")
	if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(code) || len(d.text("deviceCode")) < 43 ||
		d.body["expiresIn"] != 600.0 || d.body["interval"] != 5.0 || d.text("verificationUri") != g.URL+"/device" ||
		d.text("verificationUriComplete") != g.URL+"/device?user_code="+code {
		t.Fatalf("%v", d.body)
	}
	pending := p.poll(d)
	pending.refused(t, "before anybody approved", "AuthorizationPendingException")
	if pending.status != http.StatusBadRequest || pending.text("error") != "authorization_pending" || pending.text("error_description") == "" {
		t.Errorf("%d %v", pending.status, pending.body)
	}
	p.poll(d).refused(t, "a second later", "SlowDownException")
	g.Advance(pollInterval)
	p.poll(d).refused(t, "after the interval", "AuthorizationPendingException")

	browser, secret := g.signIn(g.ada)
	shown := g.page("DescribeDevice", values{"Session": secret, "UserCode": strings.ToLower(strings.Replace(code, "-", " ", 1))}).must(t)
	if shown.text("ClientName") != "aws-cli" || shown.text("SourceAddress") != "127.0.0.1" || shown.text("UserAgent") != "a program" {
		t.Errorf("she is shown %v", shown.body)
	}
	g.page("ApproveDevice", values{"Session": secret, "UserCode": code}).must(t)
	out := p.poll(d).must(t)
	if out.text("tokenType") != "Bearer" || out.body["expiresIn"] != 3600.0 || out.text("refreshToken") == "" || out.text("accessToken") == "" {
		t.Fatalf("%v", out.body)
	}

	made := g.credentials(out.text("accessToken"), apitest.Account, "Scientist").must(t).body["roleCredentials"].(map[string]any)
	sn, err := g.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	_, claim, err := g.sts.Credential(t.Context(), sn, made["accessKeyId"].(string), made["sessionToken"].(string), g.Now())
	if err != nil {
		t.Fatal(err)
	}
	if claim.Person == nil || claim.Person.UserID != g.ada || claim.SessionName != "ada" || claim.Tags["team"] != "mars" || claim.Account != apitest.Account {
		t.Errorf("%+v %+v", claim, claim.Person)
	}
	if left := claim.Expires.Sub(g.Now()); left > 2*time.Hour || left < 2*time.Hour-time.Minute || int64(made["expiration"].(float64)) != claim.Expires.UnixMilli() {
		t.Errorf("they are good for %v", left)
	}

	// The device is a sign-in of its own in her list, from where it is.
	list, err := sessionsOf(sn, g.ada, g.Now())
	if err != nil || len(list) != 2 {
		t.Fatalf("%v %v", list, err)
	}
	for _, one := range list {
		if one.ID != browser.ID && (one.Agent != "aws-cli" || one.Source != "127.0.0.1" || one.Expires.After(browser.Expires) || one.ID != claim.Person.CredentialID) {
			t.Errorf("the device is listed as %+v", one)
		}
	}

	// Every act has its person.
	for name, n := range map[string]int{"CreateToken": 4, "ApproveDevice": 1, "GetRoleCredentials": 1, "StartDeviceAuthorization": 1, "RegisterClient": 1} {
		records := g.Records(t, apitest.Account, name)
		if len(records) != n {
			t.Fatalf("%d records of %s", len(records), name)
		}
		if r := records[0]; name != "StartDeviceAuthorization" && name != "RegisterClient" &&
			(r.UserIdentity.Type != "IdentityCenterUser" || r.UserIdentity.OnBehalfOf == nil || r.UserIdentity.OnBehalfOf.UserID != g.ada || r.UserIdentity.CredentialID == "") {
			t.Errorf("%s is recorded as of %+v", name, r.UserIdentity)
		}
	}
	for _, secret := range []string{secret, d.text("deviceCode"), code, strings.ReplaceAll(code, "-", ""), out.text("accessToken"), out.text("refreshToken"), p.secret,
		made["secretAccessKey"].(string), made["sessionToken"].(string)} {
		apitest.NoPlaintext(t, g.Dir, secret)
	}
}

func TestDeviceAttacks(t *testing.T) {
	g := newGate(t)
	p, other := g.register(nil), g.register(values{"clientName": "other"})
	_, ada := g.signIn(g.ada)
	eve := g.person("eve")
	_, hers := g.signIn(eve)

	d := p.device()
	approve := values{"Session": ada, "UserCode": d.text("userCode")}
	other.poll(d).refused(t, "another client's device code", "InvalidGrantException")
	(&program{g, p.id, other.secret}).poll(d).refused(t, "another client's secret", "InvalidClientException")
	p.token(values{"grantType": deviceGrant, "deviceCode": d.text("userCode")}).refused(t, "the user code as device code", "InvalidGrantException")
	g.page("ApproveDevice", values{"Session": p.secret, "UserCode": d.text("userCode")}).refused(t, "without a sign-in", "UnauthorizedException")
	g.page("ApproveDevice", approve).must(t)
	g.page("ApproveDevice", approve).refused(t, "approved twice", "ResourceNotFoundException")
	g.page("DenyDevice", values{"Session": hers, "UserCode": d.text("userCode")}).refused(t, "denied by another, afterwards", "ResourceNotFoundException")
	g.page("DescribeDevice", values{"Session": hers, "UserCode": d.text("userCode")}).refused(t, "looked at by another, afterwards", "ResourceNotFoundException")
	token := p.poll(d).must(t).text("accessToken")
	g.alive("a good one", token, true)
	other.poll(d).refused(t, "another client, afterwards", "InvalidGrantException")
	g.alive("after another client tried", token, true)
	p.poll(d).refused(t, "a second time", "InvalidGrantException")
	g.alive("after its device code was shown twice", token, false)
	if r := g.Records(t, apitest.Account, "AuthorizationReused"); len(r) != 1 || r[0].UserIdentity.OnBehalfOf.UserID != g.ada {
		t.Errorf("the misuse is recorded as %+v", r)
	}

	d = p.device()
	g.page("DenyDevice", values{"Session": ada, "UserCode": d.text("userCode")}).must(t)
	p.poll(d).refused(t, "denied", "AccessDeniedException")
	g.page("ApproveDevice", values{"Session": ada, "UserCode": d.text("userCode")}).refused(t, "approved after it was denied", "ResourceNotFoundException")

	d = p.device()
	g.Advance(deviceLife)
	g.page("ApproveDevice", values{"Session": ada, "UserCode": d.text("userCode")}).refused(t, "approved too late", "ResourceNotFoundException")
	p.poll(d).refused(t, "too late", "ExpiredTokenException")

	d = p.device()
	g.page("ApproveDevice", values{"Session": ada, "UserCode": d.text("userCode")}).must(t)
	g.page("EndSession", values{"Session": ada}).must(t)
	p.poll(d).refused(t, "who approved has signed out", "InvalidGrantException")

	for why, start := range map[string]string{"another portal": "https://evil.example/start", "a portal with a user": strings.Replace(g.URL, "://", "://x@", 1) + "/start", "nothing": "x", "another page": g.URL + "/stare"} {
		g.send(http.MethodPost, "/device_authorization", nil, values{"clientId": p.id, "clientSecret": p.secret, "startUrl": start}).refused(t, why, "InvalidRequestException")
	}
}

// Whoever types codes at random is held back; whoever has the right one is not.
func TestUserCodesAreNotGuessed(t *testing.T) {
	g := newGate(t)
	_, ada := g.signIn(g.ada)
	_, eve := g.signIn(g.person("eve"))
	d := g.register(nil).device()
	refused := ""
	g.hasty = true
	for range 2 * sourceBurst {
		if refused = g.page("DescribeDevice", values{"Session": eve, "UserCode": newUserCode()}).code; refused != "ResourceNotFoundException" {
			break
		}
	}
	if refused != "ThrottlingException" {
		t.Errorf("the last guess answers %s", refused)
	}
	g.page("DescribeDevice", values{"Session": eve, "UserCode": d.text("userCode")}).refused(t, "even the right one", "ThrottlingException")
	g.page("DescribeDevice", values{"Session": ada, "UserCode": d.text("userCode")}).must(t)
}

func TestUserCodesAreEven(t *testing.T) {
	seen := map[rune]int{}
	for range 4000 {
		for _, r := range newUserCode() {
			seen[r]++
		}
	}
	for _, r := range userLetters {
		if n := seen[r]; n < 1200 || n > 2000 { // of 1600; nine standard deviations
			t.Errorf("%c: %d", r, n)
		}
	}
	if len(seen) != len(userLetters) {
		t.Errorf("%d letters", len(seen))
	}
}
