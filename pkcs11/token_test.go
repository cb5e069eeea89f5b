package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"
)

const (
	module = "/usr/lib/softhsm/libsofthsm2.so"
	pin    = "271828"
)

// newToken is a fresh SoftHSM token, logged in to.
func newToken(t *testing.T) *token {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	t.Setenv("SOFTHSM2_CONF", conf)
	if err := os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\n", dir), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "here", "--so-pin", "3141", "--pin", pin).CombinedOutput(); err != nil {
		t.Fatalf("SoftHSM, of the Debian package softhsm2: %v\n%s", err, out)
	}
	tok := &token{}
	if err := tok.open(module, "here", []byte(pin)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tok.close)
	return tok
}

// What was wrapped opens with the same key and data, and with nothing changed.
func TestWrapped(t *testing.T) {
	tok := newToken(t)
	for _, label := range []string{"one", "two"} {
		if err := tok.make(label); err != nil {
			t.Fatal(err)
		}
	}
	if err := tok.make("one"); err == nil {
		t.Error("a second key of one label")
	}
	secret, aad := bytes.Repeat([]byte("k"), keySize), []byte("bound to this")
	wrapped, err := tok.wrap("one", secret, aad)
	if err != nil {
		t.Fatal(err)
	}
	again, err := tok.wrap("one", secret, aad)
	if err != nil || bytes.Equal(wrapped[:1+ivSize], again[:1+ivSize]) {
		t.Errorf("a nonce is used twice: %v", err)
	}
	if got, err := tok.unwrap("one", wrapped, aad); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%x %v", got, err)
	}
	for at := range wrapped {
		for bit := range 8 {
			changed := bytes.Clone(wrapped)
			changed[at] ^= 1 << bit
			if _, err := tok.unwrap("one", changed, aad); err == nil {
				t.Errorf("opens with bit %d of byte %d changed", bit, at)
			}
		}
	}
	for name, f := range map[string]func() ([]byte, error){
		"another key":  func() ([]byte, error) { return tok.unwrap("two", wrapped, aad) },
		"no key":       func() ([]byte, error) { return tok.unwrap("three", wrapped, aad) },
		"another aad":  func() ([]byte, error) { return tok.unwrap("one", wrapped, []byte("bound to that")) },
		"cut":          func() ([]byte, error) { return tok.unwrap("one", wrapped[:len(wrapped)-1], aad) },
		"extended":     func() ([]byte, error) { return tok.unwrap("one", append(wrapped, 0), aad) },
		"a longer key": func() ([]byte, error) { return tok.wrap("one", append(secret, 0), aad) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: done", name)
		}
	}
}

// The token does not give the key away, and a key that it would give away is not
// used: somebody put it there.
func TestKeysStayOnTheToken(t *testing.T) {
	tok := newToken(t)
	if err := tok.make("one"); err != nil {
		t.Fatal(err)
	}
	key, err := tok.key("one")
	if err != nil {
		t.Fatal(err)
	}
	if value, err := tok.ctx.GetAttributeValue(tok.session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)}); err == nil {
		t.Errorf("the key's value: %x", value[0].Value)
	}
	for label, kept := range map[string][2]bool{"readable": {false, false}, "extractable": {true, true}} {
		_, err := tok.ctx.CreateObject(tok.session, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
			pkcs11.NewAttribute(pkcs11.CKA_VALUE, make([]byte, keySize)), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, kept[0]), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, kept[1]),
			pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.wrap(label, make([]byte, keySize), nil); err == nil || !strings.Contains(err.Error(), "may leave it") {
			t.Errorf("%s: %v", label, err)
		}
	}
}

// What is no request is refused, and what is too long ends the program.
func TestRequests(t *testing.T) {
	var out bytes.Buffer
	in := strings.Join([]string{`garbage`, `{"do":"unwrap"}`, `{"do":"wrap","key":"one"}`, `{"do":"open","module":"/nonexistent.so"}`, `{"do":"destroy"}`}, "\n")
	if err := serve(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&out)
	for _, want := range []string{"not a request", "open comes first", "open comes first", "cannot be loaded", "open comes first"} {
		var a answer
		if err := dec.Decode(&a); err != nil || !strings.Contains(a.Error, want) || a.Data != nil {
			t.Errorf("%+v %v, not %q", a, err, want)
		}
	}
	if err := serve(strings.NewReader(strings.Repeat("x", maxLine+1)), &out); err == nil {
		t.Error("a line without end is read")
	}
}
