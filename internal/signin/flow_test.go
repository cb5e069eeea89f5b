package signin

import (
	"net/http"
	"slices"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// A person's first sign-in: a one-time password, one of her own, a device, and the
// codes for when it is lost.
func TestFirstSignIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		f := frontOver(t, open(t), t.TempDir())
		b := f.browser("127.0.0.1")
		ada := f.person("ada")
		once := f.oneTime(ada)

		out := b.begin("Ada")
		if !slices.Equal(out.Methods, []string{"password", "passkey"}) || out.PasskeyOptions == "" {
			t.Fatalf("%+v", out)
		}
		out = b.next(out.Flow, values{"Password": once})
		if !slices.Equal(out.Next, []string{"newPassword"}) || out.Session != "" {
			t.Fatalf("%+v", out)
		}
		for why, bad := range map[string]string{"short": "short", "common": "Password1234!", "her name": "ada-lovelace-ada", "long": string(make([]byte, 0)) + longText(129)} {
			out = b.next(out.Flow, values{"NewPassword": bad})
			f.failedWith(out, "PASSWORD_TOO_WEAK", why)
		}
		out = b.next(out.Flow, values{"NewPassword": once})
		f.failedWith(out, "PASSWORD_REUSED", "the one-time password again")
		out = b.next(out.Flow, values{"NewPassword": goodPassword})
		if !slices.Equal(out.Next, []string{"registerTotp", "registerPasskey"}) || out.Totp == nil || out.PasskeyOptions == "" || out.Session != "" {
			t.Fatalf("%+v", out)
		}
		secret := out.Totp.Secret
		out = b.next(out.Flow, values{"Code": "000000"})
		if f.failedWith(out, "CODE", "a code of nothing"); out.Totp.Secret != secret {
			t.Error("the application was set up in vain")
		}
		out = b.next(out.Flow, values{"Code": f.code(secret), "DeviceName": "phone"})
		if out.Session == "" || len(out.RecoveryCodes) != recoveryCodes || out.Flow != "" {
			t.Fatalf("%+v", out)
		}

		own := b.call("DescribeOwn", values{"Session": out.Session})
		if own.UserId != ada || own.UserName != "ada" || own.DisplayName != "ada Lovelace" || !own.LocalPassword || !own.Recent || own.RecoveryCodesLeft != recoveryCodes || own.MfaPolicy != "REQUIRED" {
			t.Errorf("%+v", own)
		}
		devices := b.call("ListDevices", values{"Session": out.Session})
		if len(devices.Devices) != 1 || devices.Devices[0].Name != "phone" || devices.Devices[0].Kind != "TOTP" {
			t.Errorf("%+v", devices)
		}
		sessions := b.call("ListOwnSessions", values{"Session": out.Session}).Sessions
		if len(sessions) != 1 || !sessions[0].Current || sessions[0].SourceAddress != "127.0.0.1" || sessions[0].UserAgent != "browser of 127.0.0.1" ||
			!slices.Equal(sessions[0].Methods, []string{"pwd", "otp"}) {
			t.Errorf("%+v", sessions)
		}
		if f.failedWith(b.password("ada", once), "CREDENTIALS", "the one-time password once more"); t.Failed() {
			return
		}
		record := f.Records(t, apitest.Account, "DescribeOwn")[0]
		if u := record.UserIdentity; u.Type != "IdentityCenterUser" || u.OnBehalfOf == nil || u.OnBehalfOf.UserID != ada || u.CredentialID != sessions[0].Id {
			t.Errorf("the record says %+v", u)
		}
		var entered bool
		for _, r := range f.Records(t, apitest.Account, "ContinueSignIn") {
			entered = entered || r.UserIdentity.Type == "IdentityCenterUser" && r.UserIdentity.CredentialID == sessions[0].Id && r.SourceIP == "127.0.0.1"
		}
		if !entered {
			t.Error("no record of who came in")
		}
	})
}

func longText(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[i*i*7%36]
	}
	return string(out)
}

