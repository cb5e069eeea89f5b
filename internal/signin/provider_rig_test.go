package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"bawn.dev/internal/api/apitest"
	directory "bawn.dev/internal/shape/identitystore"
)

// A relying party is an application, as it speaks to Bawn.
type relying struct {
	g                    *frontier
	id, secret, redirect string
}

func (g *frontier) application(edit func(*Application)) *relying {
	g.t.Helper()
	a := Application{ID: "grafana", RedirectURIs: []string{"https://grafana.example.org/login/generic_oauth"}, SignedOut: []string{"https://grafana.example.org/bye"}, Algorithm: "ES256"}
	if edit != nil {
		edit(&a)
	}
	sn, err := g.Store.Snapshot(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	defer sn.Close()
	secret, change, err := g.signin.AddApplication(sn, a, g.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	g.update(change)
	return &relying{g, a.ID, secret, a.RedirectURIs[0]}
}

// An outing is one sign-in for an application, on its way.
type outing struct {
	verifier, state, nonce string
	query                  url.Values
}

func (r *relying) outing() *outing {
	o := &outing{verifier: rand.Text() + rand.Text(), state: rand.Text(), nonce: rand.Text()}
	sum := sha256.Sum256([]byte(o.verifier))
	o.query = url.Values{
		"client_id": {r.id}, "redirect_uri": {r.redirect}, "response_type": {"code"}, "scope": {"openid profile email groups offline_access"},
		"state": {o.state}, "nonce": {o.nonce}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	return o
}

func (s *surfer) authorize(o *outing) *page { return s.get("/oidc/authorize?" + o.query.Encode()) }

// sent is what an application is told by the browser.
func (r *relying) sent(p *page) url.Values {
	r.g.t.Helper()
	u, err := url.Parse(p.header.Get("Location"))
	if err != nil || p.status != http.StatusSeeOther || !strings.HasPrefix(u.String(), r.redirect+"?") {
		r.g.t.Fatalf("%d %v %s", p.status, p.header, p.body)
	}
	return u.Query()
}

// code is a whole sign-in's first half, of a browser that is signed in.
func (r *relying) code(s *surfer, o *outing) string {
	r.g.t.Helper()
	q := r.sent(s.authorize(o))
	if q.Get("code") == "" || q.Get("state") != o.state || q.Get("iss") != r.g.origin+"/oidc" {
		r.g.t.Fatalf("the application is told %v", q)
	}
	return q.Get("code")
}

type tokens struct {
	status  int
	Error   string `json:"error"`
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Expires int    `json:"expires_in"`
}

func (r *relying) token(form url.Values) tokens {
	r.g.t.Helper()
	all := url.Values{"client_id": {r.id}, "client_secret": {r.secret}}
	for name, value := range form {
		if all[name] = value; value[0] == "" {
			delete(all, name)
		}
	}
	p := r.g.surfer().do(http.MethodPost, "/oidc/token", all)
	out := tokens{status: p.status}
	if err := json.Unmarshal([]byte(p.body), &out); err != nil {
		r.g.t.Fatalf("%d %s", p.status, p.body)
	}
	return out
}

func (r *relying) redeem(code string, o *outing) tokens {
	r.g.t.Helper()
	return r.token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.redirect}, "code_verifier": {o.verifier}})
}

func (r *relying) renew(refresh string) tokens {
	r.g.t.Helper()
	return r.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
}

func (g *frontier) userinfo(access string) (int, map[string]any) {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodGet, g.origin+"/oidc/userinfo", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+access)
	resp, err := g.site.Client().Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	var claims map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&claims); err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, claims
}

// keySet is what is published.
func (g *frontier) keySet() jose.JSONWebKeySet {
	g.t.Helper()
	var set jose.JSONWebKeySet
	if p := g.surfer().get("/oidc/keys"); p.status != 200 || json.Unmarshal([]byte(p.body), &set) != nil {
		g.t.Fatalf("%d %s", p.status, p.body)
	}
	return set
}

// verified are the claims of an id token, by the keys that are published.
func (g *frontier) verified(raw string) (map[string]any, error) {
	set := g.keySet()
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	return claims, parsed.Claims(&set, &claims)
}

// enter gives a browser the session of somebody who has signed in.
func (s *surfer) enter(m *member) *surfer {
	s.cookies[sessionCookie] = m.session
	return s
}

func (g *frontier) group(t *testing.T, name string, people ...string) string {
	t.Helper()
	id := apitest.Must[directory.CreateGroupOutput](t, g.admin, "identitystore:CreateGroup", &directory.CreateGroupInput{IdentityStoreId: g.store, DisplayName: name}).GroupId
	for _, user := range people {
		apitest.Must[directory.CreateGroupMembershipOutput](t, g.admin, "identitystore:CreateGroupMembership", &directory.CreateGroupMembershipInput{
			IdentityStoreId: g.store, GroupId: id, MemberId: &directory.MemberId{UserId: user},
		})
	}
	return id
}
