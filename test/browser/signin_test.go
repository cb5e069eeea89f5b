package browser

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A first sign-in with password and application, and the next.
func TestPasswordAndCode(t *testing.T) {
	once := person(t, "ada", "Ada Lovelace")
	b := newTab(t)
	used := b.join("ada", once)
	codes := b.recovery()
	b.press("I have kept them").sees("Accounts").says("Nothing is assigned to you yet.")

	var cookies string
	b.eval(`document.cookie`, &cookies)
	if cookies != "" {
		t.Errorf("script reads cookies: %q", cookies)
	}
	for name, c := range b.cookies() {
		if !strings.HasPrefix(name, "__Host-") || !c.Secure || !c.HTTPOnly || c.SameSite != "Lax" || c.Path != "/" {
			t.Errorf("cookie %+v", c)
		}
	}
	before := b.cookies()["__Host-bawn"].Value
	b.press("Sign out").sees("You are signed out")
	if c := b.cookies()["__Host-bawn"]; c != nil {
		t.Errorf("the cookie stays: %+v", c)
	}
	b.open("/start/signin").fill("username", "ada").press("Continue").fill("password", "wrong wrong wrong wrong").press("Sign in")
	b.says("The user name or the password is not right.")
	b.fill("password", goodPassword).press("Sign in").sees("Confirm that it is you")
	b.fill("code", used).press("Confirm").says("The code is not right, or was used already.")
	b.do(chromedp.Click("summary", chromedp.ByQuery)).fill("recovery", codes[0]).press("Use the code").sees("Accounts")
	if after := b.cookies()["__Host-bawn"]; after == nil || after.Value == before {
		t.Error("the session is the one of before")
	}
	b.quiet()
}

// A passkey as the first device, and then alone: no name and no password.
func TestPasskey(t *testing.T) {
	once := person(t, "grace", "Grace Hopper")
	b := newTab(t).authenticator()
	b.begin("grace", once).press("Register a passkey").sees("Keep your recovery codes").press("I have kept them").sees("Accounts")
	b.open("/start/security").says("Passkey")
	b.press("Sign out").sees("You are signed out").press("Sign in again")
	b.press("Use a passkey").passkey().sees("Accounts")

	// As the second factor, after the password.
	b.press("Sign out").sees("You are signed out").open("/start/signin").fill("username", "grace").press("Continue")
	b.fill("password", goodPassword).press("Sign in").sees("Confirm that it is you").passkey().sees("Accounts")

	// This machine has one already; another browser has none, and says so.
	b.open("/start/security").press("Add a passkey").press("Add the passkey").says("This device has a passkey of yours already.")
	other := newTab(t).authenticator()
	other.open("/start/signin").press("Use a passkey").passkey().says("The passkey was not used")
	if c := other.cookies()["__Host-bawn"]; c != nil {
		t.Errorf("signed in without a passkey: %+v", c)
	}
	b.quiet()
}

// Sessions are seen and ended from another browser, and all at once.
func TestSessions(t *testing.T) {
	once := person(t, "joan", "Joan Clarke")
	one, two := newTab(t), newTab(t)
	one.join("joan", once)
	codes := one.recovery()
	two.enter("joan", codes[0])
	two.open("/start/sessions").says("this one")
	two.do(chromedp.Click(`//li[not(contains(., "this one"))]//button`), chromedp.WaitNotPresent(`//li[not(contains(., "this one"))]//button`))
	if one.open("/start/security"); !strings.HasPrefix(one.at(), "/start/signin?next=") {
		t.Errorf("an ended session is at %s", one.at())
	}
	one.enter("joan", codes[1])
	two.open("/start/sessions").press("Sign out everywhere").sees("You are signed out everywhere")
	for _, b := range []*tab{one, two} {
		if b.open("/start"); b.at() != "/start/signin" {
			t.Errorf("signed out everywhere, and at %s", b.at())
		}
		b.quiet()
	}
}

// Who has an application adds a passkey, signs in with it, renames and removes it.
func TestPasskeyIsAdded(t *testing.T) {
	once := person(t, "vera", "Vera Rubin")
	b := newTab(t).authenticator()
	b.join("vera", once)
	b.open("/start/security").press("Add a passkey").press("Add the passkey").sees("Security").says("Passkey")
	b.press("Sign out").sees("You are signed out").open("/start/signin").press("Use a passkey").passkey().sees("Accounts")
	row := `//li[contains(., "Passkey")]`
	b.open("/start/security").do(chromedp.Click(row+`//summary`), chromedp.Click(row+`//button[normalize-space()="Remove"]`))
	b.do(chromedp.WaitNotPresent(row)).says("Authenticator")
	b.press("Sign out").sees("You are signed out").open("/start/signin").press("Use a passkey").passkey().says("The passkey was not accepted.")
	b.quiet()
}

// What a password alone had opened ends with a person's first device: she signs in
// again, with that, and is led back to the page that she was on.
func TestSigningInAgain(t *testing.T) {
	admin(t, "", "people", "mfa-policy", "when-registered")
	t.Cleanup(func() {
		if out, err := exec.Command(binary, "people", "mfa-policy", "required", "--data", data).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	once := person(t, "cecilia", "Cecilia Payne")
	one, two := newTab(t), newTab(t)
	one.open("/start").fill("username", "cecilia").press("Continue").fill("password", once).press("Sign in").sees("Choose a new password")
	one.fill("newpassword", goodPassword).fill("repeated", goodPassword).press("Go on").sees("Accounts")

	one.open("/start/security").sees("Security")
	two.open("/start/security").fill("username", "cecilia").press("Continue").fill("password", goodPassword).press("Sign in").sees("Security")
	var seed string
	two.press("Add an authenticator application").do(chromedp.Text("#totpkey", &seed, chromedp.ByQuery))
	two.fill("code", code(t, strings.ReplaceAll(seed, " ", ""))).press("Add the application").sees("Keep your recovery codes")
	codes := two.recovery()

	one.press("Make new recovery codes").signsIn("cecilia", codes[0]).sees("Security").press("Make new recovery codes").sees("Keep your recovery codes")
	if again := one.recovery(); len(again) == 0 || again[0] == codes[1] {
		t.Errorf("the new recovery codes are %q", again)
	}
	one.obeyed()
}

// A browser that was left open for a quarter of an hour is no way to stay: its owner
// shows again who she is before she changes by what she does, and then she can.
func TestSignedInAWhileAgo(t *testing.T) {
	once := person(t, "hertha", "Hertha Ayrton")
	b := newTab(t).authenticator()
	b.join("hertha", once)
	codes := b.recovery()
	b.open("/start/security").sees("Security").press("Add a passkey").sees("Add a passkey") // begun in time
	ago := exec.Command("python3", "-c", `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
with db:
    changed = db.execute("UPDATE signin_sessions SET created = created - 16 * 60 * 1000000 WHERE created = (SELECT max(created) FROM signin_sessions)").rowcount
assert changed == 1, changed`, filepath.Join(data, "bawn.db"))
	if out, err := ago.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b.press("Add the passkey").sees("Please sign in again")
	b.open("/start/security").says("You signed in a while ago.").says("10 are left.")
	b.press("Make new recovery codes").sees("Please sign in again").press("Sign in again").signsIn("hertha", codes[0])
	b.sees("Security").press("Add a passkey").press("Add the passkey").sees("Security").says("Passkey")
	b.press("Sign out").sees("You are signed out").open("/start/signin").press("Use a passkey").passkey().sees("Accounts")
	b.obeyed()
}
