package signin

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"unicode"

	"bawn.dev/internal/identity"
	"bawn.dev/internal/store"
)

// Who knew a password, and has a sign-in on its way with it, is not in once the password
// was replaced: neither by a device of his own nor by a password of his own.
func TestReplacedPasswordEndsFlows(t *testing.T) {
	f := newFront(t)
	b, evil := f.browser("127.0.0.1"), f.browser("127.0.0.66")
	eve := f.person("eve")
	stolen := f.oneTime(eve)
	change := evil.password("eve", stolen)
	register := evil.next(evil.password("eve", stolen).Flow, values{"NewPassword": "the thief's own phrase"})
	if register.Totp == nil {
		t.Fatalf("%+v", register)
	}
	f.refusedWith(evil.next(change.Flow, values{"NewPassword": "another of the thief's"}), "AccessDeniedException", "a password that she replaced herself")
	f.Advance(timeStep)
	told := f.oneTime(eve)
	f.refusedWith(evil.next(register.Flow, values{"Code": f.code(register.Totp.Secret)}), "AccessDeniedException", "a device after the administrator's password")
	out := b.next(b.password("eve", told).Flow, values{"NewPassword": goodPassword})
	if out = b.next(out.Flow, values{"Code": f.code(out.Totp.Secret)}); out.Session == "" {
		t.Errorf("she is not in: %+v", out)
	}

	ada := b.join("ada")
	second := evil.password("ada", goodPassword)
	f.Advance(timeStep)
	if out := b.call("ChangePassword", values{"Session": ada.session, "OldPassword": goodPassword, "NewPassword": "nine herons by the weir"}); out.Status != 200 || out.Failure != "" {
		t.Fatalf("%+v", out)
	}
	f.refusedWith(evil.next(second.Flow, values{"Code": f.code(ada.secret)}), "AccessDeniedException", "a second factor after her change")
}

// Where a second factor is asked only of who has one, a sign-in by the password alone
// from before she had one does not rule over her devices.
func TestWeakSessionsKeepOffDevices(t *testing.T) {
	f := newFront(t)
	b, evil := f.browser("127.0.0.1"), f.browser("127.0.0.66")
	f.update(func(tx *store.Tx) error { return f.signin.SetMFAPolicy(tx, "when-registered") })
	eve := f.person("eve")
	hers := b.next(b.password("eve", f.oneTime(eve)).Flow, values{"NewPassword": goodPassword}).Session
	thief := evil.password("eve", goodPassword).Session
	early := evil.call("BeginTOTP", values{"Session": thief})
	if thief == "" || early.Setup == "" {
		t.Fatal("the thief is not in")
	}
	setup := b.call("BeginTOTP", values{"Session": hers})
	made := b.call("ConfirmTOTP", values{"Session": hers, "Setup": setup.Setup, "Code": f.code(setup.Totp.Secret)})
	if made.Id == "" {
		t.Fatalf("%+v", made)
	}
	const again = "UnauthorizedException" // his sign-in has ended
	f.refusedWith(evil.call("ConfirmTOTP", values{"Session": thief, "Setup": early.Setup, "Code": f.code(early.Totp.Secret)}), again, "a device that he began before")
	f.refusedWith(evil.call("DeleteTOTP", values{"Session": thief, "Id": made.Id}), again, "her device")
	for _, op := range []string{"BeginTOTP", "BeginPasskey", "CreateRecoveryCodes"} {
		f.refusedWith(evil.call(op, values{"Session": thief}), again, op)
		if out := b.call(op, values{"Session": hers}); out.Status != 200 {
			t.Errorf("who registered it may not %s: %+v", op, out)
		}
	}
}

// Whichever way a name is written, guesses at somebody and at nobody are counted alike:
// what the directory takes for two names is two here.
func TestNamesAreFoldedAsInTheDirectory(t *testing.T) {
	for r := range unicode.MaxRune {
		if text := string(r) + "im"; fold(text) != identity.Fold(text) {
			t.Fatalf("%q is %q here and %q in the directory", text, fold(text), identity.Fold(text))
		}
	}
	f := newFront(t)
	f.person("kim")
	for _, name := range []string{"kim", "tik"} { // somebody, and nobody
		b := f.browser("127.0.0.1")
		for range freeHere {
			b.password(map[string]string{"kim": "\u212Aim", "tik": "ti\u212A"}[name], "wrong horse battery")
		}
		f.failedWith(b.password(name, "wrong horse battery"), "CREDENTIALS", name)
	}
}

// What is sealed for one purpose opens for no other: no two kinds of things share one.
func TestPurposesHaveOneUse(t *testing.T) {
	files, err := filepath.Glob("../*/*.go")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	declared, by := regexp.MustCompile(`\w+ +(?:seal\.)?Purpose += "([^"]+)"`), map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			if other := by[found[1]]; other != "" {
				t.Errorf("%q is a purpose in %s and in %s", found[1], other, file)
			}
			by[found[1]] = file
		}
	}
	if by[string(flowSealing)] == "" {
		t.Error("the purposes are not found")
	}
}
