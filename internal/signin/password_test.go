package signin

import (
	"context"
	"errors"
	"strings"
	"testing"

	"bawn.dev/internal/api"
)

func TestWeakPasswords(t *testing.T) {
	own := []string{"ada.lovelace", "Ada Lovelace", "countess@example.org"}
	for _, bad := range []string{
		"", "short", "elevenchars", strings.Repeat("x", 40), "aaaaaaaaaaaaaaaa", "abababababababab", "abcxyzabcxyzabcxyz",
		"123456789012", "987654321098", "abcdefghijklmnop", "Password1234!", "P@ssw0rd2026!", "p4ssw0rdp4ssw0rd", "Passwort123456",
		"qwertyuiop123", "QWERTZuiop1!", "1qaz2wsx3edc", "1q2w3e4r5t6y", "asdfghjkl;123", "poiuytrewq12", "welcome12345!", "Letmein2026!!",
		"iloveyou1234", "Summer2026!!", "Winter2025Winter", "changeme1234", "administrator", "correcthorsebatterystaple",
		"AdaLovelace1", "lovelace2026", "ada.lovelace", "countess@example.org", "L0velace!!!!", "Bawn12345678", "hospital2026",
	} {
		if weak(bad, own...) == "" {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, good := range []string{
		goodPassword, "gKx7-pQ2v-Wm9z", "mein Fahrrad hat einen Platten", "żółta łódka płynie", "丁寧な暮らしをする人々の夢", "vq8#Lr2!nT6z",
		"the password of seven dwarves", "kobold ananas trichter",
	} {
		if why := weak(good, own...); why != "" {
			t.Errorf("%q is refused: %s", good, why)
		}
	}
	if weak(longText(maxPassword)) != "" || weak(longText(maxPassword+1)) == "" {
		t.Error("the bound is elsewhere")
	}
}

func TestHashes(t *testing.T) {
	ctx, h := t.Context(), newHasher()
	p, err := h.keep(ctx, "a café by the canal")
	if err != nil {
		t.Fatal(err)
	}
	if p.Iterations < 600_000 || len(p.Salt) < 16 || len(p.Hash) != 32 {
		t.Errorf("%d iterations, %d bytes of salt", p.Iterations, len(p.Salt))
	}
	for text, want := range map[string]bool{"a café by the canal": true, "a cafe\u0301 by the canal": true, "a cafe by the canal": false, "A café by the canal": false} {
		if ok, err := h.matches(ctx, p, text); err != nil || ok != want {
			t.Errorf("%q: %v, %v", text, ok, err)
		}
	}
	other, err := h.keep(ctx, "a café by the canal")
	if err != nil || string(other.Hash) == string(p.Hash) {
		t.Errorf("two of one password are alike: %v", err)
	}
	for name, p := range map[string]*password{"an algorithm that is not": {Algorithm: "MD5", Hash: p.Hash}, "none": {}} {
		if ok, err := h.matches(ctx, p, "x"); err == nil || ok {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	// The decoy is nobody's, even should somebody find what makes it.
	if ok, err := h.matches(ctx, nil, "x"); err != nil || ok {
		t.Error(ok, err)
	}
}

// Who floods the door finds a short queue, not the machine's last processor.
func TestHashesAreFew(t *testing.T) {
	h := newHasher()
	working := make(chan struct{})
	finish := make(chan struct{})
	h.derive = func(string, []byte, int) ([]byte, error) {
		working <- struct{}{}
		<-finish
		return make([]byte, hashLength), nil
	}
	ctx := t.Context()
	done := make(chan error, hashQueue)
	for range hashQueue {
		go func() {
			_, err := h.hash(ctx, "x", make([]byte, saltLength), 1)
			done <- err
		}()
	}
	for range cap(h.slots) {
		<-working
	}
	for len(h.queue) < hashQueue { // until all are in the queue
		select {
		case <-working:
			t.Fatal("more work at a time than there are slots")
		default:
		}
	}
	var refusal *api.Error
	if _, err := h.hash(ctx, "x", nil, 1); !errors.As(err, &refusal) || refusal.Code != "ThrottlingException" {
		t.Errorf("one more: %v", err)
	}
	go func() {
		for range working {
		}
	}()
	close(finish)
	for range hashQueue {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	close(working)
	over, cancel := context.WithCancel(ctx)
	cancel()
	h.slots <- struct{}{}
	for range cap(h.slots) - 1 {
		h.slots <- struct{}{}
	}
	if _, err := h.hash(over, "x", nil, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("who went away: %v", err)
	}
}
