package signin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bawn.dev/internal/store"
)

// What a provider, or whoever stands in for its token endpoint, may not make of a
// token.
func TestTokensOfProviders(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, nil)
	g.person("ada")
	for why, edit := range map[string]func(map[string]any){
		"another nonce":          func(c map[string]any) { c["nonce"] = rand.Text() },
		"no nonce":               func(c map[string]any) { delete(c, "nonce") },
		"a nonce that is a list": func(c map[string]any) { c["nonce"] = []any{c["nonce"]} },
		"another audience":       func(c map[string]any) { c["aud"] = "grafana" },
		"our issuer as audience": func(c map[string]any) { c["aud"] = c["iss"] },
		"two audiences":          func(c map[string]any) { c["aud"] = []string{g.idp.client, "grafana"} },
		"another party":          func(c map[string]any) { c["azp"] = "grafana" },
		"a party that is no text": func(c map[string]any) {
			c["azp"] = []string{g.idp.client}
		},
		"another issuer":                  func(c map[string]any) { c["iss"] = g.other.URL },
		"almost the issuer":               func(c map[string]any) { c["iss"] = g.idp.URL + "/" },
		"expired":                         func(c map[string]any) { c["exp"] = time.Now().Add(-5 * time.Minute).Unix() },
		"no end":                          func(c map[string]any) { delete(c, "exp") },
		"no beginning":                    func(c map[string]any) { delete(c, "iat") },
		"of the future":                   func(c map[string]any) { c["iat"] = time.Now().Add(5 * time.Minute).Unix() },
		"not yet":                         func(c map[string]any) { c["nbf"] = time.Now().Add(5 * time.Minute).Unix() },
		"nobody":                          func(c map[string]any) { delete(c, "sub") },
		"a subject of control characters": func(c map[string]any) { c["sub"] = "a\x00da" },
	} {
		g.idp.edit = edit
		g.out(g.surfer().via("corp", g.idp, ""), why)
	}
	g.idp.edit = nil
	public, err := x509.MarshalPKIXPublicKey(g.idp.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any) func(map[string]any) string {
		return func(claims map[string]any) string {
			opts := &jose.SignerOptions{}
			for name, value := range header {
				opts.WithHeader(name, value)
			}
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			jws, err := signer.Sign(raw)
			if err != nil {
				t.Fatal(err)
			}
			out, err := jws.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	for why, sign := range map[string]func(map[string]any) string{
		"none": func(claims map[string]any) string {
			raw, _ := json.Marshal(claims)
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(raw) + "."
		},
		"the public key as a secret": signed(jose.HS256, text, map[jose.HeaderKey]any{"kid": g.idp.KeyID}),
		"the client secret":          signed(jose.HS256, []byte(g.idp.secret+g.idp.secret), nil),
		"a key of its own":           signed(jose.ES256, own, map[jose.HeaderKey]any{"kid": g.idp.KeyID}),
		"a key that it brings":       signed(jose.ES256, own, map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: own.Public(), KeyID: "x"}, "kid": "x"}),
		"a key that it points to":    signed(jose.ES256, own, map[jose.HeaderKey]any{"jku": g.other.URL + "/keys", "kid": g.other.KeyID}),
		"a key id that is a path":    signed(jose.ES256, own, map[jose.HeaderKey]any{"kid": "../../../../dev/null"}),
		"a key id that is a query":   signed(jose.ES256, own, map[jose.HeaderKey]any{"kid": "x' UNION SELECT '"}),
		"another provider's": func(claims map[string]any) string {
			raw, err := g.other.Sign(claims)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		},
		"nothing": func(map[string]any) string { return "" },
		"text":    func(map[string]any) string { return "a.b.c" },
	} {
		g.idp.sign = sign
		g.out(g.surfer().via("corp", g.idp, ""), why)
	}
	g.idp.sign = nil
	g.in(g.surfer().via("corp", g.idp, ""))
}

