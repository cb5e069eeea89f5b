package federation

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml/samlidp"
)

// samlProvider is a SAML provider that others wrote, with one user.
func samlProvider(t *testing.T) *httptest.Server {
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
	idp, err := samlidp.New(samlidp.Options{URL: here, Key: key, Certificate: certificate, Store: &samlidp.MemoryStore{}, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = idp
	srv.Start()
	t.Cleanup(srv.Close)
	put(t, srv.URL+"/users/grace", `{"name":"grace","password":"verysecure","email":"grace@example.org","common_name":"Grace Hopper","surname":"Hopper","given_name":"Grace"}`)
	return srv
}

func put(t *testing.T, address, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("%s: %s", address, resp.Status)
	}
}

func fetched(t *testing.T, c *http.Client, address string) string {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", address, resp.Status, err)
	}
	return string(raw)
}

func TestSAMLThere(t *testing.T) {
	idp := samlProvider(t)
	b := start(t)
	metadata := filepath.Join(t.TempDir(), "idp.xml")
	if err := os.WriteFile(metadata, []byte(fetched(t, idp.Client(), idp.URL+"/metadata")), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run("", "provider", "add-saml", "works", metadata, "--create", "--match", "none", "--attribute", "userName=urn:oid:0.9.2342.19200300.100.1.1")
	put(t, idp.URL+"/services/bawn", fetched(t, b.client(), b.site+"/saml/metadata/works"))

	s := b.surfer()
	s.away("works", "/start").submit("password", map[string]string{"user": "grace", "password": "verysecure"})
	posted := s.page // the provider's page, which the browser posts
	s.submit("SAMLResponse", nil).sees(b.site+"/start", "Accounts")
	if records := b.run("", "audit", "--event", "FinishFederation"); !strings.Contains(records, "grace") {
		t.Errorf("the record does not say who came:\n%s", records)
	}

	// The same answer again, in her browser and in another.
	for _, again := range []*surfer{s, b.surfer()} {
		again.page, again.at = posted, s.at
		if again.submit("SAMLResponse", nil); strings.Contains(again.page, "Accounts") || !strings.Contains(again.page, "This sign-in is over") {
			t.Errorf("an answer is good twice:\n%s", again.page)
		}
	}
	if list := b.run("", "provider", "list"); !strings.Contains(list, "works") {
		t.Errorf("%s", list)
	}
	b.run("", "provider", "remove", "works")
	s.get(b.site+"/start").sees(b.site+"/start/signin", "Sign in")
}
