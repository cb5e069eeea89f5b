package kms

import (
	"bytes"
	"crypto/elliptic"
	"maps"
	"slices"
	"testing"
	"time"

	"bawn.dev/internal/shape/kms"
)

// Whatever is imported is refused, or is kept in one form, which is taken again.
func FuzzImportedMaterial(f *testing.F) {
	names := slices.Sorted(maps.Keys(specs))
	f.Add(0, encoded(f, newECC(f, elliptic.P256())))
	f.Add(1, encoded(f, newECC(f, elliptic.P384())))
	f.Add(2, encoded(f, newECC(f, elliptic.P521())))
	f.Add(7, encoded(f, wrappingKey))
	f.Add(10, make([]byte, 32))
	f.Fuzz(func(t *testing.T, spec int, imported []byte) {
		if spec < 0 || spec >= len(names) {
			return
		}
		name := names[spec]
		material, err := judge(name, imported)
		if err != nil {
			return
		}
		again, err := judge(name, material)
		if err != nil || !bytes.Equal(again, material) {
			t.Fatalf("%s: %x is kept as %x and then as %x, %v", name, imported, material, again, err)
		}
	})
}

// No bytes but the service's pass for a token, and none make it fall over.
func FuzzImportToken(f *testing.F) {
	s := &Service{Config: Config{Key: bytes32()}}
	now := time.Unix(1800000000, 0)
	good, err := s.sealToken("arn", kms.AlgorithmSpecRsaesOaepSha256, now.Add(time.Hour), encoded(f, wrappingKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, []byte{})
	f.Fuzz(func(t *testing.T, sealed, text []byte) {
		if _, err := s.openToken("arn", sealed, now); (err == nil) != bytes.Equal(sealed, good) {
			t.Fatalf("%x: %v", sealed, err)
		}
		// What is sealed as a token is parsed with care all the same.
		sealed, err := sealingTokens.Seal(s.Key, text, []byte("arn"))
		if err != nil {
			t.Skip()
		}
		if opened, err := s.openToken("arn", sealed, now); err == nil && opened.private.Size() < 256 {
			t.Fatalf("a wrapping key of %d bytes", opened.private.Size())
		}
	})
}
