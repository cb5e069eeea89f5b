package signin

import (
	"errors"
	"testing"
	"time"

	"bawn.dev/internal/seal"
)

// Whatever a stranger sends as a passkey is refused, and nothing worse.
func FuzzPasskeys(f *testing.F) {
	s := &Service{Config: Config{Key: seal.NewKey(), Site: "bawn.test", Origins: func() []string { return []string{testOrigin} }}}
	who := &holder{id: "0d4c1f7e-5a0b-4c55-9f44-0c1f2a7d1e11", name: "ada", display: "Ada"}
	offer, challenge, err := s.offerPasskey(who, nil)
	if err != nil {
		f.Fatal(err)
	}
	key := newAuthenticator(f)
	made := key.create(f, offer)
	d, err := s.registerPasskey(who, challenge, made, "", time.Now())
	if err != nil {
		f.Fatal(err)
	}
	ask, question, err := s.askPasskey(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made)
	f.Add(key.get(f, ask))
	f.Add(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YUA"}}`)
	other, _, err := s.offerPasskey(who, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(newAuthenticator(f).create(f, other))
	f.Fuzz(func(t *testing.T, response string) {
		if got, err := s.registerPasskey(who, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", response, "", time.Now()); !errors.Is(err, errPasskey) {
			t.Errorf("registered %+v, %v", got, err)
		}
		_, parsed, err := answered(response)
		if err != nil {
			return
		}
		copied := *d
		if err := s.checkPasskey(&copied, "AAAA"+question[4:], parsed); !errors.Is(err, errPasskey) {
			t.Errorf("accepted: %v", err)
		}
	})
}