// What may not be made of the way back.
func TestWayBackFromProvider(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, nil)
	g.addProvider("partner", g.other, nil)
	g.person("ada")
	s := g.surfer()
	back := g.idp.consent(s.leave("", "corp", ""))

	g.out(s.get(with(back, "state", rand.Text()+rand.Text())), "another state")
	g.out(s.get(with(back, "state", "")), "no state")
	g.out(s.get(back+"&state=x"), "two states")
	g.out(s.get(with(back, "iss", g.other.URL)), "a mix-up, by the issuer's name")
	g.out(s.get(with(back, "iss", "")), "a mix-up, the issuer's name left out")
	g.out(s.get(strings.Replace(back, "/callback/corp", "/callback/partner", 1)), "a mix-up, by the address")
	g.out(s.get(with(with(back, "code", ""), "error", "access_denied")), "a refusal")
	g.out(s.get(with(back, "code", "")), "no code")
	if g.idp.asked != 0 || g.other.asked != 0 {
		t.Fatalf("a code was shown to a provider, %d and %d times", g.idp.asked, g.other.asked)
	}

	// Login CSRF: what one browser began does not end in another, with or without a
	// flow of its own.
	victim := g.surfer()
	g.out(victim.get(back), "an answer in a browser that began nothing")
	victim.leave("", "corp", "")
	g.out(victim.get(back), "an answer in a browser that began another sign-in")
	if g.idp.asked != 0 {
		t.Fatal("a code was shown to its provider by another browser")
	}

	p := s.get(back)
	g.in(p)
	g.out(s.get(back), "an answer twice")
	if g.idp.asked != 1 {
		t.Errorf("a code was shown %d times", g.idp.asked)
	}
	if s.cookies[sessionCookie] == "" || strings.Contains(back, p.out.Session) {
		t.Error("the session is not in the cookie, or in an address")
	}
	g.out(s.get("/saml/continue?state="+url.QueryEscape(rand.Text()+rand.Text())), "a state that is none")

	// A code that somebody else got is refused by the provider, for want of the verifier.
	thief, owner := g.surfer(), g.surfer()
	stolen, err := url.Parse(g.idp.consent(owner.leave("", "corp", "")))
	if err != nil {
		t.Fatal(err)
	}
	own := g.idp.consent(thief.leave("", "corp", ""))
	g.out(thief.get(with(own, "code", stolen.Query().Get("code"))), "an injected code")

	// Time.
	late := g.surfer()
	address := g.idp.consent(late.leave("", "corp", ""))
	g.Advance(flowLife + time.Second)
	g.out(late.get(address), "an answer that took too long")
}

// A provider that names itself nowhere, and one that is another.
func TestDiscoveryOfProviders(t *testing.T) {
	g := newFrontier(t)
	g.idp.namesItself = false
	g.addProvider("quiet", g.idp, nil)
	g.person("ada")
	g.in(g.surfer().via("quiet", g.idp, ""))

	g.addProvider("liar", g.other, nil)
	was := g.other.URL
	g.other.URL = g.idp.URL // its discovery document names another
	s := g.surfer()
	s.cookies[bindingCookie] = rand.Text() + rand.Text()
	b := g.browser("127.0.0.1")
	b.binding = s.cookies[bindingCookie]
	flow := b.next(b.begin("").Flow, values{"Provider": "liar"}).Flow
	g.refusedWith(b.call("BeginFederation", values{"Flow": flow, "Binding": b.binding, "Origin": g.origin}), "AccessDeniedException", "a document of another issuer")
	g.other.URL = was
	g.refusedWith(b.call("BeginFederation", values{"Flow": flow, "Binding": b.binding, "Origin": "https://evil.example"}), "ValidationException", "an address that is not ours")
	g.refusedWith(b.call("BeginFederation", values{"Flow": flow, "Binding": "another browser's binding", "Origin": g.origin}), "AccessDeniedException", "another browser")
	g.refusedWith(b.call("BeginFederation", values{"Flow": b.begin("").Flow, "Binding": b.binding, "Origin": g.origin}), "AccessDeniedException", "a flow that was sent nowhere")
	g.update(func(tx *store.Tx) error { return g.signin.RemoveProvider(tx, "liar") })
	g.refusedWith(b.call("BeginFederation", values{"Flow": flow, "Binding": b.binding, "Origin": g.origin}), "AccessDeniedException", "a provider that was removed")
}

// A page of ours that a browser is shown: its headers, its name, what it says.
func TestFrontierPages(t *testing.T) {
	g := newFrontier(t)
	s := g.surfer()
	p := s.get("/oauth2/callback/corp?error=%3Cscript%3Ealert(1)%3C%2Fscript%3E&state=" + rand.Text())
	if p.status < 400 || strings.Contains(p.body, "<script") || !strings.Contains(p.header.Get("Content-Security-Policy"), "default-src 'none'") ||
		p.header.Get("Cache-Control") != "no-store" || p.header.Get("Referrer-Policy") != "no-referrer" || p.header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%d %v %s", p.status, p.header, p.body)
	}
	g.signin.Origins = func() []string { return []string{"https://bawn.example.org"} }
	g.web.Origins = g.signin.Origins
	if p := s.get("/oidc/.well-known/openid-configuration"); p.status != 421 {
		t.Errorf("another name is answered %d %s", p.status, p.body)
	}
}
