package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func mustSeal(t testing.TB, plaintext, aad []byte) []byte {
	t.Helper()
	sealed, err := Seal(testKey, plaintext, aad)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestBlobRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 15, 16, 17, 4096, MaxPlaintext} {
		plain := pattern(size)
		sealed := mustSeal(t, plain, []byte("aad"))
		if len(sealed) != size+Overhead {
			t.Errorf("%d bytes sealed to %d", size, len(sealed))
		}
		got, err := Open(testKey, sealed, []byte("aad"))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if size >= 16 && bytes.Contains(sealed, plain[:16]) {
			t.Error("plaintext shows")
		}
	}
	if _, err := Seal(testKey, make([]byte, MaxPlaintext+1), nil); err == nil {
		t.Error("sealed more than MaxPlaintext")
	}
	if a, b := mustSeal(t, nil, nil), mustSeal(t, nil, nil); bytes.Equal(a, b) {
		t.Error("two seals are equal")
	}
}

func TestBlobRefuses(t *testing.T) {
	plain, aad := []byte("attack at dawn"), []byte("key=1")
	sealed := mustSeal(t, plain, aad)
	refused := func(what string, key, sealed, aad []byte) {
		t.Helper()
		if got, err := Open(key, sealed, aad); err != ErrOpen || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	for i := range len(sealed) * 8 {
		m := bytes.Clone(sealed)
		m[i/8] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit %d flipped", i), testKey, m, aad)
	}
	for i := range sealed {
		refused(fmt.Sprintf("cut to %d", i), testKey, sealed[:i], aad)
		refused(fmt.Sprintf("begun at %d", i+1), testKey, sealed[i+1:], aad)
	}
	refused("extended", testKey, append(bytes.Clone(sealed), 0), aad)
	refused("another aad", testKey, sealed, []byte("key=2"))
	refused("no aad", testKey, sealed, nil)
	refused("longer aad", testKey, sealed, append(bytes.Clone(aad), 0))
	refused("another key", counting(0, 32), sealed, aad)
	refused("too long", testKey, append([]byte{blobVersion}, make([]byte, MaxPlaintext+Overhead)...), aad)
	other := mustSeal(t, plain, aad)
	refused("another's salt", testKey, append(bytes.Clone(other[:33]), sealed[33:]...), aad)
	refused("another's nonce", testKey, append(append(bytes.Clone(sealed[:33]), other[33:45]...), sealed[45:]...), aad)
	for _, size := range []int{0, 16, 31, 33, 64} {
		if _, err := Seal(make([]byte, size), plain, aad); err == nil {
			t.Errorf("sealed under a key of %d bytes", size)
		}
		if _, err := Open(make([]byte, size), sealed, aad); err == nil {
			t.Errorf("opened under a key of %d bytes", size)
		}
	}
}

func TestPurposesAreApart(t *testing.T) {
	key, aad := NewKey(), []byte("aad")
	wrapped, err := Wrap(testKey, &key, aad)
	if err != nil {
		t.Fatal(err)
	}
	if len(wrapped) != WrappedSize {
		t.Errorf("wrapped key of %d bytes", len(wrapped))
	}
	if got, err := Unwrap(testKey, wrapped, aad); err != nil || got != key {
		t.Errorf("unwrap: %v", err)
	}
	if _, err := Unwrap(testKey, wrapped, nil); err != ErrOpen {
		t.Errorf("unwrap with another aad: %v", err)
	}
	if _, err := Open(testKey, wrapped, aad); err != ErrOpen {
		t.Errorf("a wrapped key opens as a message: %v", err)
	}
	if _, err := Unwrap(testKey, mustSeal(t, key[:], aad), aad); err != ErrOpen {
		t.Errorf("a message unwraps as a key: %v", err)
	}
	if sealed, err := Purpose("wrap").Seal(testKey, key[:31], aad); err != nil {
		t.Fatal(err)
	} else if _, err := Unwrap(testKey, sealed, aad); err != ErrOpen {
		t.Errorf("31 bytes unwrap as a key: %v", err)
	}
	tokens, cookies := Purpose("session token"), Purpose("cookie")
	sealed, err := tokens.Seal(testKey, []byte("claim"), aad)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tokens.Open(testKey, sealed, aad); err != nil || string(got) != "claim" {
		t.Errorf("token: %q, %v", got, err)
	}
	if _, err := cookies.Open(testKey, sealed, aad); err != ErrOpen {
		t.Errorf("a token opens as a cookie: %v", err)
	}
	for _, p := range []Purpose{"", "a\x00b", "é", Purpose(strings.Repeat("p", 65))} {
		if _, err := p.Seal(testKey, nil, nil); err == nil {
			t.Errorf("purpose %q seals", p)
		}
		if _, err := p.Open(testKey, sealed, aad); err == nil {
			t.Errorf("purpose %q opens", p)
		}
	}
	// A blob does not pass for a stream, nor a stream for a blob.
	if _, err := openStream(mustSeal(t, nil, nil), nil); err != ErrOpen {
		t.Errorf("a blob reads as a stream: %v", err)
	}
	stream := sealStream(t, nil, nil)
	for _, first := range []byte{streamVersion, blobVersion} {
		stream[0] = first
		if _, err := Open(testKey, stream, nil); err != ErrOpen {
			t.Errorf("a stream opens as a blob: %v", err)
		}
	}
}

func TestKeyHidesItself(t *testing.T) {
	k := Key(bytes.Repeat([]byte{0xAB}, KeySize))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o"} {
		for _, v := range []any{k, &k, struct{ K Key }{k}} {
			out := strings.ToLower(fmt.Sprintf(verb, v))
			if strings.Contains(out, "abab") || strings.Contains(out, "171") || strings.Contains(out, "1010101") || strings.Contains(out, "253") {
				t.Errorf("%s prints %s", verb, out)
			}
		}
	}
	if out, err := json.Marshal(k); err == nil {
		t.Errorf("marshalled to %s", out)
	}
	k.Zero()
	if k != (Key{}) {
		t.Error("Zero left material")
	}
	if one, other := NewKey(), NewKey(); one == other {
		t.Error("two new keys are equal")
	}
}

func FuzzOpen(f *testing.F) {
	sealed, err := Seal(testKey, []byte("attack at dawn"), []byte("aad"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{blobVersion}, Overhead))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Each process of the fuzzer has a seed of its own; none but that opens.
		if got, err := Open(testKey, data, []byte("another aad")); !errors.Is(err, ErrOpen) || got != nil {
			t.Fatalf("opened %x", data)
		}
		if _, err := Unwrap(testKey, data, []byte("aad")); !errors.Is(err, ErrOpen) {
			t.Fatalf("unwrapped %x", data)
		}
	})
}

func BenchmarkSeal4KiB(b *testing.B) {
	plain := make([]byte, 4096)
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		mustSeal(b, plain, []byte("aad"))
	}
}

func BenchmarkOpen4KiB(b *testing.B) {
	sealed := mustSeal(b, make([]byte, 4096), []byte("aad"))
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(testKey, sealed, []byte("aad")); err != nil {
			b.Fatal(err)
		}
	}
}
