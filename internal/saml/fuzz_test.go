package saml_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"reflect"
	"strings"
	"testing"

	"bawn.dev/internal/saml"
	"bawn.dev/internal/saml/samltest"
)

// settled is a provider whose key is the same in every process of a fuzzer.
func settled(f *testing.F) *idp {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	p, err := samltest.With(entity, key)
	if err != nil {
		f.Fatal(err)
	}
	return known(f, p)
}

// Whatever is done to a signed response, it is refused or says what was signed.
func FuzzVerify(f *testing.F) {
	p := settled(f)
	r := p.ada()
	r.ID, r.AssertionID = "_r", "_a"
	byAssertion := p.Sign(r)
	r.SignResponse, r.SignAssertion = true, false
	byResponse := p.Sign(r)
	r.SignAssertion = true
	good, err := saml.Verify(p.md, []byte(byAssertion), want)
	if err != nil {
		f.Fatal(err)
	}
	s := cutUp(byAssertion)
	for _, seed := range []string{byAssertion, byResponse, p.Sign(r), s.head + s.eve("_evil") + s.assertion + s.tail, "<a/>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		a, err := saml.Verify(p.md, []byte(document), want)
		if err != nil {
			reason(t, err)
		} else if !reflect.DeepEqual(a, good) {
			t.Errorf("%+v was never signed", a)
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	p := provider(f)
	f.Add(p.Metadata())
	f.Add(strings.Replace(p.Metadata(), "entityID=", `validUntil="2026-11-26T12:00:00Z" entityID=`, 1))
	f.Fuzz(func(t *testing.T, document string) {
		md, err := saml.ParseMetadata([]byte(document))
		if err != nil {
			reason(t, err)
			return
		}
		if md.EntityID == "" {
			t.Error("a provider without a name")
		}
		if _, err := saml.Verify(md, []byte(document), want); err == nil {
			t.Error("metadata is a response")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	p := provider(b)
	document := []byte(p.Sign(p.ada()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := saml.Verify(p.md, document, want); err != nil {
			b.Fatal(err)
		}
	}
}
