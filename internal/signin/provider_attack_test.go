package signin

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Where a browser may be sent: to what was registered, letter by letter, and nowhere
// else.
func TestRedirectsOfApplications(t *testing.T) {
	g := newFrontier(t)
	ada := g.browser("127.0.0.1").join("ada")
	r := g.application(nil)
	s := g.surfer().enter(ada)
	for _, to := range []string{
		"https://evil.example/", r.redirect + "/", r.redirect + "/../x", r.redirect + "?a=b", r.redirect + "#x", strings.TrimSuffix(r.redirect, "h"),
		"https://grafana.example.org.evil.example/login/generic_oauth", "https://grafana.example.org@evil.example/login/generic_oauth",
		"https://evil.example/?" + r.redirect, "http://grafana.example.org/login/generic_oauth", "HTTPS://GRAFANA.EXAMPLE.ORG/login/generic_oauth",
		"javascript:alert(1)", "//grafana.example.org/login/generic_oauth", r.redirect + "%00", " " + r.redirect, "",
	} {
		for _, who := range []*surfer{s, g.surfer()} {
			g.Advance(time.Second)
			o := r.outing()
			o.query.Set("redirect_uri", to)
			if p := who.authorize(o); p.status != 400 || p.header.Get("Location") != "" {
				t.Errorf("%q: %d %v", to, p.status, p.header)
			}
		}
	}
	o := r.outing()
	o.query.Set("client_id", "nobody")
	if p := s.authorize(o); p.status != 400 || p.header.Get("Location") != "" {
		t.Errorf("an unknown application: %d %v", p.status, p.header)
	}
	o = r.outing()
	if p := s.get("/oidc/authorize?" + o.query.Encode() + "&redirect_uri=https%3A%2F%2Fevil.example"); p.status != 400 {
		t.Errorf("two redirect URIs: %d %v", p.status, p.header)
	}
	for _, bad := range []string{"http://grafana.example.org/x", "javascript:alert(1)", "https://a.example/#x", "https://user@a.example/", "grafana", "//a.example/"} {
		a := Application{ID: "bad", RedirectURIs: []string{bad}, Algorithm: "RS256"}
		if a.check() == nil {
			t.Errorf("%q can be registered", bad)
		}
	}
}

// What a request may not ask for. The application hears of it.
func TestRequestsOfApplications(t *testing.T) {
	g := newFrontier(t)
	ada := g.browser("127.0.0.1").join("ada")
	r := g.application(nil)
	s := g.surfer().enter(ada)
	for why, x := range map[string]struct{ name, value, want string }{
		"implicit":               {"response_type", "id_token token", "unsupported_response_type"},
		"no type":                {"response_type", "", "unsupported_response_type"},
		"no openid":              {"scope", "profile", "invalid_scope"},
		"no challenge":           {"code_challenge", "", "invalid_request"},
		"a plain challenge":      {"code_challenge_method", "plain", "invalid_request"},
		"a challenge of no hash": {"code_challenge", "short", "invalid_request"},
		"none and something":     {"prompt", "none login", "invalid_request"},
		"a negative age":         {"max_age", "-1", "invalid_request"},
	} {
		o := r.outing()
		o.query.Set(x.name, x.value)
		if x.value == "" {
			o.query.Del(x.name)
		}
		if q := r.sent(s.authorize(o)); q.Get("error") != x.want || q.Get("code") != "" || q.Get("state") != o.state {
			t.Errorf("%s: %v", why, q)
		}
	}
	for _, name := range []string{"request", "request_uri", "response_mode"} {
		o := r.outing()
		o.query.Set(name, "fragment")
		if p := s.authorize(o); p.status != 400 {
			t.Errorf("%s: %d %v", name, p.status, p.header)
		}
	}
	// One that cannot make a challenge was registered as such, and must send a nonce.
	old := g.application(func(a *Application) { a.ID, a.WithoutPKCE = "mlflow", true })
	o := old.outing()
	o.query.Del("code_challenge")
	o.query.Del("code_challenge_method")
	code := old.code(s, o)
	if out := old.redeem(code, o); out.Error != "invalid_grant" {
		t.Errorf("a verifier of no challenge: %+v", out)
	}
	if out := old.token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {old.redirect}}); out.status != 200 {
		t.Errorf("%+v", out)
	}
	o.query.Del("nonce")
	if q := old.sent(s.authorize(o)); q.Get("error") != "invalid_request" {
		t.Errorf("neither challenge nor nonce: %v", q)
	}
	// One that can is not spared for leaving out the verifier.
	o = old.outing()
	if out := old.token(url.Values{"grant_type": {"authorization_code"}, "code": {old.code(s, o)}, "redirect_uri": {old.redirect}}); out.Error != "invalid_grant" {
		t.Errorf("a challenge without its verifier: %+v", out)
	}
}

