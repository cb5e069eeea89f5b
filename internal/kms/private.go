package kms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"

	"bawn.dev/internal/store"
)

// withPrivate runs f with the private key of an asymmetric key. To read one out of
// its encoding, and to check it, costs as much as to sign: it is kept beside the
// material, and goes when that goes.
func (s *Service) withPrivate(sn *store.Snapshot, k *key, f func(crypto.PrivateKey) error) error {
	return s.held(sn, k, k.version, func(m *material) error { return m.usePrivate(f) })
}

// usePrivate hands the private key to f, which keeps nothing of it. The first to need
// the key reads it, and has it alone meanwhile.
func (m *material) usePrivate(f func(crypto.PrivateKey) error) error {
	m.mu.RLock()
	if m.private != nil {
		defer m.mu.RUnlock()
		return f(m.private)
	}
	m.mu.RUnlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return errEvicted
	}
	if m.private == nil {
		var err error
		if m.private, err = x509.ParsePKCS8PrivateKey(m.clear); err != nil {
			return errors.New("kms: stored material is no private key") // err could tell of it
		}
	}
	return f(m.private)
}

// wipe overwrites what can be reached of a private key. What the FIPS module made of
// it lies in structures of its own, which are left to the garbage collector.
func wipe(private crypto.PrivateKey) {
	var numbers []*big.Int
	switch k := private.(type) {
	case *rsa.PrivateKey:
		numbers = append([]*big.Int{k.D, k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv}, k.Primes...)
	case *ecdsa.PrivateKey:
		//lint:ignore SA1019 it is to be invalid from now on
		numbers = append(numbers, k.D)
	case ed25519.PrivateKey:
		clear(k)
	}
	for _, n := range numbers {
		if n != nil {
			clear(n.Bits())
		}
	}
}

// publicKey is the public half of an asymmetric key. It comes from the private half,
// which is sealed: who can write the store cannot put another's in its place, to have
// messages encrypted to him or his signatures taken for the key's.
func (s *Service) publicKey(sn *store.Snapshot, k *key) (public crypto.PublicKey, err error) {
	err = s.withPrivate(sn, k, func(private crypto.PrivateKey) error {
		signer, ok := private.(crypto.Signer)
		if !ok {
			return errors.New("kms: the material of " + k.arn + " has no public half")
		}
		public = signer.Public()
		return nil
	})
	return public, err
}
