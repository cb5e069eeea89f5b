package kms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"bawn.dev/internal/shape/kms"
)

// generate makes material for keys of a spec: raw bytes for symmetric and HMAC keys;
// for the others a private key as PKCS #8 DER, with its public key as
// SubjectPublicKeyInfo. The caller overwrites the material when it is done.
func generate(name kms.KeySpec) (material, public []byte, err error) {
	if size := keyBytes(name); size > 0 {
		material = make([]byte, size)
		rand.Read(material)
		return material, nil, nil
	}
	var private crypto.Signer
	switch name {
	case kms.KeySpecRsa2048:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case kms.KeySpecRsa3072:
		private, err = rsa.GenerateKey(rand.Reader, 3072)
	case kms.KeySpecRsa4096:
		private, err = rsa.GenerateKey(rand.Reader, 4096)
	case kms.KeySpecEccNistP256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case kms.KeySpecEccNistP384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case kms.KeySpecEccNistP521:
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case kms.KeySpecEccNistEdwards25519:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, nil, fmt.Errorf("kms: no keys of %s are made", name)
	}
	if err != nil {
		return nil, nil, err
	}
	if material, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return nil, nil, err
	}
	public, err = x509.MarshalPKIXPublicKey(private.Public())
	return material, public, err
}

// generateInTurn is generate for callers: to find the primes of an RSA key takes a
// processor up to seconds, and whoever may make some must leave others theirs.
func (s *Service) generateInTurn(name kms.KeySpec) (material, public []byte, err error) {
	if len(specs[name].encryption) > 0 && keyBytes(name) == 0 {
		select {
		case s.primes <- struct{}{}:
			defer func() { <-s.primes }()
		default:
			return nil, nil, fail("ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")
		}
	}
	return generate(name)
}

// keyBytes is how long keys are that are nothing but random bytes: as long as the
// hash for an HMAC (FIPS 198-1). It is 0 for the others.
func keyBytes(name kms.KeySpec) int {
	switch name {
	case kms.KeySpecSymmetricDefault, kms.KeySpecHmac256:
		return 32
	case kms.KeySpecHmac224:
		return 28
	case kms.KeySpecHmac384:
		return 48
	case kms.KeySpecHmac512:
		return 64
	}
	return 0
}

// furnish gives a new key its first material, and answers it wrapped. A key whose
// material is imported has none until then.
func (s *Service) furnish(k *key) ([]byte, error) {
	if k.origin == kms.OriginTypeExternal {
		k.version, k.importing = 0, true
		return nil, nil
	}
	k.version = 1
	material, _, err := s.generateInTurn(k.spec)
	if err != nil {
		return nil, err
	}
	defer clear(material)
	return s.wrap(k, k.version, material)
}
