package kms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// A data key pair opens with its context alone, and the public half is the private one's.
func TestDataKeyPairs(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	context := map[string]string{"for": "pairs"}
	for _, spec := range []kms.DataKeyPairSpec{
		kms.DataKeyPairSpecRsa2048, kms.DataKeyPairSpecRsa4096, kms.DataKeyPairSpecEccNistP256, kms.DataKeyPairSpecEccNistP384,
		kms.DataKeyPairSpecEccNistP521, kms.DataKeyPairSpecEccNistEdwards25519,
	} {
		t.Run(string(spec), func(t *testing.T) {
			out := apitest.Must[kms.GenerateDataKeyPairOutput](t, admin, "kms:GenerateDataKeyPair", &kms.GenerateDataKeyPairInput{KeyId: k.KeyId, KeyPairSpec: spec, EncryptionContext: context})
			if out.KeyId != k.Arn || out.KeyPairSpec != spec || out.KeyMaterialId != k.CurrentKeyMaterialId {
				t.Errorf("%s %s %s", out.KeyId, out.KeyPairSpec, out.KeyMaterialId)
			}
			opened := apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: out.PrivateKeyCiphertextBlob, EncryptionContext: context})
			if !bytes.Equal(opened.Plaintext, out.PrivateKeyPlaintext) {
				t.Error("what was sealed is not what was answered")
			}
			private, err := x509.ParsePKCS8PrivateKey(opened.Plaintext)
			if err != nil {
				t.Fatal(err)
			}
			public, err := x509.MarshalPKIXPublicKey(private.(crypto.Signer).Public())
			if err != nil || !bytes.Equal(public, out.PublicKey) {
				t.Errorf("%v: the halves do not belong together", err)
			}
			refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: out.PrivateKeyCiphertextBlob}, "InvalidCiphertextException")
		})
	}
	sealed := apitest.Must[kms.GenerateDataKeyPairWithoutPlaintextOutput](t, admin, "kms:GenerateDataKeyPairWithoutPlaintext",
		&kms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: k.KeyId, KeyPairSpec: kms.DataKeyPairSpecEccNistP256, EncryptionContext: context})
	opened := apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: sealed.PrivateKeyCiphertextBlob, EncryptionContext: context})
	private, err := x509.ParsePKCS8PrivateKey(opened.Plaintext)
	if err != nil {
		t.Fatal(err)
	}
	if public, err := x509.MarshalPKIXPublicKey(private.(crypto.Signer).Public()); err != nil || !bytes.Equal(public, sealed.PublicKey) {
		t.Errorf("%v: the halves do not belong together", err)
	}
	for _, spec := range []kms.DataKeyPairSpec{kms.DataKeyPairSpecEccSecgP256k1, kms.DataKeyPairSpecSm2, "HMAC_256", "SYMMETRIC_DEFAULT", "none"} {
		refused[kms.GenerateDataKeyPairOutput](t, admin, "kms:GenerateDataKeyPair", &kms.GenerateDataKeyPairInput{KeyId: k.KeyId, KeyPairSpec: spec}, "UnsupportedOperationException")
	}
	apitest.NoPlaintext(t, rig.Dir, string(opened.Plaintext[40:60]))
}

func TestDataKeyWithoutPlaintext(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil).KeyId
	context := map[string]string{"a": "b"}
	odd := int32(1000)
	for _, test := range []struct {
		spec   kms.DataKeySpec
		number *int32
		size   int
	}{{kms.DataKeySpecAes128, nil, 16}, {kms.DataKeySpecAes256, nil, 32}, {"", &odd, 1000}} {
		seen := map[string]bool{}
		for range 3 {
			out := apitest.Must[kms.GenerateDataKeyWithoutPlaintextOutput](t, admin, "kms:GenerateDataKeyWithoutPlaintext",
				&kms.GenerateDataKeyWithoutPlaintextInput{KeyId: k, KeySpec: test.spec, NumberOfBytes: test.number, EncryptionContext: context})
			opened := apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob, EncryptionContext: context}).Plaintext
			if len(opened) != test.size || seen[string(opened)] || bytes.Equal(opened, make([]byte, test.size)) {
				t.Errorf("a data key of %d bytes: %x", test.size, opened)
			}
			seen[string(opened)] = true
		}
	}
	for _, in := range []*kms.GenerateDataKeyWithoutPlaintextInput{
		{KeyId: k}, {KeyId: k, KeySpec: kms.DataKeySpecAes256, NumberOfBytes: &odd}, {KeyId: k, NumberOfBytes: new(int32)}, {KeyId: k, KeySpec: "AES_512"},
	} {
		refused[kms.GenerateDataKeyWithoutPlaintextOutput](t, admin, "kms:GenerateDataKeyWithoutPlaintext", in, "ValidationException")
	}
}

// Who makes many RSA keys at once leaves the processors to others.
func TestRSAKeysAreMadeInTurn(t *testing.T) {
	p := plantedRig(t)
	k := newTestKey(t, p.admin, nil).KeyId
	rsa := &kms.GenerateDataKeyPairInput{KeyId: k, KeyPairSpec: kms.DataKeyPairSpecRsa2048}
	for range cap(p.s.primes) {
		p.s.primes <- struct{}{}
	}
	refused[kms.GenerateDataKeyPairOutput](t, p.admin, "kms:GenerateDataKeyPair", rsa, "ThrottlingException")
	refused[kms.CreateKeyOutput](t, p.admin, "kms:CreateKey", &kms.CreateKeyInput{KeySpec: kms.KeySpecRsa2048, KeyUsage: kms.KeyUsageTypeSignVerify}, "ThrottlingException")
	apitest.Must[kms.GenerateDataKeyPairOutput](t, p.admin, "kms:GenerateDataKeyPair", &kms.GenerateDataKeyPairInput{KeyId: k, KeyPairSpec: kms.DataKeyPairSpecEccNistP256})
	<-p.s.primes
	for range 2 {
		apitest.Must[kms.GenerateDataKeyPairOutput](t, p.admin, "kms:GenerateDataKeyPair", rsa)
	}
}
