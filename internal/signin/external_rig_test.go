package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/federation"
	"bawn.dev/internal/fetch"
	"bawn.dev/internal/oidc"
	"bawn.dev/internal/oidctest"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

const (
	bindingCookie = "__Host-bawn-flow"
	sessionCookie = "__Host-bawn"
)

// A frontier is what browsers and applications meet: the addresses of Web over TLS, with a
// portal that is as small as can be.
type frontier struct {
	*front
	web    *federation.Web
	origin string
	site   *httptest.Server
	idp    *provider
	other  *provider
}

func newFrontier(t *testing.T) *frontier {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return newFrontierOver(t, st, dir)
}

func newFrontierOver(t *testing.T, st *store.Store, dir string) *frontier {
	t.Helper()
	g := &frontier{front: frontOver(t, st, dir)}
	g.idp, g.other = newProvider(t), newProvider(t)
	g.open()
	return g
}

// open puts the addresses over the service as it is now.
func (g *frontier) open() {
	t := g.t
	g.AllowService(t, Principal, servicePolicy)
	fetcher := fetch.New([]string{g.idp.host(), g.other.host()}, nil)
	g.signin.Issuers = oidc.New(fetcher, time.Now)
	g.signin.Federation = Federation{
		Begin: func(ctx context.Context, claim api.Claim, via string) (*api.Call, error) {
			return g.Door.Begin(ctx, claim, via)
		},
		Fetch: fetcher,
		Groups: func(sn *store.Snapshot, userID string) ([]Group, error) {
			ids, names, err := g.people.GroupsOf(sn, userID)
			var groups []Group
			for i := range ids {
				groups = append(groups, Group{ids[i], names[i]})
			}
			return groups, err
		},
	}
	g.web = &federation.Web{
		Metadata: SAMLMetadata,
		Door:     g.Door, Origins: func() []string { return []string{g.origin} }, Log: slog.New(slog.DiscardHandler),
		Session: func(r *http.Request) string { return cookieOf(r, sessionCookie) },
		Binding: func(w http.ResponseWriter, r *http.Request) string {
			if have := cookieOf(r, bindingCookie); have != "" {
				return have
			}
			made := rand.Text() + rand.Text()
			http.SetCookie(w, &http.Cookie{Name: bindingCookie, Value: made, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
			return made
		},
		SignIn: func(next string) string { return "/start/signin?" + url.Values{"next": {next}}.Encode() },
		Entered: func(w http.ResponseWriter, _ *http.Request, next string, out *shape.ContinueSignInOutput) {
			if out.Session != "" {
				http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: out.Session, Path: "/", Secure: true, HttpOnly: true})
			}
			w.Header().Set("X-Next", next)
			_ = json.NewEncoder(w).Encode(out)
		},
		SignedOut: func(w http.ResponseWriter) {
			http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, Secure: true})
		},
	}
	g.site = httptest.NewTLSServer(g.web)
	t.Cleanup(g.site.Close)
	g.origin = g.site.URL
	g.signin.Origins = func() []string { return []string{g.origin} }
}

func cookieOf(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// addProvider registers the OIDC provider.
func (g *frontier) addProvider(id string, idp *provider, edit func(*Provider)) {
	g.t.Helper()
	p := Provider{ID: id, Kind: KindOIDC, Issuer: idp.URL, ClientID: idp.client, Scopes: []string{"profile", "email"}, Match: "userName"}
	if edit != nil {
		edit(&p)
	}
	g.update(func(tx *store.Tx) error { return g.signin.AddProvider(tx, p, idp.secret, g.Now()) })
}

// A surfer is a browser at the frontier, with its cookies.
type surfer struct {
	g       *frontier
	cookies map[string]string
}

func (g *frontier) surfer() *surfer { return &surfer{g, map[string]string{}} }

// A page is what a surfer gets to see.
type page struct {
	status int
	header http.Header
	body   string
	out    shape.ContinueSignInOutput // where a sign-in went on
	next   string
}

func (s *surfer) do(method, address string, form url.Values) *page {
	s.g.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = s.g.origin + address
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		s.g.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range s.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	client := s.g.site.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		s.g.t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		if s.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(s.cookies, c.Name)
		}
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.g.t.Fatal(err)
	}
	p := &page{status: resp.StatusCode, header: resp.Header, body: string(raw), next: resp.Header.Get("X-Next")}
	_ = json.Unmarshal(raw, &p.out)
	return p
}

