package signin

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
)

// strong says whether a published key is one that the FIPS module verifies with.
func strong(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.Size() >= minRSABytes
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}
