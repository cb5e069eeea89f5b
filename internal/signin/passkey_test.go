package signin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"
)

// withPasskey gives a member a passkey.
func (b *browser) withPasskey(t *testing.T, m *member) *authenticator {
	t.Helper()
	key := newAuthenticator(t)
	session := b.enter(m)
	setup := b.call("BeginPasskey", values{"Session": session})
	if out := b.call("FinishPasskey", values{"Session": session, "Setup": setup.Setup, "Passkey": key.create(t, setup.PasskeyOptions)}); out.Id == "" {
		t.Fatalf("%+v", out)
	}
	return key
}

// What a passkey's answer must be: of this site, to this challenge, by her key, unlocked.
func TestPasskeyAttacks(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada := b.join("ada")
	key := b.withPasskey(t, ada)
	eve := b.join("eve")
	hers := b.withPasskey(t, eve)
	old := b.begin("ada").PasskeyOptions
	another, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for why, twist := range map[string]func(a *authenticator){
		"a look-alike site":       func(a *authenticator) { a.origin = "https://bawn.test.evil.example:4680" },
		"another port":            func(a *authenticator) { a.origin = "https://bawn.test:9999" },
		"without TLS":             func(a *authenticator) { a.origin = "http://bawn.test:4680" },
		"a name below":            func(a *authenticator) { a.origin = "https://app.bawn.test:4680" },
		"another site's id":       func(a *authenticator) { a.rp = "evil.example" },
		"an old challenge":        func(a *authenticator) { a.dodging = readOptions(t, old).PublicKey.Challenge },
		"an empty challenge":      func(a *authenticator) { a.dodging = "AAAA" },
		"a registration":          func(a *authenticator) { a.kind = "webauthn.create" },
		"not unlocked":            func(a *authenticator) { a.flags = 0x01 },
		"nobody there":            func(a *authenticator) { a.flags = 0x04 },
		"another key":             func(a *authenticator) { a.key = another },
		"an id that is nobody's":  func(a *authenticator) { a.id = bytes.Repeat([]byte{7}, 32) },
		"another's handle":        func(a *authenticator) { a.user = []byte(eve.id) },
		"eve's passkey":           func(a *authenticator) { *a = *hers },
		"eve's, with ada's name":  func(a *authenticator) { *a = *hers; a.user = []byte(ada.id) },
		"ada's id with eve's key": func(a *authenticator) { a.key = hers.key },
		"a counter that stands":   func(a *authenticator) { a.count = 0 },
		"a backup that was none":  func(a *authenticator) { a.flags |= 0x18 },
	} {
		t.Run(why, func(t *testing.T) {
			f.Advance(time.Second) // or the door would find so many calls too many
			key.count += 10
			out := b.begin("ada")
			if good := b.next(out.Flow, values{"Passkey": key.get(t, out.PasskeyOptions)}); good.Session == "" {
				t.Fatalf("the good one: %+v", good)
			}
			evil := *key
			twist(&evil)
			out = b.begin("ada")
			f.failedWith(b.next(out.Flow, values{"Passkey": evil.get(t, out.PasskeyOptions)}), "PASSKEY", "by name")
			second := b.password("ada", goodPassword)
			f.failedWith(b.next(second.Flow, values{"Passkey": evil.get(t, second.PasskeyOptions)}), "PASSKEY", "as second factor")
		})
	}
	// An answer is good for one flow, once.
	key.count += 100
	out := b.begin("ada")
	response := key.get(t, out.PasskeyOptions)
	if good := b.next(out.Flow, values{"Passkey": response}); good.Session == "" {
		t.Fatalf("%+v", good)
	}
	f.refusedWith(b.next(out.Flow, values{"Passkey": response}), "AccessDeniedException", "an answer twice")
	f.failedWith(b.next(b.begin("ada").Flow, values{"Passkey": response}), "PASSKEY", "an answer to another flow")
	for _, garbage := range []string{"{}", "[]", `{"id":1}`, `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`, string(bytes.Repeat([]byte("["), 5000))} {
		f.failedWith(b.next(b.begin("ada").Flow, values{"Passkey": garbage}), "PASSKEY", "garbage")
	}
}

// What is registered must answer this offer, on this site, for this session.
func TestPasskeyRegistrationAttacks(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada := b.join("ada")
	taken := b.withPasskey(t, ada)
	session := b.enter(ada)
	for why, twist := range map[string]func(a *authenticator){
		"a look-alike site":  func(a *authenticator) { a.origin = "https://bawn.test.evil.example:4680" },
		"another site's id":  func(a *authenticator) { a.rp = "evil.example" },
		"another challenge":  func(a *authenticator) { a.dodging = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
		"a sign-in":          func(a *authenticator) { a.kind = "webauthn.get" },
		"not unlocked":       func(a *authenticator) { a.flags = 0x01 },
		"vouched by a maker": func(a *authenticator) { a.format = "packed" },
	} {
		a := newAuthenticator(t)
		twist(a)
		setup := b.call("BeginPasskey", values{"Session": session})
		out := b.call("FinishPasskey", values{"Session": session, "Setup": setup.Setup, "Passkey": a.create(t, setup.PasskeyOptions)})
		f.failedWith(out, "PASSKEY", why)
		f.refusedWith(b.call("FinishPasskey", values{"Session": session, "Setup": setup.Setup, "Passkey": newAuthenticator(t).create(t, setup.PasskeyOptions)}),
			"AccessDeniedException", why+", and then the setup again")
	}
	eve := b.join("eve")
	setup := b.call("BeginPasskey", values{"Session": session})
	made := newAuthenticator(t).create(t, setup.PasskeyOptions)
	f.refusedWith(b.call("FinishPasskey", values{"Session": eve.session, "Setup": setup.Setup, "Passkey": made}), "AccessDeniedException", "another's setup")
	f.refusedWith(b.call("ConfirmTOTP", values{"Session": session, "Setup": setup.Setup, "Code": "000000"}), "ValidationException", "an application from a passkey's setup")

	// A passkey is one person's.
	hers := b.call("BeginPasskey", values{"Session": eve.session})
	f.refusedWith(b.call("FinishPasskey", values{"Session": eve.session, "Setup": hers.Setup, "Passkey": taken.create(t, hers.PasskeyOptions)}), "ConflictException", "ada's passkey")

	var options struct {
		PublicKey struct {
			ExcludeCredentials []struct{ ID string }
		}
	}
	if err := json.Unmarshal([]byte(setup.PasskeyOptions), &options); err != nil || len(options.PublicKey.ExcludeCredentials) != 1 {
		t.Errorf("the passkey that she has is offered again: %v %+v", err, options)
	}
}
