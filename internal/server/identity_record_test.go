package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/oidctest"
	"bawn.dev/internal/saml/samltest"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

// A namedCall is one that was made, and what the record should say of who made it.
// "$TIME" stands for any time of this test, "$ID" for any id of a sign-in.
type namedCall struct {
	Name, Request, Parent, Event, Invoker string
	Account, Error                        string
	Want                                  map[string]any
}

// An eventOf is what the table looks at of a record.
type eventOf struct {
	EventName, ErrorCode, RequestID, ParentRequestID, RecipientAccountID, SharedEventID string
	UserIdentity                                                                        map[string]any
}

func (n *namedCall) is(e *eventOf) bool {
	invoker, _ := e.UserIdentity["invokedBy"].(string)
	return (n.Request == "" || n.Request == e.RequestID) && (n.Parent == "" || n.Parent == e.ParentRequestID) &&
		(n.Event == "" || n.Event == e.EventName) && (n.Invoker == "" || n.Invoker == invoker) && n.Account == e.RecipientAccountID
}

// Who made a call is on record as AWS documents it, for every kind of caller, whatever
// came of the call.
func TestUserIdentities(t *testing.T) {
	began := time.Now().Truncate(time.Second)
	issuer := startIssuer(t)
	s := newSite(t)
	s.must("init")
	p := spawn(t, s.binary, "serve", "--data", s.data, "--listen", "127.0.0.1:0", "--allow-fetch", strings.TrimPrefix(issuer.URL, "https://")+":443")
	b := &servertest.Bawn{Config: config.Config{Data: s.data}, URL: p.serving(t), Issuer: issuer, Log: &servertest.Buffer{}}
	run := func(name string, to any, arguments ...string) {
		t.Helper()
		unmarshal(t, []byte(b.Python(t, script(t, "identity_cases.py")+script(t, name), arguments...)), to)
	}
	var here, elsewhere struct{ Cases []namedCall }
	run("identities.py", &here)
	idps := newProviders(t, issuer)
	var facts map[string]any
	run("identity_setup.py", &facts, idps.saml.Metadata(), issuer.URL)
	run("identities_elsewhere.py", &elsewhere, marshalled(t, facts), marshalled(t, idps.proofs(t, facts)), signIn(t, b, "dora"))

	var events []*eventOf
	for line := range strings.Lines(s.must("audit", "--output", "json", "--limit", "0")) {
		e := &eventOf{}
		unmarshal(t, []byte(line), e)
		events = append(events, e)
	}
	for _, n := range append(here.Cases, elsewhere.Cases...) {
		var found []*eventOf
		for _, e := range events {
			if n.is(e) {
				found = append(found, e)
			}
		}
		if len(found) != 1 {
			t.Errorf("%s: %d records", n.Name, len(found))
			continue
		}
		placeholders(t, found[0].UserIdentity, began)
		if !reflect.DeepEqual(found[0].UserIdentity, n.Want) || found[0].ErrorCode != n.Error {
			got, _ := json.Marshal(found[0].UserIdentity)
			want, _ := json.Marshal(n.Want)
			t.Errorf("%s: %s\nrecorded %s\nnot      %s", n.Name, found[0].ErrorCode, got, want)
		}
	}
}

// providers vouch for people and programs.
type providers struct {
	saml *samltest.Provider
	oidc *oidctest.Issuer
}

func newProviders(t *testing.T, issuer *oidctest.Issuer) providers {
	t.Helper()
	saml, err := samltest.NewECDSA("https://idp.example.org/saml")
	if err != nil {
		t.Fatal(err)
	}
	return providers{saml, issuer}
}

// proofs are what they say, and what somebody made of it who would like to come in.
func (p providers) proofs(t *testing.T, facts map[string]any) map[string]string {
	t.Helper()
	const aws = "https://aws.amazon.com/SAML/Attributes/"
	staff := facts["staff"].(map[string]any)["Arn"].(string) + "," + facts["saml"].(string)
	r := p.saml.Response("cleo", "urn:amazon:webservices", "https://signin.aws.amazon.com/saml", time.Now(),
		samltest.Attribute{Name: aws + "Role", Values: []string{staff}}, samltest.Attribute{Name: aws + "RoleSessionName", Values: []string{"cleo@example.org"}})
	unsigned := r
	unsigned.SignAssertion = false
	out := map[string]string{"assertion": p.saml.Encoded(r), "forged": p.saml.Encoded(unsigned)}
	for name, claims := range map[string]map[string]any{
		"token":  p.oidc.Claims("bawn-client", "repo/main", "main@example.org"),
		"other":  p.oidc.Claims("bawn-client", "repo/other", "other@example.org"),
		"astray": p.oidc.Claims("another-client", "repo/main", "main@example.org"),
		"person": p.oidc.Claims("bawn-sample", "subject", "dora@example.org"),
	} {
		token, err := p.oidc.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = token
	}
	return out
}

// signIn lets a person in with a password and a code.
func signIn(t *testing.T, b *servertest.Bawn, name string) (session string) {
	t.Helper()
	var once server.PeopleAnswer
	if err := server.AskRunning(t.Context(), b.Config, "/people", server.PeopleRequest{Do: "set-password", User: name, Operator: "root"}, &once); err != nil {
		t.Fatal(err)
	}
	return door{t, b}.session(name, once.Password)
}

// startIssuer serves an OpenID issuer as IAM has them, on the port of https, to programs
// of this test, which trust its certificate.
func startIssuer(t *testing.T) *oidctest.Issuer {
	t.Helper()
	issuer, err := oidctest.New()
	if err != nil {
		t.Fatal(err)
	}
	ip := net.IPv4(127, byte(1+mathrand.IntN(250)), byte(mathrand.IntN(250)), 2) // others may test at the same time
	listener, err := net.Listen("tcp", net.JoinHostPort(ip.String(), "443"))
	if err != nil {
		t.Skip(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{ip}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	idp := &httptest.Server{Listener: listener, Config: &http.Server{Handler: issuer},
		TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}}
	idp.StartTLS()
	t.Cleanup(idp.Close)
	issuer.URL = "https://" + ip.String()
	path := filepath.Join(t.TempDir(), "idp.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", path)
	return issuer
}

// marshalled is a value as an argument.
func marshalled(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// placeholders puts "$TIME" for a time since began, and "$ID" for the id of a sign-in.
func placeholders(t *testing.T, object map[string]any, began time.Time) {
	t.Helper()
	for name, v := range object {
		if inner, ok := v.(map[string]any); ok {
			placeholders(t, inner, began)
		}
		switch text, _ := v.(string); {
		case name == "credentialId" && text != "":
			object[name] = "$ID"
		case name == "creationDate":
			if at, err := time.Parse("2006-01-02T15:04:05Z", text); err != nil || at.Before(began) || at.After(time.Now()) {
				t.Errorf("created %s", text)
			}
			object[name] = "$TIME"
		}
	}
}
