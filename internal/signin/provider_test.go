package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bawn.dev/internal/api/apitest"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestOpenIDProvider(t *testing.T) { storetest.Each(t, openIDProvider) }

func openIDProvider(t *testing.T, open func(testing.TB) *store.Store) {
	g := newFrontierOver(t, open(t), t.TempDir())
	ada := g.browser("127.0.0.1").join("ada")
	g.group(t, "analysts", ada.id)
	g.group(t, "others")
	r := g.application(nil)
	s := g.surfer().enter(ada)
	o := r.outing()
	out := r.redeem(r.code(s, o), o)
	if out.status != 200 || out.Refresh == "" || out.Expires < 3000 || out.Scope != "openid profile email groups offline_access" {
		t.Fatalf("%+v", out)
	}
	claims, err := g.verified(out.ID)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(out.Access))
	for name, want := range map[string]any{
		"iss": g.origin + "/oidc", "aud": "grafana", "sub": ada.id, "nonce": o.nonce, "preferred_username": "ada", "name": "ada Lovelace",
		"email": "ada@example.org", "email_verified": true, "groups": []any{"analysts"}, "amr": []any{"pwd", "otp", "mfa"},
		"at_hash": base64.RawURLEncoding.EncodeToString(hash[:16]),
	} {
		if diff := cmp.Diff(want, claims[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if at, _ := claims["auth_time"].(float64); at == 0 || at > float64(g.Now().Unix()) {
		t.Errorf("auth_time is %v", claims["auth_time"])
	}
	status, info := g.userinfo(out.Access)
	if want := map[string]any{"sub": ada.id, "preferred_username": "ada", "name": "ada Lovelace", "email": "ada@example.org", "email_verified": true,
		"groups": []any{"analysts"}}; status != 200 || !cmp.Equal(want, info) {
		t.Errorf("%d %s", status, cmp.Diff(want, info))
	}
	again := r.renew(out.Refresh)
	if again.status != 200 || again.Refresh == out.Refresh || again.Access == out.Access {
		t.Fatalf("%+v", again)
	}
	if fewer := r.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {again.Refresh}, "scope": {"openid"}}); fewer.status != 200 || fewer.Scope != "openid" {
		t.Errorf("%+v", fewer)
	} else if _, info := g.userinfo(fewer.Access); len(info) != 1 {
		t.Errorf("a token of less tells %v", info)
	}
	records := g.Records(t, apitest.Account, "CreateApplicationToken")
	if u := records[0].UserIdentity; u.Type != "IdentityCenterUser" || u.OnBehalfOf == nil || u.OnBehalfOf.UserID != ada.id {
		t.Errorf("the record says %+v", u)
	}
	for _, secret := range []string{r.secret, out.Access, out.Refresh, ada.session} {
		apitest.NoPlaintext(t, g.Dir, secret)
	}

	// After a restart all of it is there.
	g.restart()
	g.open()
	r.g = g
	if status, _ := g.userinfo(again.Access); status != 200 {
		t.Errorf("after a restart a token is answered %d", status)
	}
	if _, err := g.verified(out.ID); err != nil {
		t.Errorf("after a restart an id token: %v", err)
	}
}

// What is said of the provider is so.
func TestDiscoveryDocument(t *testing.T) {
	g := newFrontier(t)
	var doc map[string]any
	p := g.surfer().get("/oidc/.well-known/openid-configuration")
	if err := json.Unmarshal([]byte(p.body), &doc); err != nil {
		t.Fatalf("%v: %s", err, p.body)
	}
	for name, want := range map[string]any{
		"issuer": g.origin + issuerPath, "scopes_supported": openScopes, "id_token_signing_alg_values_supported": signingAlgorithms,
		"code_challenge_methods_supported": []string{"S256"}, "authorization_response_iss_parameter_supported": true,
	} {
		if fmt.Sprint(doc[name]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", name, doc[name], want)
		}
	}
}

