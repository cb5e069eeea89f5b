package signin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/seal"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
)

// A flow is good once, in the browser that began it, for a while, and for the proof
// that it waits for.
func TestFlows(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada := b.join("ada")
	const over = "AccessDeniedException"

	first := b.begin("ada").Flow
	second := b.next(first, values{"Password": goodPassword})
	f.refusedWith(b.next(first, values{"Password": goodPassword}), over, "a flow twice")
	wrong := b.next(second.Flow, values{"Code": "000000"})
	f.failedWith(wrong, "CODE", "a wrong code")
	f.refusedWith(b.next(second.Flow, values{"Code": f.code(ada.secret)}), over, "a flow after a wrong code")

	// Login CSRF and fixation: what one browser began, another does not finish.
	evil := f.browser("127.0.0.66")
	f.refusedWith(evil.next(wrong.Flow, values{"Code": f.code(ada.secret)}), over, "another browser")
	f.refusedWith(evil.call("ContinueSignIn", values{"Flow": wrong.Flow, "Code": f.code(ada.secret)}), "ValidationException", "no binding")
	if evil.begin("ada").Flow == b.begin("ada").Flow {
		t.Error("two flows are one")
	}

	// Stages in their order.
	begun := b.begin("ada").Flow
	for _, skip := range []values{{"Code": f.code(ada.secret)}, {"RecoveryCode": ada.codes[0]}, {"NewPassword": "another good password"}} {
		f.refusedWith(b.next(begun, skip), "ValidationException", "a stage left out")
	}
	for _, back := range []values{{"Password": goodPassword}, {"NewPassword": "another good password"}, {"Provider": "corp"}} {
		f.refusedWith(b.next(wrong.Flow, back), "ValidationException", "a stage back")
	}
	f.refusedWith(b.next(begun, values{}), "ValidationException", "no proof")
	f.refusedWith(b.next(begun, values{"Password": "x", "Code": "000000"}), "ValidationException", "two proofs")
	f.refusedWith(b.next(begun, values{"Provider": "corp"}), "ValidationException", "a provider that is not")
	f.refusedWith(b.next(begun, values{"Password": "x", "DeviceName": "mine"}), "ValidationException", "a member that belongs elsewhere")

	// Other sealed things, spliced ones, and those of another house.
	session := b.enter(ada)
	setup := b.call("BeginTOTP", values{"Session": session}).Setup
	foreign := &Service{Config: Config{Key: seal.NewKey()}}
	alien, err := foreign.sealFlow(&flow{Name: "ada", UserID: ada.id, Stage: stageSecond, Methods: []string{"pwd"}, Binding: bound(b.binding), Expires: f.Now().Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	third := b.begin("eve").Flow
	for why, text := range map[string]string{
		"a setup": setup, "a session": session, "a remembered browser": b.remembered, "another house's": alien, "cut": begun[:len(begun)-8],
		"spliced": begun[:len(begun)/2] + third[len(third)/2:], "nothing": "x", "flipped": strings.Replace(begun, begun[60:61], flip(begun[60]), 1),
	} {
		f.refusedWith(b.next(text, values{"Password": goodPassword}), over, why)
	}
	f.refusedWith(b.call("DescribeOwn", values{"Session": begun[:64]}), "UnauthorizedException", "a flow as session")
	f.refusedWith(b.call("DescribeOwn", values{"Session": setup[:64]}), "UnauthorizedException", "a setup as session")

	// After a restart a used one is still used, and an unused one still good.
	f.restart()
	f.refusedWith(b.next(first, values{"Password": goodPassword}), over, "a flow twice, after a restart")
	if out := b.next(begun, values{"Password": goodPassword}); out.Failure != "" || len(out.Next) == 0 {
		t.Errorf("%+v", out)
	}
	late := b.begin("ada").Flow
	f.Advance(flowLife + time.Second)
	f.refusedWith(b.next(late, values{"Password": goodPassword}), over, "after its time")
}

func flip(b byte) string {
	if b == 'A' {
		return "B"
	}
	return "A"
}

// What a flow says inside is read by nobody, and does not show who is there in its
// length.
func TestFlowsTellNothing(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	b.join("ada")
	for _, other := range []string{"eve", "bob"} {
		if a, o := b.begin("ada").Flow, b.begin(other).Flow; len(a) != len(o) || strings.Contains(a, "ada") {
			t.Errorf("%d and %d characters", len(a), len(o))
		}
	}
}

// Who is removed or disabled does not finish what she began, and her sessions end.
func TestLeaving(t *testing.T) {
	for name, leave := range map[string]func(*front, string){
		"disabled": (*front).disable,
		"deleted": func(f *front, id string) {
			apitest.Must[directory.DeleteUserOutput](f.t, f.admin, "identitystore:DeleteUser", &directory.DeleteUserInput{IdentityStoreId: f.store, UserId: id})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.t = t
			b := f.browser("127.0.0.1")
			ada := b.join("ada")
			session, key := b.enter(ada), newAuthenticator(t)
			setup := b.call("BeginPasskey", values{"Session": session})
			b.call("FinishPasskey", values{"Session": session, "Setup": setup.Setup, "Passkey": key.create(t, setup.PasskeyOptions)})
			begun := b.begin("ada").Flow
			second := b.password("ada", goodPassword)
			named, unnamed := b.begin("ada"), b.begin("")
			leave(f, ada.id)
			f.refusedWith(b.call("DescribeOwn", values{"Session": session}), "UnauthorizedException", "her session")
			f.refusedWith(b.next(second.Flow, values{"Code": f.code(ada.secret)}), "AccessDeniedException", "her second factor")
			f.failedWith(b.next(begun, values{"Password": goodPassword}), "CREDENTIALS", "her password")
			f.failedWith(b.next(named.Flow, values{"Passkey": key.get(t, named.PasskeyOptions)}), "PASSKEY", "her passkey")
			f.failedWith(b.next(unnamed.Flow, values{"Passkey": key.get(t, unnamed.PasskeyOptions)}), "PASSKEY", "her passkey, unnamed")
			f.failedWith(b.password("ada", goodPassword), "CREDENTIALS", "her password, anew")
			if name == "deleted" { // and who gets her name gets nothing of hers
				f.person("ada")
				f.failedWith(b.password("ada", goodPassword), "CREDENTIALS", "the next of her name")
			}
		})
	}
}

// Half a sign-in does not come through a sign-out from everything, nor through a time
// in which its person was out. The next does.
func TestHalfASignIn(t *testing.T) {
	for name, out := range map[string]func(*front, string){
		"signed out": func(f *front, id string) {
			f.update(func(tx *store.Tx) error { return f.people.SignOut(tx, id, f.Now()) })
		},
		"disabled and back": func(f *front, id string) {
			f.disable(id)
			enabled := directory.AttributeOperation{AttributePath: "userStatus", AttributeValue: []byte(`"ENABLED"`)}
			apitest.Must[directory.UpdateUserOutput](f.t, f.admin, "identitystore:UpdateUser", &directory.UpdateUserInput{
				IdentityStoreId: f.store, UserId: id, Operations: []directory.AttributeOperation{enabled},
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.t = t
			b := f.browser("127.0.0.1")
			ada := b.join("ada")
			key := newAuthenticator(t)
			setup := b.call("BeginPasskey", values{"Session": ada.session})
			b.call("FinishPasskey", values{"Session": ada.session, "Setup": setup.Setup, "Passkey": key.create(t, setup.PasskeyOptions)})
			second, alone := b.password("ada", goodPassword), b.begin("")
			out(f, ada.id)
			f.refusedWith(b.next(second.Flow, values{"Code": f.code(ada.secret)}), "AccessDeniedException", "her second factor")
			f.refusedWith(b.next(alone.Flow, values{"Passkey": key.get(t, alone.PasskeyOptions)}), "AccessDeniedException", "her passkey")
			if b.enter(ada) == "" {
				t.Error("she does not come in anew")
			}
		})
	}
}

// A password for one use is for one use, and not for ever.
func TestOneTimePasswords(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada := b.join("ada")
	session := b.enter(ada)
	old := f.oneTime(ada.id)
	once := f.oneTime(ada.id)
	f.refusedWith(b.call("DescribeOwn", values{"Session": session}), "UnauthorizedException", "her session after a new password")
	f.failedWith(b.password("ada", goodPassword), "CREDENTIALS", "her old password")
	f.failedWith(b.password("ada", old), "CREDENTIALS", "the one before")
	out := b.next(b.password("ada", once).Flow, values{"Code": f.code(ada.secret)})
	if out.Session != "" || len(out.Next) != 1 || out.Next[0] != "newPassword" {
		t.Fatalf("a one-time password is enough: %+v", out)
	}
	f.Advance(oneTimeLife + time.Second)
	f.failedWith(b.password("ada", once), "CREDENTIALS", "after a week")
}

// Nothing that proves somebody is in the database, the record or an error in clear.
func TestSecretsStayIn(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	eve := f.person("eve")
	once := f.oneTime(eve)
	secrets := map[string]string{"the one-time password": once, "a password typed as the name": "typed-into-the-wrong-field"}
	b.begin(secrets["a password typed as the name"])
	out := b.next(b.password("eve", once).Flow, values{"NewPassword": "a marked new password"})
	secrets["the password"], secrets["the seed"] = "a marked new password", out.Totp.Secret
	secrets["the flow"] = out.Flow
	out = b.next(out.Flow, values{"Code": f.code(out.Totp.Secret)})
	secrets["a recovery code"], secrets["the session"], secrets["the remembered browser"] = out.RecoveryCodes[0], out.Session, out.Remembered
	secrets["a recovery code, bare"] = strings.ReplaceAll(out.RecoveryCodes[1], "-", "")
	b.next(b.password("eve", "a marked wrong password").Flow, values{"Password": "another marked wrong one"})
	secrets["a wrong password"], secrets["another"] = "a marked wrong password", "another marked wrong one"
	change := b.call("ChangePassword", values{"Session": out.Session, "OldPassword": "a marked new password", "NewPassword": "the last marked password"})
	if change.Failure != "" || change.Status != 200 {
		t.Fatalf("%+v", change)
	}
	secrets["the last password"] = "the last marked password"
	for what, secret := range secrets {
		if len(secret) > 64 {
			secret = secret[:64]
		}
		t.Run(what, func(t *testing.T) { apitest.NoPlaintext(t, f.Dir, secret) })
	}
	for _, name := range []string{"BeginSignIn", "ContinueSignIn", "ChangePassword"} {
		for _, r := range f.Records(t, apitest.Account, name) {
			raw, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			for what, secret := range secrets {
				if strings.Contains(string(raw), secret) {
					t.Errorf("%s is in a record: %s", what, raw)
				}
			}
		}
	}
	// A guess is on record, with whose door it was tried at.
	var tried bool
	for _, r := range f.Records(t, apitest.Account, "ContinueSignIn") {
		tried = tried || strings.Contains(string(r.ResponseElements), `"failure":"CREDENTIALS"`) && strings.Contains(string(r.AdditionalEventData), eve) && r.UserIdentity.Type == "Unknown"
	}
	if !tried {
		t.Error("a guess is not on record")
	}
}

// Rows that were exchanged with another person's open for nobody.
func TestExchangedRows(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada := b.join("ada")
	evil := f.browser("127.0.0.66")
	eve := evil.join("eve")
	f.update(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE signin_passwords SET sealed = (SELECT sealed FROM signin_passwords WHERE user_id = ?) WHERE user_id = ?`, eve.id, ada.id)
		return err
	})
	if out := evil.password("ada", goodPassword); out.Status != 500 {
		t.Errorf("eve's password in ada's row: %+v", out)
	}
	f.update(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE signin_devices SET sealed = (SELECT sealed FROM signin_devices WHERE user_id = ?) WHERE user_id = ?`, ada.id, eve.id)
		return err
	})
	out := evil.password("eve", goodPassword)
	if out = evil.next(out.Flow, values{"Code": f.code(ada.secret)}); out.Status != 500 {
		t.Errorf("ada's seed in eve's row: %+v", out)
	}
}
