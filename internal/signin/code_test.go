package signin

import (
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
)

func TestAuthorizationCode(t *testing.T) {
	g := newGate(t)
	p := g.forCodes()
	_, ada := g.signIn(g.ada)

	asks := g.page("DescribeAuthorization", p.consent(ada, nil)).must(t)
	if asks.text("ClientName") != "aws-cli" || asks.text("DenyTo") != "http://127.0.0.1:43210/oauth/callback?error=access_denied&state=a+state" {
		t.Errorf("%v", asks.body)
	}
	code := p.code(ada)
	out := p.redeem(code, nil).must(t)
	g.alive("for a code", out.text("accessToken"), true)
	g.credentials(out.text("accessToken"), apitest.Other, "Auditor").must(t)
	p.refresh(out.text("refreshToken")).must(t)
	for _, secret := range []string{code, verifier, out.text("accessToken")} {
		apitest.NoPlaintext(t, g.Dir, secret)
	}

	// A code that is shown again ends what was given for it.
	p.redeem(code, values{"codeVerifier": verifier + "x"}).refused(t, "again, by who has no verifier", "InvalidGrantException")
	g.alive("after somebody without the verifier came", out.text("accessToken"), true)
	p.redeem(code, nil).refused(t, "again", "InvalidGrantException")
	g.alive("after its code was shown twice", out.text("accessToken"), false)
}

// Who intercepts a code has no use of it.
func TestCodesAreBound(t *testing.T) {
	g := newGate(t)
	p, other := g.forCodes(), g.forCodes()
	_, ada := g.signIn(g.ada)
	code := p.code(ada)
	other.redeem(code, nil).refused(t, "another client", "InvalidGrantException")
	for why, change := range map[string]values{
		"another verifier":          {"codeVerifier": strings.Repeat("b", 43)},
		"the challenge as verifier": {"codeVerifier": challengeOf(verifier)},
		"a short verifier":          {"codeVerifier": "short"},
		"another port":              {"redirectUri": "http://127.0.0.1:43211/oauth/callback"},
		"the registered redirect":   {"redirectUri": callback},
		"another path":              {"redirectUri": "http://127.0.0.1:43210/oauth"},
		"half of it":                {"code": code[:26]},
		"its digest":                {"code": digest(code)},
		"a code that was not made":  {"code": newSecret()},
		"in lower case":             {"code": strings.ToLower(code)},
	} {
		p.redeem(code, change).refused(t, why, "InvalidGrantException")
	}
	for _, missing := range []string{"codeVerifier", "redirectUri", "code"} {
		p.redeem(code, values{missing: ""}).refused(t, "without "+missing, "InvalidRequestException")
	}
	p.redeem(code, values{"deviceCode": "x"}).refused(t, "with a member of another grant", "InvalidRequestException")
	p.redeem(code, values{"scope": []string{accountScope}}).refused(t, "with a scope", "InvalidRequestException")
	p.redeem(code, nil).must(t)

	code = p.code(ada)
	g.Advance(codeLife)
	p.redeem(code, nil).refused(t, "too late", "InvalidGrantException")

	// A challenge without its method, or with "plain", or none, is no challenge.
	for why, change := range map[string]values{
		"plain":             {"CodeChallengeMethod": "plain"},
		"no method":         {"CodeChallengeMethod": nil},
		"no challenge":      {"CodeChallenge": nil},
		"a short challenge": {"CodeChallenge": "a"},
		"no state":          {"State": nil},
		"a token at once":   {"ResponseType": "token"},
	} {
		g.page("Authorize", p.consent(ada, change)).refused(t, why, "ValidationException")
	}
}

// The browser is sent where the program said when it registered, on this computer, and
// nowhere else.
func TestNoOpenRedirect(t *testing.T) {
	g := newGate(t)
	p := g.forCodes()
	_, ada := g.signIn(g.ada)
	for _, to := range []string{
		"https://evil.example/oauth/callback", "http://evil.example/oauth/callback", "https://127.0.0.1/oauth/callback", "http://localhost/oauth/callback",
		"http://127.0.0.1@evil.example/oauth/callback", "http://127.0.0.1:1@evil.example/oauth/callback", "http://127.0.0.1.evil.example/oauth/callback",
		"http://127.0.0.1/oauth/callback/..", "http://127.0.0.1/oauth/callback?x=y", "http://127.0.0.1/oauth/callback#x", "http://127.0.0.1\\@evil.example/oauth/callback",
		"http://127.0.0.1/other", "http://127.0.0.1", "http://[::1]/oauth/callback", "http://127.0.0.2/oauth/callback", "http://127.1/oauth/callback",
		"javascript:alert(1)", "//evil.example/oauth/callback", "http://127.0.0.1:99999999/oauth/callback", "http://127.0.0.1/oauth/callback\r\nX: y", "/oauth/callback",
		"HTTP://127.0.0.1/oauth/callback", "http://127.0.0.1/OAUTH/callback",
	} {
		for _, op := range []string{"Authorize", "DescribeAuthorization"} {
			r := g.page(op, p.consent(ada, values{"RedirectUri": to}))
			r.refused(t, op+" "+to, "ValidationException")
		}
	}
	device := g.register(nil)
	g.page("Authorize", device.consent(ada, nil)).refused(t, "a client without redirect", "ValidationException")
	g.page("Authorize", p.consent(ada, values{"ClientId": "x"})).refused(t, "no client", "ValidationException")
	g.page("Authorize", p.consent(ada, values{"Scopes": []string{accountScope, "admin"}})).refused(t, "more scopes than registered", "ValidationException")
	g.page("Authorize", p.consent("nobody-is-signed-in", nil)).refused(t, "nobody", "UnauthorizedException")
	device.redeem(p.code(ada), nil).refused(t, "a client of devices", "UnauthorizedClientException")
}

