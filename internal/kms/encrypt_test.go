package kms

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// Every bit of a ciphertext is under the seal, and so is its length.
func TestEveryBitOfACiphertext(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil).KeyId
	context := map[string]string{"a": "b"}
	blob := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k, context)).CiphertextBlob
	open := func(what string, bent []byte) {
		t.Helper()
		_, err := apitest.Call[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{KeyId: k, CiphertextBlob: bent, EncryptionContext: context})
		// A changed key id names another key, which the caller is told of.
		if err == nil || err.Code != "InvalidCiphertextException" && err.Code != "IncorrectKeyException" {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && err.Code == "InvalidCiphertextException" && err.Message != "" {
			t.Errorf("%s says why: %s", what, err.Message)
		}
	}
	for i := range len(blob) * 8 {
		bent := bytes.Clone(blob)
		bent[i/8] ^= 1 << (i % 8)
		open("a bit", bent)
	}
	for n := range blob {
		open("a beginning", blob[:n])
		open("an end", blob[n+1:])
	}
	for _, more := range []int{1, 16, 6144} {
		open("an extension", append(bytes.Clone(blob), make([]byte, more)...))
		open("a prefix", append(make([]byte, more), blob...))
	}
	open("twice", append(bytes.Clone(blob), blob...))
}

// What RSA encrypts is nothing but RSA: who has the public key makes it elsewhere, and
// who has the private key opens it elsewhere.
func TestRSAEncryption(t *testing.T) {
	p := plantedRig(t)
	admin := p.admin
	secret := []byte("a secret")
	sizes := map[kms.KeySpec]int{kms.KeySpecRsa2048: 190, kms.KeySpecRsa3072: 318, kms.KeySpecRsa4096: 446}
	for _, g := range vectors(t, "decrypt") {
		spec := kms.KeySpec(g.Spec)
		most := sizes[spec]
		t.Run(string(spec), func(t *testing.T) {
			k := p.plant(t, spec, kms.KeyUsageTypeEncryptDecrypt, g.Private)
			encrypt := &kms.EncryptInput{KeyId: k, EncryptionAlgorithm: oaep, Plaintext: secret}
			out := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encrypt)
			if len(out.CiphertextBlob) != most+66 || out.EncryptionAlgorithm != oaep || !strings.HasSuffix(out.KeyId, ":key/"+k) {
				t.Errorf("%d bytes by %s of %s", len(out.CiphertextBlob), out.EncryptionAlgorithm, out.KeyId)
			}
			decrypt := func(blob []byte) *kms.DecryptInput {
				return &kms.DecryptInput{KeyId: k, EncryptionAlgorithm: oaep, CiphertextBlob: blob}
			}
			back := apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", decrypt(out.CiphertextBlob))
			if !bytes.Equal(back.Plaintext, secret) || back.EncryptionAlgorithm != oaep || back.KeyMaterialId != "" {
				t.Errorf("%+v", back)
			}
			published := apitest.Must[kms.GetPublicKeyOutput](t, admin, "kms:GetPublicKey", &kms.GetPublicKeyInput{KeyId: k})
			public, err := x509.ParsePKIXPublicKey(published.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			foreign, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), secret, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", decrypt(foreign)).Plaintext; !bytes.Equal(got, secret) {
				t.Errorf("%q was made with the public key", got)
			}

			largest := *encrypt
			largest.Plaintext = make([]byte, most)
			apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &largest)
			largest.Plaintext = make([]byte, most+1)
			e := refused[kms.EncryptOutput](t, admin, "kms:Encrypt", &largest, "ValidationException")
			if !strings.HasPrefix(e.Message, "Algorithm RSAES_OAEP_SHA_256 and key spec "+string(spec)+" cannot encrypt data larger than ") {
				t.Error(e.Message)
			}

			bad := func(what string, blob []byte) {
				t.Helper()
				if e := refused[kms.DecryptOutput](t, admin, "kms:Decrypt", decrypt(blob), "InvalidCiphertextException"); e.Message != "" {
					t.Errorf("%s says why: %s", what, e.Message)
				}
			}
			for i := 0; i < len(foreign)*8; i += 8*23 + 3 {
				bent := bytes.Clone(foreign)
				bent[i/8] ^= 1 << (i % 8)
				bad("a bit", bent)
			}
			bad("a beginning", foreign[:len(foreign)-1])
			bad("an end", foreign[1:])
			bad("a zero before it", append([]byte{0}, foreign...))
			bad("a zero behind it", append(bytes.Clone(foreign), 0))
			bad("the modulus", public.(*rsa.PublicKey).N.Bytes())
			bad("nothing", make([]byte, len(foreign)))
			labelled, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), secret, []byte("label"))
			if err != nil {
				t.Fatal(err)
			}
			bad("a label", labelled)
			for spec == kms.KeySpecRsa2048 && foreign[0] != 0 { // one in 256 begins so
				if foreign, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), secret, nil); err != nil {
					t.Fatal(err)
				}
			}
			if foreign[0] == 0 {
				bad("the same number, shorter", foreign[1:])
			}
		})
	}
}

func TestWhatRSAEncryptionHasNot(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	create := func() string {
		return newTestKey(t, admin, &kms.CreateKeyInput{KeySpec: kms.KeySpecRsa2048, KeyUsage: kms.KeyUsageTypeEncryptDecrypt}).KeyId
	}
	k, other, sym := create(), create(), newTestKey(t, admin, nil).KeyId
	secret, context := []byte("x"), map[string]string{"a": "b"}
	blob := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k, EncryptionAlgorithm: oaep, Plaintext: secret}).CiphertextBlob
	// An encryption context.
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k, EncryptionAlgorithm: oaep, Plaintext: secret, EncryptionContext: context}, "ValidationException")
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{KeyId: k, EncryptionAlgorithm: oaep, CiphertextBlob: blob, EncryptionContext: context}, "ValidationException")
	refused[kms.ReEncryptOutput](t, admin, "kms:ReEncrypt", &kms.ReEncryptInput{
		SourceKeyId: k, SourceEncryptionAlgorithm: oaep, CiphertextBlob: blob, SourceEncryptionContext: context, DestinationKeyId: sym,
	}, "ValidationException")
	// A key that its ciphertext tells, another algorithm, a key that happens to open it.
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{EncryptionAlgorithm: oaep, CiphertextBlob: blob}, "ValidationException")
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob}, "InvalidCiphertextException")
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{KeyId: k, CiphertextBlob: blob}, "InvalidKeyUsageException")
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{KeyId: k, CiphertextBlob: blob, EncryptionAlgorithm: "RSAES_OAEP_SHA_1"}, "InvalidKeyUsageException")
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{KeyId: other, CiphertextBlob: blob, EncryptionAlgorithm: oaep}, "InvalidCiphertextException")
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{KeyId: sym, CiphertextBlob: blob}, "InvalidCiphertextException")
}
