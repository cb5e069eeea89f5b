package federation

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"golang.org/x/oauth2"
)

// zitadel is an OpenID provider that others wrote. Its users are test-user@localhost
// and test-user2, whose password is verysecure.
func zitadel(t *testing.T) (issuer, host string, serve func(redirect string)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	host = "localhost:" + port
	issuer = "http://" + host + "/"
	return issuer, host, func(redirect string) {
		storage.RegisterClients(storage.WebClient("bawn", "a secret of + and %", redirect))
		srv := &httptest.Server{Listener: l, Config: &http.Server{
			Handler: exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), slog.New(slog.DiscardHandler), false),
		}}
		srv.Start()
		t.Cleanup(srv.Close)
	}
}

// atZitadel signs somebody in there and comes back.
func (s *surfer) atZitadel(user string) *surfer {
	s.t.Helper()
	return s.submit("password", map[string]string{"username": user, "password": "verysecure"})
}

// A person signs in at her OpenID provider, and with that to an application.
func TestOpenIDThere(t *testing.T) {
	issuer, host, serve := zitadel(t)
	b := start(t, host)
	serve(b.site + "/oauth2/callback/zitadel")
	b.run("a secret of + and %", "provider", "add-oidc", "zitadel", "--issuer", issuer, "--client-id", "bawn", "--secret-file", "-", "--create", "--match", "none")
	s := b.surfer()
	s.away("zitadel", "/start").atZitadel("test-user2").sees(b.site+"/start", "Accounts")
	if records := b.run("", "audit", "--event", "FinishFederation"); !strings.Contains(records, "test-user2") {
		t.Errorf("the record does not say who came:\n%s", records)
	}

	rp := relyingParty(t, b)
	verifier := oauth2.GenerateVerifier()
	s.get(rp.AuthCodeURL("a state", oidc.Nonce("a nonce"), oauth2.S256ChallengeOption(verifier)))
	rp.check(t, s, verifier, "test-user2")
}

// An application sends a person who is not signed in; she signs in elsewhere and is led
// back to it.
func TestApplicationFirst(t *testing.T) {
	issuer, host, serve := zitadel(t)
	b := start(t, host)
	serve(b.site + "/oauth2/callback/zitadel")
	b.run("a secret of + and %", "provider", "add-oidc", "zitadel", "--issuer", issuer, "--client-id", "bawn", "--secret-file", "-", "--create")
	rp := relyingParty(t, b)
	verifier := oauth2.GenerateVerifier()
	s := b.surfer()
	s.get(rp.AuthCodeURL("a state", oidc.Nonce("a nonce"), oauth2.S256ChallengeOption(verifier)))
	s.sees(b.site+"/start/signin", "Sign in")
	s.away("zitadel", s.at.Query().Get("next")).atZitadel("test-user2").onward()
	rp.check(t, s, verifier, "test-user2")
}

// An application is one that uses Go's own libraries.
type application struct {
	*oauth2.Config
	ctx      context.Context
	verifier *oidc.IDTokenVerifier
	provider *oidc.Provider
	site     string
}

func relyingParty(t *testing.T, b *bawn) *application {
	t.Helper()
	landing := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(landing.Close)
	redirect := landing.URL + "/callback"
	out := b.run("", "provider", "add-client", "notebooks", "--redirect-uri", redirect)
	_, rest, _ := strings.Cut(out, "secret  ")
	secret, _, _ := strings.Cut(rest, "\n")
	ctx := oidc.ClientContext(context.Background(), b.client())
	provider, err := oidc.NewProvider(ctx, b.site+"/oidc")
	if err != nil {
		t.Fatal(err)
	}
	return &application{
		Config: &oauth2.Config{ClientID: "notebooks", ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: redirect,
			Scopes: []string{oidc.ScopeOpenID, "profile", "email", "groups", oidc.ScopeOfflineAccess}},
		ctx: ctx, verifier: provider.Verifier(&oidc.Config{ClientID: "notebooks"}), provider: provider, site: b.site,
	}
}

// check takes the code with which the browser came and looks at who she is.
func (a *application) check(t *testing.T, s *surfer, verifier, name string) {
	t.Helper()
	q := s.at.Query()
	if !strings.HasPrefix(s.at.String(), a.RedirectURL) || q.Get("state") != "a state" || q.Get("iss") != a.site+"/oidc" {
		t.Fatalf("the application gets %s", s.at)
	}
	if _, err := a.Exchange(a.ctx, q.Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier())); err == nil {
		t.Error("a code is good with another verifier")
	}
	token, err := a.Exchange(a.ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := a.verifier.Verify(a.ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Error(err)
	}
	var claims struct {
		Name string   `json:"preferred_username"`
		AMR  []string `json:"amr"`
	}
	if err := id.Claims(&claims); err != nil || id.Nonce != "a nonce" || claims.Name != name || len(claims.AMR) == 0 {
		t.Errorf("%v: %+v %+v", err, id, claims)
	}
	info, err := a.provider.UserInfo(a.ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != id.Subject {
		t.Errorf("%v: %+v", err, info)
	}
	renewed, err := a.TokenSource(a.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil || renewed.RefreshToken == token.RefreshToken {
		t.Fatalf("%v", err)
	}
	// Whoever has signed out is known to the application no more.
	s.get(a.site+"/oidc/logout?"+url.Values{"id_token_hint": {raw}}.Encode()).sees(a.site+"/oidc/logout", "You are signed out")
	if _, err := a.provider.UserInfo(a.ctx, oauth2.StaticTokenSource(renewed)); err == nil {
		t.Error("a token outlives the sign-in")
	}
	if _, err := a.TokenSource(a.ctx, &oauth2.Token{RefreshToken: renewed.RefreshToken}).Token(); err == nil {
		t.Error("a refresh token outlives the sign-in")
	}
}
