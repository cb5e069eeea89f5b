package kms

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"

	"bawn.dev/internal/shape/kms"
)

// judge answers imported material in the form in which material is kept, if it is
// what keys of a spec are made of. The caller overwrites it.
func judge(name kms.KeySpec, imported []byte) (material []byte, err error) {
	wrong := fail("IncorrectKeyMaterialException", "The key material is not that of a key of spec %s.", name)
	if size := keyBytes(name); size > 0 {
		if len(imported) != size {
			return nil, wrong
		}
		return append([]byte(nil), imported...), nil
	}
	var whole asn1.RawValue
	if rest, err := asn1.Unmarshal(imported, &whole); err != nil || len(rest) > 0 {
		return nil, wrong
	}
	private, err := x509.ParsePKCS8PrivateKey(imported)
	if err != nil {
		return nil, wrong
	}
	switch private := private.(type) {
	case *rsa.PrivateKey:
		if private.N.BitLen() != moduli[name] || private.E <= 1<<16 || len(private.Primes) != 2 || private.Validate() != nil {
			return nil, wrong
		}
	case *ecdsa.PrivateKey:
		if curves[private.Curve.Params().Name] != name {
			return nil, wrong
		}
	case ed25519.PrivateKey:
		if name != kms.KeySpecEccNistEdwards25519 {
			return nil, wrong
		}
	default:
		return nil, wrong
	}
	return x509.MarshalPKCS8PrivateKey(private)
}

var (
	moduli = map[kms.KeySpec]int{kms.KeySpecRsa2048: 2048, kms.KeySpecRsa3072: 3072, kms.KeySpecRsa4096: 4096}
	curves = map[string]kms.KeySpec{"P-256": kms.KeySpecEccNistP256, "P-384": kms.KeySpecEccNistP384, "P-521": kms.KeySpecEccNistP521}
)