// What may not be made of a code.
func TestCodesOfApplications(t *testing.T) {
	g := newFrontier(t)
	ada := g.browser("127.0.0.1").join("ada")
	r := g.application(func(a *Application) { a.RedirectURIs = append(a.RedirectURIs, "https://grafana.example.org/other") })
	other := g.application(func(a *Application) { a.ID = "mlflow" })
	s := g.surfer().enter(ada)
	o := r.outing()
	code := r.code(s, o)
	for why, form := range map[string]url.Values{
		"another verifier":    {"code_verifier": {rand.Text() + rand.Text()}},
		"no verifier":         {"code_verifier": {""}},
		"another redirect":    {"redirect_uri": {"https://grafana.example.org/other"}},
		"another application": {"client_id": {other.id}, "client_secret": {other.secret}},
		"another code":        {"code": {code[:len(code)-4] + "AAAA"}},
		"a token as code":     {"code": {ada.session}},
	} {
		all := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.redirect}, "code_verifier": {o.verifier}}
		for name, value := range form {
			all[name] = value
		}
		if out := r.token(all); out.status != 400 || out.Error != "invalid_grant" {
			t.Errorf("%s: %+v", why, out)
		}
	}
	for why, form := range map[string]url.Values{
		"a wrong secret": {"client_secret": {other.secret}}, "an unknown application": {"client_id": {"nobody"}},
	} {
		all := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.redirect}, "code_verifier": {o.verifier}}
		for name, value := range form {
			all[name] = value
		}
		if out := r.token(all); out.status != 401 || out.Error != "invalid_client" {
			t.Errorf("%s: %+v", why, out)
		}
	}
	if out := r.token(url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {goodPassword}}); out.Error != "unsupported_grant_type" {
		t.Errorf("a password: %+v", out)
	}
	out := r.redeem(code, o)
	if out.status != 200 {
		t.Fatalf("%+v", out)
	}
	// Twice means that two have it: what the first got ends too.
	if again := r.redeem(code, o); again.Error != "invalid_grant" {
		t.Errorf("a code twice: %+v", again)
	}
	if status, _ := g.userinfo(out.Access); status != 401 {
		t.Errorf("a token of a code that came twice: %d", status)
	}
	if again := r.renew(out.Refresh); again.Error != "invalid_grant" {
		t.Errorf("a token of a code that came twice: %+v", again)
	}
	o = r.outing()
	code = r.code(s, o)
	g.Advance(codeLife + time.Second)
	if out := r.redeem(code, o); out.Error != "invalid_grant" {
		t.Errorf("a code that is old: %+v", out)
	}
}