// Who is not signed in is sent to do so, and comes back.
func TestSignInForApplication(t *testing.T) {
	g := newFrontier(t)
	ada := g.browser("127.0.0.1").join("ada")
	r := g.application(nil)
	s := g.surfer()
	o := r.outing()
	p := s.authorize(o)
	next, err := url.Parse(p.header.Get("Location"))
	if err != nil || p.status != 303 || next.Path != "/start/signin" || !strings.HasPrefix(next.Query().Get("next"), "/oidc/authorize?") {
		t.Fatalf("%d %v", p.status, p.header)
	}
	s.enter(ada)
	if q := r.sent(s.get(next.Query().Get("next"))); q.Get("code") == "" || q.Get("state") != o.state {
		t.Errorf("%v", q)
	}
	o.query.Set("prompt", "none")
	if q := r.sent(g.surfer().authorize(o)); q.Get("error") != "login_required" || q.Get("state") != o.state || q.Get("iss") == "" {
		t.Errorf("%v", q)
	}
	for name, value := range map[string]string{"prompt": "login", "max_age": "60"} {
		o := r.outing()
		o.query.Set(name, value)
		g.Advance(2 * time.Minute)
		if p := s.authorize(o); !strings.HasPrefix(p.header.Get("Location"), "/start/signin?") {
			t.Errorf("%s=%s: %d %v", name, value, p.status, p.header)
		}
	}
	o = r.outing()
	o.query.Set("max_age", "3600")
	if q := r.sent(s.authorize(o)); q.Get("code") == "" {
		t.Errorf("%v", q)
	}
}

func TestWhoMayUseAnApplication(t *testing.T) {
	g := newFrontier(t)
	b := g.browser("127.0.0.1")
	ada, eve := b.join("ada"), b.join("eve")
	analysts := g.group(t, "analysts", ada.id)
	r := g.application(func(a *Application) { a.Groups = []string{analysts} })
	if q := r.sent(g.surfer().enter(eve).authorize(r.outing())); q.Get("error") != "access_denied" || q.Get("code") != "" {
		t.Errorf("%v", q)
	}
	s, o := g.surfer().enter(ada), r.outing()
	out := r.redeem(r.code(s, o), o)
	waiting, o2 := r.code(s, o), o
	if status, _ := g.userinfo(out.Access); status != 200 {
		t.Fatal(status)
	}
	id := apitest.Must[directory.GetGroupMembershipIdOutput](t, g.admin, "identitystore:GetGroupMembershipId", &directory.GetGroupMembershipIdInput{
		IdentityStoreId: g.store, GroupId: analysts, MemberId: &directory.MemberId{UserId: ada.id}}).MembershipId
	apitest.Must[directory.DeleteGroupMembershipOutput](t, g.admin, "identitystore:DeleteGroupMembership", &directory.DeleteGroupMembershipInput{IdentityStoreId: g.store, MembershipId: id})
	if status, _ := g.userinfo(out.Access); status != 401 {
		t.Errorf("who left the group is known to the application: %d", status)
	}
	if out := r.renew(out.Refresh); out.Error != "invalid_grant" {
		t.Errorf("who left the group gets new tokens: %+v", out)
	}
	if out := r.redeem(waiting, o2); out.Error != "invalid_grant" {
		t.Errorf("who left the group gets tokens for a code: %+v", out)
	}
}

// What ends the tokens of an application.
func TestApplicationTokensEnd(t *testing.T) {
	g := newFrontier(t)
	b := g.browser("127.0.0.1")
	r := g.application(nil)
	for why, stop := range map[string]func(m *member, out tokens){
		"the session": func(m *member, _ tokens) { b.call("EndSession", values{"Session": m.session}) },
		"the person": func(m *member, _ tokens) {
			apitest.Must[directory.DeleteUserOutput](t, g.admin, "identitystore:DeleteUser", &directory.DeleteUserInput{IdentityStoreId: g.store, UserId: m.id})
		},
		"the access token given back": func(_ *member, out tokens) {
			g.surfer().do(http.MethodPost, "/oidc/revoke", url.Values{"client_id": {r.id}, "client_secret": {r.secret}, "token": {out.Access}})
		},
		"the refresh token given back": func(_ *member, out tokens) {
			g.surfer().do(http.MethodPost, "/oidc/revoke", url.Values{"client_id": {r.id}, "client_secret": {r.secret}, "token": {out.Refresh}})
		},
		"time": func(*member, tokens) { g.Advance(sessionLife) },
	} {
		m := b.join("user" + strings.ToLower(rand.Text()))
		o := r.outing()
		out := r.redeem(r.code(g.surfer().enter(m), o), o)
		stop(m, out)
		if status, _ := g.userinfo(out.Access); status != 401 {
			t.Errorf("after the end of %s: %d", why, status)
		}
		if again := r.renew(out.Refresh); again.Error != "invalid_grant" {
			t.Errorf("after the end of %s: %+v", why, again)
		}
	}
	m := b.join("last")
	o := r.outing()
	out := r.redeem(r.code(g.surfer().enter(m), o), o)
	g.update(func(tx *store.Tx) error { return g.signin.RemoveApplication(tx, r.id) })
	if status, _ := g.userinfo(out.Access); status != 401 {
		t.Errorf("after the end of the application: %d", status)
	}
	if again := r.renew(out.Refresh); again.status != 401 || again.Error != "invalid_client" {
		t.Errorf("after the end of the application: %+v", again)
	}
}