func TestClients(t *testing.T) {
	g := newGate(t)
	for why, c := range map[string]struct {
		change values
		code   string
	}{
		"confidential":                {values{"clientType": "confidential"}, "InvalidClientMetadataException"},
		"no name":                     {values{"clientName": ""}, "InvalidClientMetadataException"},
		"a name that rewrites itself": {values{"clientName": "aws-cli\u202egpj"}, "InvalidClientMetadataException"},
		"a name of two lines":         {values{"clientName": "aws\ncli"}, "InvalidClientMetadataException"},
		"a long name":                 {values{"clientName": strings.Repeat("a", 129)}, "InvalidClientMetadataException"},
		"another scope":               {values{"scopes": []string{"sso:admin"}}, "InvalidScopeException"},
		"another grant":               {values{"grantTypes": []string{"password"}}, "UnsupportedGrantTypeException"},
		"codes without redirect":      {values{"grantTypes": []string{codeGrant}}, "InvalidRequestException"},
		"redirect without codes":      {values{"redirectUris": []string{callback}}, "InvalidRequestException"},
		"redirect to elsewhere":       {values{"grantTypes": []string{codeGrant}, "redirectUris": []string{"https://evil.example/"}}, "InvalidRedirectUriException"},
		"many redirects":              {values{"grantTypes": []string{codeGrant}, "redirectUris": []string{callback + strings.Repeat("/a", 1024)}}, "InvalidClientMetadataException"},
		"another issuer":              {values{"issuerUrl": "https://evil.example/start"}, "InvalidRequestException"},
		"an application":              {values{"entitledApplicationArn": "arn:aws:sso::123456789012:application/a/b"}, "InvalidRequestException"},
	} {
		in := values{"clientName": "aws-cli", "clientType": "public"}
		for name, value := range c.change {
			in[name] = value
		}
		g.send("POST", "/client/register", nil, in).refused(t, why, c.code)
	}
	p := g.register(nil)
	for i := range p.id {
		if i%16 != 0 {
			continue
		}
		b := []byte(p.id)
		b[i] ^= 1
		r := g.send("POST", "/device_authorization", nil, values{"clientId": string(b), "clientSecret": p.secret, "startUrl": g.URL + "/start"})
		if r.refused(t, "a changed id", "InvalidClientException"); r.status != 401 || r.text("error") != "invalid_client" {
			t.Errorf("%d %v", r.status, r.body)
		}
	}
	// AWS's command line takes no start URL of ours, but this name.
	issuer := g.people
	sn, err := g.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	instance, directory, err := issuer.Instance(sn)
	if err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{"https://identitycenter.amazonaws.com/" + instance[strings.LastIndexByte(instance, '/')+1:],
		"https://" + directory[strings.LastIndexByte(directory, '/')+1:] + ".awsapps.com/start#/", g.URL + "/start", g.URL + "/start/?x=y"} {
		g.send("POST", "/device_authorization", nil, values{"clientId": p.id, "clientSecret": p.secret, "startUrl": start}).must(t)
	}
	legacy := g.send("POST", "/client/register", nil, values{"clientName": "botocore", "clientType": "public"}).must(t)
	_, ada := g.signIn(g.ada)
	out := (&program{g, legacy.text("clientId"), legacy.text("clientSecret")}).login(ada)
	if out.text("refreshToken") != "" {
		t.Error("a client that asked for no scope refreshes")
	}
	g.alive("of a client without scopes", out.text("accessToken"), true)
	g.Advance(accessLife + time.Second)
	g.alive("after an hour", out.text("accessToken"), false)

	g.Advance(clientLife)
	g.send("POST", "/device_authorization", nil, values{"clientId": p.id, "clientSecret": p.secret, "startUrl": g.URL + "/start"}).refused(t, "an old client", "InvalidClientException")
}