func TestSecondFactors(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada := b.join("ada")
	out := b.password("ada", goodPassword)
	if !slices.Equal(out.Next, []string{"totp", "recoveryCode"}) || out.Session != "" {
		t.Fatalf("%+v", out)
	}
	code := f.code(ada.secret)
	if out = b.next(out.Flow, values{"Code": code}); out.Session == "" {
		t.Fatalf("%+v", out)
	}
	again := b.next(b.password("ada", goodPassword).Flow, values{"Code": code})
	f.failedWith(again, "CODE", "a code twice")
	recovered := b.next(again.Flow, values{"RecoveryCode": ada.codes[3]})
	if recovered.Session == "" {
		t.Fatalf("%+v", recovered)
	}
	f.failedWith(b.next(b.password("ada", goodPassword).Flow, values{"RecoveryCode": ada.codes[3]}), "CODE", "a recovery code twice")

	// A passkey beside the application.
	key := newAuthenticator(t)
	setup := b.call("BeginPasskey", values{"Session": out.Session})
	made := b.call("FinishPasskey", values{"Session": out.Session, "Setup": setup.Setup, "Passkey": key.create(t, setup.PasskeyOptions), "DeviceName": "laptop"})
	if made.Id == "" || made.Failure != "" || len(made.RecoveryCodes) != 0 {
		t.Fatalf("%+v", made)
	}
	out = b.password("ada", goodPassword)
	if !slices.Equal(out.Next, []string{"totp", "passkey", "recoveryCode"}) {
		t.Fatalf("%+v", out)
	}
	if o := readOptions(t, out.PasskeyOptions); len(o.PublicKey.AllowCredentials) != 1 || o.PublicKey.UserVerification != "required" || o.PublicKey.RPID != "bawn.test" {
		t.Errorf("%+v", o)
	}
	if out = b.next(out.Flow, values{"Passkey": key.get(t, out.PasskeyOptions)}); out.Session == "" {
		t.Fatalf("%+v", out)
	}
	// And instead of everything, with a name and without.
	for _, name := range []string{"ada", ""} {
		out = b.begin(name)
		if o := readOptions(t, out.PasskeyOptions); len(o.PublicKey.AllowCredentials) != 0 {
			t.Errorf("the options tell of passkeys: %+v", o)
		}
		if out = b.next(out.Flow, values{"Passkey": key.get(t, out.PasskeyOptions)}); out.Session == "" {
			t.Fatalf("by passkey as %q: %+v", name, out)
		}
	}
	if own := b.call("DescribeOwn", values{"Session": out.Session}); own.UserId != ada.id {
		t.Errorf("%+v", own)
	}
	f.refusedWith(b.next(b.begin("").Flow, values{"Password": goodPassword}), "ValidationException", "a password of nobody in particular")
}

// A policy that asks only those who have something to show.
func TestPolicyWhenRegistered(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	f.update(func(tx *store.Tx) error { return f.signin.SetMFAPolicy(tx, "when-registered") })
	eve := f.person("eve")
	out := b.password("eve", f.oneTime(eve))
	out = b.next(out.Flow, values{"NewPassword": goodPassword})
	if out.Session == "" {
		t.Fatalf("%+v", out)
	}
	if out.Remembered != "" {
		t.Error("one factor is remembered as two")
	}
	setup := b.call("BeginTOTP", values{"Session": out.Session})
	made := b.call("ConfirmTOTP", values{"Session": out.Session, "Setup": setup.Setup, "Code": f.code(setup.Totp.Secret)})
	if made.Id == "" || len(made.RecoveryCodes) != recoveryCodes {
		t.Fatalf("%+v", made)
	}
	if out = b.password("eve", goodPassword); out.Session != "" || !slices.Contains(out.Next, "totp") {
		t.Errorf("who has a device is not asked: %+v", out)
	}
	if err := f.Store.Update(t.Context(), func(tx *store.Tx) error { return f.signin.SetMFAPolicy(tx, "off") }); err == nil {
		t.Error("there is a policy by which nobody is asked")
	}
	f.update(func(tx *store.Tx) error { return f.signin.ResetDevices(tx, eve) })
	f.update(func(tx *store.Tx) error { return f.signin.SetMFAPolicy(tx, "required") })
	if out = b.password("eve", goodPassword); out.Session != "" || !slices.Contains(out.Next, "registerTotp") {
		t.Errorf("who has no device comes in: %+v", out)
	}
	if out.Status != http.StatusOK {
		t.Errorf("%+v", out)
	}
}
