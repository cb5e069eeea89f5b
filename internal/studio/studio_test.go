package studio_test

import (
	"net/http"
	"strings"
	"testing"

	"bawn.dev/internal/server/servertest"
)

// A person's first sign-in and what she can look after, without any script.
func TestPagesWithoutScript(t *testing.T) {
	b := servertest.Start(t)
	once := person(t, b, "ada", "Ada Lovelace")
	s := surf(t, b)

	s.get("/start").sees("Sign in", "User name")
	if s.at.Path != "/start/signin" {
		t.Errorf("who is not signed in is at %s", s.at)
	}
	s.send("/start/signin", "username", "ada").sees("Password")
	s.send("/start/signin/proof", "password", "not this one at all").sees("The user name or the password is not right.")
	s.send("/start/signin/proof", "password", once).sees("Choose a new password")
	s.send("/start/signin/proof", "newpassword", goodPassword, "repeated", "another thing altogether").sees("The two are not the same.")
	s.send("/start/signin/proof", "newpassword", "short", "repeated", "short").sees("Choose a new password", "at least")
	s.send("/start/signin/proof", "newpassword", goodPassword, "repeated", goodPassword).sees("Register a device")
	if !strings.Contains(s.page, `src="data:image/png;base64,`) {
		t.Error("the application has nothing to scan")
	}
	secret := strings.ReplaceAll(s.find(`id="totpkey">([^<]*)<`), " ", "")
	s.send("/start/signin/proof", "code", "000 000", "device", "phone").sees("The code is not the one")
	s.send("/start/signin/proof", "code", code(t, secret), "device", "phone").sees("Keep your recovery codes")
	recovery := strings.Fields(s.find(`(?s)<pre id="codes">(.*?)</pre>`))
	if len(recovery) != 10 {
		t.Errorf("%d recovery codes", len(recovery))
	}
	if cc := s.answer.Header.Get("Cache-Control"); cc != "no-store" {
		t.Errorf("recovery codes may be cached: %q", cc)
	}

	s.get("/start").sees("Ada Lovelace", "Nothing is assigned to you yet.")
	s.get("/start/security").sees("phone", "Authenticator application", "10 are left.")
	s.send("/start/security/rename", "device", "old phone").sees("old phone")
	if s.at.Path != "/start/security" {
		t.Errorf("at %s", s.at)
	}
	s.send("/start/security/remove", "kind", "TOTP").sees("This is your last device, and one is required.")
	s.get("/start/security").send("/start/security/codes").sees("Keep your recovery codes")
	s.get("/start/security").send("/start/security/app").sees("Add an authenticator application")
	second := strings.ReplaceAll(s.find(`id="totpkey">([^<]*)<`), " ", "")
	s.send("/start/security/app/finish", "code", "000000", "device", "tablet").sees("The code is not the one")
	s.send("/start/security/app/finish", "code", code(t, second), "device", "tablet").sees("tablet", "old phone")
	s.get("/start/password").send("/start/password", "password", "wrong wrong wrong", "newpassword", goodPassword+"!", "repeated", goodPassword+"!").sees("The old password is not right.")
	s.send("/start/password", "password", goodPassword, "newpassword", goodPassword+"!", "repeated", goodPassword+"!").sees("Your password is changed")

	// Another browser, by a recovery code of the new ones, and its end.
	s.get("/start/sessions").sees("Chrome on Linux", "this one", "127.0.0.1")
	other := surf(t, b)
	other.get("/start/signin").send("/start/signin", "username", "ada")
	other.send("/start/signin/proof", "password", goodPassword+"!").sees("Confirm that it is you", "I have lost my device")
	other.send("/start/signin/proof", "recovery", recovery[0]).sees("The code is not right") // the old ones are gone
	s.get("/start/security").send("/start/security/codes")
	recovery = strings.Fields(s.find(`(?s)<pre id="codes">(.*?)</pre>`))
	other.send("/start/signin/proof", "recovery", recovery[3])
	other.get("/start").sees("Ada Lovelace")
	if n := strings.Count(s.get("/start/sessions").page, "this one"); n != 1 {
		t.Errorf("%d sessions are this one", n)
	}
	for _, row := range strings.Split(s.page, `<li class="device">`)[1:] {
		if !strings.Contains(row, "this one") {
			s.page = row
			s.send("/start/sessions/end", "id", s.find(`name="id" value="([^"]*)"`))
		}
	}
	if other.get("/start"); other.at.Path != "/start/signin" || other.cookie("__Host-bawn") != "" {
		t.Errorf("an ended session is at %s with %q", other.at, other.cookie("__Host-bawn"))
	}
	s.get("/start/sessions").send("/start/sessions/end-all").sees("You are signed out everywhere")
	if s.get("/start"); s.at.Path != "/start/signin" {
		t.Errorf("signed out everywhere, and at %s", s.at)
	}
}

// Signing out ends the session and not the cookie alone.
func TestSigningOutEndsTheSession(t *testing.T) {
	b := servertest.Start(t)
	s := surf(t, b)
	s.join("ada", person(t, b, "ada", "Ada"))
	secret := s.cookie("__Host-bawn")
	s.get("/start").send("/start/signout").sees("You are signed out")
	if s.cookie("__Host-bawn") != "" {
		t.Error("the cookie stays")
	}
	s.do("GET", "/start", nil, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__Host-bawn", Value: secret}) })
	if s.at.Path != "/start/signin" {
		t.Errorf("who kept the cookie is at %s", s.at)
	}
}

// A sign-in survives the server and does not survive the person.
func TestSessionsOfTheRemovedEnd(t *testing.T) {
	b := servertest.Start(t)
	s := surf(t, b)
	s.join("ada", person(t, b, "ada", "Ada"))
	b.Restart(t)
	s.site = strings.Replace(b.URL, "127.0.0.1", "localhost", 1)
	if s.get("/start").sees("Accounts"); s.at.Path != "/start" {
		t.Errorf("after a restart at %s", s.at)
	}
	b.Python(t, `
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
ids = client("identitystore")
user = ids.get_user_id(IdentityStoreId=store, AlternateIdentifier={"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": "ada"}})["UserId"]
ids.delete_user(IdentityStoreId=store, UserId=user)
`)
	if s.get("/start"); s.at.Path != "/start/signin" || s.cookie("__Host-bawn") != "" {
		t.Errorf("who was removed is at %s", s.at)
	}
}
