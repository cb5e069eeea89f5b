package browser

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/crewjam/saml/samlidp"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// admin is an administration command.
func admin(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append(args, "--data", data)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("bawn %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// forgotten removes a provider when the test ends: the pages of others do not have it.
func forgotten(t *testing.T, provider string) {
	t.Cleanup(func() {
		if out, err := exec.Command(binary, "provider", "remove", provider, "--data", data).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// zitadel serves an OpenID provider that others wrote. Its user is test-user2, whose
// password is verysecure.
func zitadel(l net.Listener, issuer string) *httptest.Server {
	storage.RegisterClients(storage.WebClient("bawn", "a secret", site+"/oauth2/callback/zitadel"))
	srv := &httptest.Server{Listener: l, Config: &http.Server{
		Handler: exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), slog.New(slog.DiscardHandler), false),
	}}
	srv.Start()
	return srv
}

// crewjam is a SAML provider that others wrote, on another site than the server's. Its
// user is katherine, whose password is verysecure.
func crewjam(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	here := url.URL{Scheme: "http", Host: srv.Listener.Addr().String()}
	srv.Config.Handler, err = samlidp.New(samlidp.Options{URL: here, Key: key, Certificate: certificate, Store: &samlidp.MemoryStore{}, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(srv.Close)
	sent(t, http.MethodPut, srv.URL+"/users/katherine", `{"name":"katherine","password":"verysecure","email":"katherine@example.org","common_name":"Katherine Johnson"}`)
	return srv.URL
}

// sent is what a server answers.
func sent(t *testing.T, method, address, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := trusting.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s: %s %v", address, resp.Status, err)
	}
	return string(raw)
}

// elsewhere goes to a provider from the first page of signing in, where nobody knows
// the name.
func (b *tab) elsewhere(provider string) *tab {
	b.t.Helper()
	return b.sees("Sign in").fill("username", "somebody").press("Continue").press("Sign in with " + provider)
}

// A person signs in at her OpenID provider: she comes back, registers a device here, and
// the next time is asked for it.
func TestOpenIDProvider(t *testing.T) {
	admin(t, "a secret", "provider", "add-oidc", "zitadel", "--issuer", issuer, "--client-id", "bawn", "--secret-file", "-", "--create", "--match", "none")
	forgotten(t, "zitadel")
	b := newTab(t)
	b.open("/start/security").elsewhere("zitadel").fill("username", "test-user2").fill("password", "verysecure").press("Login")
	codes := b.registers()
	b.press("I have kept them").sees("Security")
	b.press("Sign out").sees("You are signed out")
	b.open("/start/sessions").elsewhere("zitadel").fill("username", "test-user2").fill("password", "verysecure").press("Login").sees("Confirm that it is you")
	b.do(chromedp.Click("summary", chromedp.ByQuery)).fill("recovery", codes[0]).press("Use the code").sees("Sessions").says("this one")
	b.obeyed()
}

// The same at a SAML provider, whose page posts the answer from another site: the
// browser keeps back its cookies from that, and shows them to what follows.
func TestSAMLProvider(t *testing.T) {
	idp := crewjam(t)
	admin(t, sent(t, http.MethodGet, idp+"/metadata", ""), "provider", "add-saml", "works", "-", "--create", "--match", "none",
		"--attribute", "userName=urn:oid:0.9.2342.19200300.100.1.1")
	forgotten(t, "works")
	sent(t, http.MethodPut, idp+"/services/bawn", sent(t, http.MethodGet, site+"/saml/metadata/works", ""))
	b := newTab(t)
	b.open("/start/security").elsewhere("works").atCrewjam().registers()
	b.press("I have kept them").sees("Security")
	b.obeyed()

	// Whoever sends her where he was sent, to be signed in as her, is not.
	thief, other := newTab(t), newTab(t)
	thief.open("/start").elsewhere("works").do(chromedp.WaitVisible(`[name="user"]`, chromedp.ByQuery))
	other.do(chromedp.Navigate(thief.at())).atCrewjam().do(chromedp.WaitVisible(`//*[contains(text(), "This sign-in is over")]`))
	thief.open("/start").sees("Sign in")
	for _, b := range []*tab{thief, other} {
		if c := b.cookies()["__Host-bawn"]; c != nil {
			t.Errorf("a sign-in of one browser goes on in another: %+v", c)
		}
	}
}

// atCrewjam signs in there.
func (b *tab) atCrewjam() *tab {
	b.t.Helper()
	return b.do(chromedp.SendKeys(`[name="user"]`, "katherine", chromedp.ByQuery), chromedp.SendKeys(`[name="password"]`, "verysecure", chromedp.ByQuery),
		chromedp.Submit(`[name="password"]`, chromedp.ByQuery))
}

// obeyed fails the test if a page broke a policy. Pages of others may lack what they
// want.
func (b *tab) obeyed() {
	b.t.Helper()
	for _, said := range b.said {
		if strings.Contains(said, "Policy") {
			b.t.Errorf("the browser says %q", said)
		}
	}
}

// registers is a first device, after a provider vouched for her.
func (b *tab) registers() (codes []string) {
	b.t.Helper()
	var seed string
	b.sees("Register a device").do(chromedp.Text("#totpkey", &seed, chromedp.ByQuery))
	b.fill("code", code(b.t, strings.ReplaceAll(seed, " ", ""))).press("Register the application").sees("Keep your recovery codes")
	return b.recovery()
}
