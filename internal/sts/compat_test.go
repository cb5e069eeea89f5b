package sts

import (
	"encoding/base64"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
)

// Tokens that the first release sealed, with the members that it had and key ids
// that tell no account, still open.
func TestTokensOfTheFirstRelease(t *testing.T) {
	key := seal.NewKey()
	s, err := New(Config{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	const id = "ASIA7QWERTYUIOPASDFG"
	open := func(plain string) (api.Claim, error) {
		sealed, err := sealing.Seal(key[:], []byte(plain), []byte(id))
		if err != nil {
			t.Fatal(err)
		}
		_, claim, err := s.Credential(t.Context(), nil, id, base64.StdEncoding.EncodeToString(sealed), time.UnixMicro(2))
		return claim, err
	}
	const first = `{"k":"s","a":"123456789012","r":"AROAX","n":"s","i":1,"e":9,"t":{"a":"b"},"tt":["a"],"s":"ada","c":true,"h":{"u":"u","t":1}`
	claim, err := open(first + `}`)
	if err != nil || claim.Kind != api.KindRole || claim.ID != "AROAX" || !claim.Chained || !claim.MFA.IsZero() || claim.Provider != "" || claim.Person.UserID != "u" {
		t.Errorf("%+v, %v", claim, err)
	}
	for name, plain := range map[string]string{
		"a member of tomorrow": first + `,"z":1}`,
		"a kind of tomorrow":   first + `,"y":"x"}`,
		// Without somebody to ask for its key, a session of a user is not good.
		"a user's session": first + `,"y":"u","b":"AKIAX"}`,
		"a member twice":   first + `,"r":"AROAY"}`,
	} {
		if claim, err := open(plain); err == nil {
			t.Errorf("%s opens: %+v", name, claim)
		}
	}
}

func TestKeyIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		for _, account := range []string{"000000000000", "000000000001", "123456789012", "999999999999"} {
			id, err := newKeyID(account)
			if err != nil || len(id) != 20 || accountOf(id) != account || seen[id] {
				t.Fatalf("%s of %s: %s, %v", id, account, accountOf(id), err)
			}
			seen[id] = true
		}
	}
	// What AWS's key ids are known to hold.
	if got := accountOf("ASIAY34FZKBOKMUTVV7A"); got != "609629065308" {
		t.Errorf("an id of AWS's is of %s", got)
	}
	for _, account := range []string{"", "12345678901", "1234567890123", "12345678901x"} {
		if id, err := newKeyID(account); err == nil {
			t.Errorf("%q has the key id %s", account, id)
		}
	}
}