func (s *surfer) get(address string) *page { return s.do(http.MethodGet, address, nil) }

// leave begins a sign-in at a provider: the address to which the browser is sent.
func (s *surfer) leave(name, provider, next string) string {
	t := s.g.t
	t.Helper()
	if s.cookies[bindingCookie] == "" {
		s.cookies[bindingCookie] = rand.Text() + rand.Text()
	}
	s.g.Advance(time.Second) // nobody is that quick, and strangers are counted
	b := s.g.browser("127.0.0.1")
	b.binding = s.cookies[bindingCookie]
	out := b.begin(name)
	out = b.next(out.Flow, values{"Provider": provider})
	if len(out.Next) != 1 || out.Next[0] != redirect+provider {
		t.Fatalf("%+v", out)
	}
	in := values{"Flow": out.Flow, "Binding": b.binding, "Origin": s.g.origin}
	if next != "" {
		in["Next"] = next
	}
	left := b.call("BeginFederation", in)
	if left.Location == "" {
		t.Fatalf("%+v", left)
	}
	return left.Location
}

// A provider is an OpenID provider that can be made to lie.
type provider struct {
	*oidctest.Issuer
	t              *testing.T
	client, secret string
	namesItself    bool
	claims         map[string]any              // of whom it vouches for
	edit           func(claims map[string]any) // of the token
	sign           func(claims map[string]any) string
	info           map[string]any // of userinfo
	access         string
	codes          map[string]url.Values
	asked          int
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	issuer, err := oidctest.New()
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{
		Issuer: issuer, t: t, client: "bawn at " + rand.Text()[:4], secret: rand.Text() + "+/ %", codes: map[string]url.Values{}, namesItself: true,
		claims: map[string]any{"sub": "subject-of-ada", "preferred_username": "ada", "name": "Ada Lovelace", "amr": []string{"mfa"}},
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	p.URL = srv.URL
	return p
}

func (p *provider) host() string { return strings.TrimPrefix(p.URL, "http://") }

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "jwks_uri": p.URL + "/keys", "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"authorization_response_iss_parameter_supported": p.namesItself, "userinfo_endpoint": p.URL + "/userinfo",
		})
	case "/token":
		p.token(w, r)
	case "/userinfo":
		if p.info == nil || r.Header.Get("Authorization") != "Bearer "+p.access {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(p.info)
	default:
		p.Issuer.ServeHTTP(w, r)
	}
}

// consent is what the provider's page does: the address to which it sends the browser
// back.
func (p *provider) consent(address string) string {
	p.t.Helper()
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, p.URL+"/authorize?") {
		p.t.Fatalf("the browser is sent to %s", address)
	}
	q := u.Query()
	if q.Get("client_id") != p.client || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("response_type") != "code" {
		p.t.Fatalf("the request is %v", q)
	}
	code := rand.Text()
	p.codes[code] = q
	back := url.Values{"code": {code}, "state": {q.Get("state")}}
	if p.namesItself {
		back.Set("iss", p.URL)
	}
	return q.Get("redirect_uri") + "?" + back.Encode()
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.asked++
	user, password, _ := r.BasicAuth()
	user, _ = url.QueryUnescape(user)
	password, _ = url.QueryUnescape(password)
	asked := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if asked == nil || user != p.client || password != p.secret || r.FormValue("redirect_uri") != asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	claims := p.Claims(p.client, "", "")
	delete(claims, "email")
	for name, value := range p.claims {
		claims[name] = value
	}
	claims["nonce"] = asked.Get("nonce")
	if p.edit != nil {
		p.edit(claims)
	}
	raw, err := p.Sign(claims)
	if p.sign != nil {
		raw = p.sign(claims)
	}
	if err != nil {
		p.t.Error(err)
	}
	p.access = rand.Text()
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": p.access, "token_type": "Bearer", "id_token": raw})
}
