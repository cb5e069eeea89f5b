package job

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/ldap/ldaptest"
)

// A person has a role session, a running job with an open volume, and an application
// goes on for her. Whoever provisions people takes her out: all of it ends, and does
// not come back with her.
func TestDeprovisioned(t *testing.T) {
	h := open(t)
	for name, come := range map[string]func(testing.TB, *house) (userID string, out, back func()){"grace": bySCIM, "hedy": byLDAP} {
		t.Run(name, func(t *testing.T) {
			id, out, back := come(t, h)
			h.do(t, "admit", args{"user": id}, nil)
			var line struct{ Refresh string }
			h.do(t, "lineage", args{"person": name}, &line)
			h.do(t, "renew", args{"refresh": line.Refresh}, &line)
			h.do(t, "enter", args{"who": name, "person": name, "role": h.starter}, nil)
			secret := "of-" + name
			job := h.start(t, order{who: name, command: []string{"sh", "-c", "echo secret >/opt/ml/model/" + secret + "; echo ready; while :; do sleep 0.1; done"}})
			h.says(t, job, "ready")
			if _, open := h.sealedFile(t, secret); !open {
				t.Fatal("the volume is not where this test looks")
			}
			over := func(when string) {
				t.Helper()
				if r := h.call(t, name, "sts", "get_caller_identity", args{}, nil); r == nil || r.Code != "InvalidClientTokenId" {
					t.Errorf("%s her role session answers %v", when, r)
				}
				if r := h.caller.ask(t, args{"do": "renew", "args": args{"refresh": line.Refresh}}, nil); r == nil || !strings.HasPrefix(r.Code, "InvalidGrant") {
					t.Errorf("%s her refresh token answers %v", when, r)
				}
			}

			out()
			over("once she is out,")
			expect(t, h.end(t, job), "Failed", "Failed", "person", "no longer")
			if path, open := h.sealedFile(t, secret); open {
				t.Errorf("%s can still be read", path)
			}
			if _, r := h.try(t, order{who: name, command: untilTold}); r == nil {
				t.Error("who is out starts jobs")
			}
			back()
			over("after she came back,")
			h.do(t, "enter", args{"who": name, "person": name, "role": h.starter}, nil) // which she can
		})
	}
}

// bawn runs a command of the administrator's.
func (h *house) bawn(t testing.TB, arg ...string) string {
	t.Helper()
	out, err := exec.Command(h.binary(), append(arg, "--data", h.data)...).CombinedOutput()
	if err != nil {
		t.Fatalf("bawn %s: %v: %s", strings.Join(arg, " "), err, out)
	}
	return string(out)
}

// client is one that trusts the server.
func (h *house) client(t testing.TB) *http.Client {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.data, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
}

func bySCIM(t testing.TB, h *house) (string, func(), func()) {
	var token struct{ URL, Text, ID string }
	if err := json.Unmarshal([]byte(h.bawn(t, "scim", "create-token", "--output", "json")), &token); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.bawn(t, "scim", "delete-token", token.ID) })
	client := h.client(t)
	send := func(method, path, body string, want int) (out struct{ ID string }) {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), method, h.url+"/scim/v2"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token.Text)
		r.Header.Set("Content-Type", "application/scim+json")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, raw, err)
		}
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	id := send("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"grace@example.org","externalId":"x-grace","displayName":"Grace",
		"name":{"givenName":"Grace","familyName":"Example"},"emails":[{"primary":true,"value":"grace@example.org","type":"work"}],"active":true}`, 201).ID
	active := func(value string) func() {
		return func() {
			t.Helper()
			send("PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":`+value+`}}]}`, 200)
		}
	}
	return id, active("false"), active("true")
}

// byLDAP takes effect with the next reading, which an administrator can ask for.
func byLDAP(t testing.TB, h *house) (string, func(), func()) {
	s := ldaptest.Start(t, true)
	s.Person("hedy")
	s.Set(ldaptest.DN("hedy"), "mail", "hedy@example.org")
	for i := range 3 { // most of the people are never out at once
		s.Person(fmt.Sprint("other", i))
	}
	ca, password := filepath.Join(h.dir, "ldap-ca.pem"), filepath.Join(h.dir, "ldap-password")
	for path, text := range map[string]string{ca: s.CA, password: ldaptest.Password} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.bawn(t, "directory", "add", "corp", "--kind", "rfc2307bis", "--url", s.TLS, "--ca", ca, "--bind-dn", ldaptest.Reader, "--password-file", password,
		"--user-base", ldaptest.People, "--interval", "24h")
	t.Cleanup(func() { h.bawn(t, "directory", "remove", "corp") })
	read := func() { t.Helper(); h.bawn(t, "directory", "sync", "corp") }
	read()
	var store struct {
		Instances []struct{ IdentityStoreId string }
	}
	h.must(t, "admin", "sso-admin", "list_instances", args{}, &store)
	var user struct{ UserId string }
	h.must(t, "admin", "identitystore", "get_user_id", args{"IdentityStoreId": store.Instances[0].IdentityStoreId, "AlternateIdentifier": args{
		"UniqueAttribute": args{"AttributePath": "userName", "AttributeValue": "hedy"}}}, &user)
	out := func() { t.Helper(); s.Set(ldaptest.DN("hedy"), "pwdAccountLockedTime", "000001010000Z"); read() }
	back := func() { t.Helper(); s.Set(ldaptest.DN("hedy"), "pwdAccountLockedTime"); read() }
	return user.UserId, out, back
}
