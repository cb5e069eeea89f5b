package kms

import (
	"sync"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// Material that leaves the cache while it is used is overwritten after that, not before:
// no signature is made with what is half a key.
func TestKeysAreForgottenWhileTheySign(t *testing.T) {
	p := plantedRig(t)
	for _, spec := range []kms.KeySpec{kms.KeySpecRsa2048, kms.KeySpecEccNistP256, kms.KeySpecEccNistEdwards25519} {
		k := newTestKey(t, p.admin, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: kms.KeyUsageTypeSignVerify}).KeyId
		algorithm := specs[spec].signing[0]
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 4 {
					signed, err := apitest.Call[kms.SignOutput](t, p.admin, "kms:Sign", &kms.SignInput{KeyId: k, SigningAlgorithm: algorithm, Message: []byte("x")})
					p.s.materials.Drop(materialID{k, 1})
					if err != nil {
						t.Error(err)
						return
					}
					_, err = apitest.Call[kms.VerifyOutput](t, p.admin, "kms:Verify", &kms.VerifyInput{KeyId: k, SigningAlgorithm: algorithm, Message: []byte("x"), Signature: signed.Signature})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	}
}