func TestSignOutFromApplication(t *testing.T) {
	g := newFrontier(t)
	b := g.browser("127.0.0.1")
	ada, eve := b.join("ada"), b.join("eve")
	r := g.application(nil)
	s, o := g.surfer().enter(ada), r.outing()
	out := r.redeem(r.code(s, o), o)

	there := func(m *member) bool { return b.call("DescribeOwn", values{"Session": m.session}).Status == 200 }
	// A link elsewhere signs nobody out.
	if p := s.get("/oidc/logout"); p.status != 303 || p.header.Get("Location") != "/start/sessions" || !there(ada) {
		t.Errorf("%d %v", p.status, p.header)
	}
	if p := g.surfer().enter(eve).get("/oidc/logout?" + url.Values{"id_token_hint": {out.ID}}.Encode()); !there(eve) || !there(ada) {
		t.Errorf("another's token signs out: %d", p.status)
	}
	for why, q := range map[string]url.Values{
		"an address that is not registered": {"id_token_hint": {out.ID}, "post_logout_redirect_uri": {"https://evil.example/"}},
		"an address without a token":        {"client_id": {"grafana"}, "post_logout_redirect_uri": {"https://grafana.example.org/bye"}},
		"a token of nobody":                 {"id_token_hint": {"a.b.c"}},
		"another application's token":       {"id_token_hint": {out.ID}, "client_id": {"mlflow"}},
	} {
		if p := s.get("/oidc/logout?" + q.Encode()); p.status != 400 || !there(ada) {
			t.Errorf("%s: %d %v", why, p.status, p.header)
		}
	}
	p := s.get("/oidc/logout?" + url.Values{"id_token_hint": {out.ID}, "post_logout_redirect_uri": {"https://grafana.example.org/bye"}, "state": {"x&y"}}.Encode())
	if p.status != 303 || p.header.Get("Location") != "https://grafana.example.org/bye?state=x%26y" || there(ada) || s.cookies[sessionCookie] != "" {
		t.Errorf("%d %v", p.status, p.header)
	}
}

// Keys change and nobody notices.
func TestSigningKeysRotate(t *testing.T) {
	g := newFrontier(t)
	b := g.browser("127.0.0.1")
	r := g.application(func(a *Application) { a.Algorithm = "RS256" })
	// token is one that a person gets now. All before her are long gone.
	n := 0
	token := func() string {
		t.Helper()
		n++
		m := b.join("user" + string(rune('a'+n)))
		o := r.outing()
		out := r.redeem(r.code(g.surfer().enter(m), o), o)
		if out.status != 200 {
			t.Fatalf("%+v", out)
		}
		return out.ID
	}
	check := func(raw, why string, good bool) {
		t.Helper()
		if _, err := g.verified(raw); (err == nil) != good {
			t.Errorf("%s: %v", why, err)
		}
	}
	ids := func() (all []string) {
		for _, k := range g.keySet().Keys {
			if !k.IsPublic() || k.Use != "sig" {
				t.Errorf("a key that is not public is published: %+v", k)
			}
			all = append(all, k.KeyID)
		}
		return all
	}
	first := token()
	before := ids()
	if len(before) != 2 {
		t.Fatalf("published are %v", before)
	}
	g.Advance(keyLife + time.Minute)
	second := token() // makes the next keys, and is signed by the old one
	if after := ids(); len(after) != 4 || !slices.Contains(after, before[0]) {
		t.Errorf("published are %v, before %v", after, before)
	}
	check(first, "a token from before", true)
	check(second, "a token of the day", true)
	g.Advance(keyLead + time.Minute)
	third := token()
	check(second, "a token of the key that was followed", true)
	check(third, "a token of the new key", true)
	if keyOf(third) == keyOf(second) {
		t.Error("the new key does not sign")
	}
	g.Advance(keyOverlap + time.Minute)
	check(third, "a token of the new key", true)
	check(second, "a token of a key that is gone", false)

	rotate := func(revoke bool) {
		t.Helper()
		sn, err := g.Store.Snapshot(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		change, err := g.signin.RotateKeys(sn, revoke, g.Now())
		if err != nil {
			t.Fatal(err)
		}
		g.update(change)
	}
	rotate(false)
	check(third, "a token from before a rotation", true)
	rotate(true)
	check(third, "a token of a key that was revoked", false)
	check(token(), "a token after that", true)
}

func keyOf(raw string) string { header, _, _ := strings.Cut(raw, "."); return header }