// What may not be made of tokens.
func TestTokensOfApplications(t *testing.T) {
	g := newFrontier(t)
	ada := g.browser("127.0.0.1").join("ada")
	r := g.application(nil)
	other := g.application(func(a *Application) { a.ID = "mlflow" })
	s, o := g.surfer().enter(ada), r.outing()
	out := r.redeem(r.code(s, o), o)
	for why, token := range map[string]string{
		"an id token": out.ID, "a refresh token": out.Refresh, "a session": ada.session, "nothing": "", "half": out.Access[:len(out.Access)/2],
	} {
		if status, _ := g.userinfo(token); status != 401 {
			t.Errorf("%s as access token: %d", why, status)
		}
	}
	if again := other.renew(out.Refresh); again.Error != "invalid_grant" {
		t.Errorf("another application's refresh token: %+v", again)
	}
	if again := r.renew(out.Access); again.Error != "invalid_grant" {
		t.Errorf("an access token as refresh token: %+v", again)
	}
	if p := g.surfer().do(http.MethodPost, "/oidc/revoke", url.Values{"client_id": {other.id}, "client_secret": {other.secret}, "token": {out.Access}}); p.status != 200 {
		t.Errorf("%d", p.status)
	}
	if status, _ := g.userinfo(out.Access); status != 200 {
		t.Errorf("another application ended it: %d", status)
	}
	if more := r.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {out.Refresh}, "scope": {"openid admin"}}); more.Error != "invalid_scope" {
		t.Errorf("more than was granted: %+v", more)
	}
	again := r.renew(out.Refresh)
	if twice := r.renew(out.Refresh); twice.Error != "invalid_grant" {
		t.Errorf("a refresh token twice: %+v", twice)
	}
	if last := r.renew(again.Refresh); last.Error != "invalid_grant" {
		t.Errorf("the family of a refresh token that came twice: %+v", last)
	}
	if status, _ := g.userinfo(again.Access); status != 401 {
		t.Errorf("the family of a refresh token that came twice: %d", status)
	}
	b := g.browser("127.0.0.1")
	g.refusedWith(b.call("DescribeOwn", values{"Session": again.Access[:200]}), "UnauthorizedException", "an access token as a session")

	// Without the scope there is nothing that renews.
	o = r.outing()
	o.query.Set("scope", "openid")
	if out := r.redeem(r.code(s, o), o); out.Refresh != "" || out.status != 200 {
		t.Errorf("%+v", out)
	}
	// An id token that somebody else made ends no session.
	claims, err := json.Marshal(map[string]any{"iss": g.origin + "/oidc", "aud": "grafana", "sub": ada.id, "sid": b.call("DescribeOwn", values{"Session": ada.session}).UserId})
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(g.keySet().Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: g.keySet().Keys[0].KeyID}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	hs256, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims) + "."
	for _, hint := range []string{hs256, none} {
		if p := s.get("/oidc/logout?" + url.Values{"id_token_hint": {hint}}.Encode()); p.status != 400 {
			t.Errorf("%d %v", p.status, p.header)
		}
	}
	// The application proves itself in one way.
	req, err := http.NewRequest(http.MethodPost, g.origin+"/oidc/token", strings.NewReader(url.Values{"client_id": {r.id}, "client_secret": {r.secret}, "grant_type": {"refresh_token"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(r.id, r.secret)
	resp, err := g.site.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("two proofs: %d", resp.StatusCode)
	}
}

// Whoever asks the operations themselves, past the addresses, gets no further.
func TestFederationOperations(t *testing.T) {
	g := newFrontier(t)
	ada := g.browser("127.0.0.1").join("ada")
	r := g.application(nil)
	b := g.browser("127.0.0.1")
	o := r.outing()
	in := values{"Issuer": "https://evil.example/oidc", "Session": ada.session, "ClientId": r.id, "RedirectUri": r.redirect, "ResponseType": "code", "Scope": "openid",
		"CodeChallenge": o.query.Get("code_challenge"), "CodeChallengeMethod": "S256"}
	g.refusedWith(b.call("AuthorizeApplication", in), "ValidationException", "another issuer")
	in["Issuer"] = g.origin + "/oidc"
	in["Session"] = rand.Text()
	if out := b.call("AuthorizeApplication", in); out.Status != 200 || out.RedirectTo != "" {
		t.Errorf("a session that is none: %+v", out)
	}
	g.refusedWith(b.call("FinishFederation", values{"State": rand.Text(), "Binding": b.binding}), "AccessDeniedException", "a state that is none")
	g.refusedWith(b.call("AcceptAssertion", values{"Provider": "corp", "Response": "AAAA"}), "AccessDeniedException", "a provider that is none")
}
