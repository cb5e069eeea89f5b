package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"
	"time"
)

func TestCosignature(t *testing.T) {
	log := newSigner(t, "log.example/audit")
	v, err := log.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	c := Checkpoint{Origin: "log.example/audit", Size: 7, Root: LeafHash([]byte("x"))}
	signed, err := log.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	newWitness := func(name string) (Cosigner, Witness) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewCosigner(name, key)
		if err != nil {
			t.Fatal(err)
		}
		w, err := ParseWitness(s.Public())
		if err != nil {
			t.Fatal(err)
		}
		return s, w
	}
	one, first := newWitness("witness.example/1")
	two, second := newWitness("witness.example/2")
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	line, err := one.Cosign(signed, at)
	if err != nil {
		t.Fatal(err)
	}
	both := append(bytes.Clone(signed), line...)
	if got, err := first.Seen(both); err != nil || !got.Equal(at) {
		t.Errorf("seen at %v, %v", got, err)
	}
	if got, err := v.Open(both); err != nil || got != c {
		t.Errorf("the log's own signature no longer holds: %v, %v", got, err)
	}
	if _, err := first.Seen(signed); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("without its line: %v", err)
	}
	if _, err := second.Seen(both); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("another witness: %v", err)
	}
	if line, err = two.Cosign(both, at.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, w := range []Witness{first, second} {
		if _, err := w.Seen(append(bytes.Clone(both), line...)); err != nil {
			t.Errorf("%s of two: %v", w.Name(), err)
		}
	}
	for i := range both {
		bad := bytes.Clone(both)
		bad[i] ^= 1
		if got, err := first.Seen(bad); err == nil && (!got.Equal(at) || !bytes.HasPrefix(bad, []byte(c.text()))) {
			t.Errorf("byte %d altered: seen at %v", i, got)
		}
	}
	if _, err := one.Cosign([]byte("not a note"), at); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("co-signed what is no checkpoint: %v", err)
	}
	if _, err := ParseWitness(v.String()); err == nil {
		t.Error("a log's key passed for a witness's")
	}
}

// FuzzWitness opens what anybody co-signed: a head that counts is one that was signed.
func FuzzWitness(f *testing.F) {
	signer := newSigner(f, "log")
	cosigner, err := NewCosigner("witness", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	w, err := ParseWitness(cosigner.Public())
	if err != nil {
		f.Fatal(err)
	}
	signed, err := signer.Sign(Checkpoint{Origin: "log", Size: 7})
	if err != nil {
		f.Fatal(err)
	}
	line, err := cosigner.Cosign(signed, time.Unix(1_800_000_000, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(bytes.Clone(signed), line...), cosigner.Public())
	f.Add(append(append(bytes.Clone(signed), line...), line...), "witness+00000000+AAAA")
	f.Add(signed, "")
	body, _ := noteText(signed)
	f.Fuzz(func(t *testing.T, text []byte, key string) {
		if at, err := w.Seen(text); err == nil && (at.Unix() != 1_800_000_000 || !bytes.HasPrefix(text, []byte(body+"\n"))) {
			t.Errorf("%q was co-signed at %v", text, at)
		}
		if other, err := ParseWitness(key); err == nil {
			if again, err := ParseWitness(key); err != nil || again.Name() != other.Name() {
				t.Errorf("%q: %v", key, err)
			}
			other.Seen(text) //nolint:errcheck // it must end
		}
		cosigner.Cosign(text, time.Unix(0, 0)) //nolint:errcheck // likewise
	})
}
