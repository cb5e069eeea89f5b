package studio_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/store"
)

// earlier makes every sign-in one that began so long before. The server, which counts
// by the real clock, is stopped for it: sign-ins outlive that.
func earlier(t *testing.T, b *servertest.Bawn, s *surfer, by time.Duration) {
	t.Helper()
	b.Stop()
	st, err := store.Open(t.Context(), store.Config{Path: b.Config.Path("bawn.db")})
	if err != nil {
		t.Fatal(err)
	}
	err = st.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE signin_sessions SET created = created - ?, seen = seen - ?, expires = expires - ?`, by.Microseconds(), by.Microseconds(), by.Microseconds())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	b.Restart(t)
	s.site = strings.Replace(b.URL, "127.0.0.1", "localhost", 1)
}

// Who finds a browser open changes nothing by which its owner proves herself, also not
// what she had begun; once she has shown again who she is, she does.
func TestAnOldSignInChangesNoDevices(t *testing.T) {
	b := servertest.Start(t)
	s := surf(t, b)
	s.join("ada", person(t, b, "ada", "Ada Lovelace"))
	s.get("/start/security").send("/start/security/codes")
	recovery := strings.Fields(s.find(`(?s)<pre id="codes">(.*?)</pre>`))
	s.get("/start/security").send("/start/security/app").sees("Add an authenticator application")
	setup, seed := s.find(`name="setup" value="([^"]*)"`), strings.ReplaceAll(s.find(`id="totpkey">([^<]*)<`), " ", "")
	s.get("/start/security")
	device := s.find(`name="id" value="([^"]*)"`)

	earlier(t, b, s, 14*time.Minute)
	s.do("POST", "/start/security/passkey", url.Values{}, nil).sees("Add a passkey")
	earlier(t, b, s, 2*time.Minute)
	for path, form := range map[string]url.Values{
		"/start/security/app": {}, "/start/security/passkey": {}, "/start/security/codes": {},
		"/start/security/remove":     {"id": {device}, "kind": {"TOTP"}},
		"/start/security/app/finish": {"setup": {setup}, "code": {code(t, seed)}, "device": {"a thief's"}},
	} {
		s.do("POST", path, form, nil).sees("Please sign in again")
		if s.answer.StatusCode < 400 || strings.Contains(s.page, `id="codes"`) || strings.Contains(s.page, "totpkey") {
			t.Errorf("%s answers %s:\n%s", path, s.answer.Status, s.page)
		}
	}
	if s.get("/start/security").sees("phone", "10 are left."); strings.Contains(s.page, "thief") {
		t.Error("a device was added")
	}
	// It is not ended by that, and what it may do it does.
	s.get("/start").sees("Ada Lovelace")

	s.do("POST", "/start/security/codes", url.Values{}, nil)
	again := s.find(`href="(/start/signin[^"]*)"`)
	before := s.cookie("__Host-bawn")
	s.get(again).send("/start/signin", "username", "ada")
	s.send("/start/signin/proof", "password", goodPassword).send("/start/signin/proof", "recovery", recovery[0])
	if s.at.Path != "/start/security" || s.cookie("__Host-bawn") == before {
		t.Errorf("she is at %s, with the sign-in of before: %t", s.at, s.cookie("__Host-bawn") == before)
	}
	s.sees("9 are left.").send("/start/security/codes").sees("Keep your recovery codes")
	s.do("GET", "/start", nil, func(r *http.Request) { r.Header.Set("Cookie", "__Host-bawn="+before) })
	if s.at.Path != "/start/signin" {
		t.Errorf("the old sign-in is still at %s", s.at)
	}
}
