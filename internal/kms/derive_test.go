package kms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"
)

// FuzzPeerKey looks for a public key that is taken and is not on the curve, or that has
// more than one form.
func FuzzPeerKey(f *testing.F) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	for _, g := range vectors(f, "derive") {
		for _, v := range g.Tests {
			f.Add([]byte(v.In))
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		peer, err := peerOf(own, der)
		if err != nil {
			return
		}
		again, err := x509.MarshalPKIXPublicKey(peer)
		if err != nil || !bytes.Equal(again, der) {
			t.Fatalf("%x is read as %x (%v)", der, again, err)
		}
		k, err := own.ECDH()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.ECDH(peer); err != nil {
			t.Fatalf("%x: %v", der, err)
		}
	})
}
