package kms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"math/big"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// Every signing algorithm, with every kind of message: what one signs the other
// verifies, and nothing else.
func TestSignAndVerify(t *testing.T) {
	p := plantedRig(t)
	message := []byte("the message")
	other := bytes.ToUpper(message)
	for spec, known := range specs {
		if !slices.Contains(known.usages, kms.KeyUsageTypeSignVerify) || spec == kms.KeySpecRsa3072 || spec == kms.KeySpecRsa4096 {
			continue
		}
		create := func() string {
			material, _, err := generate(spec)
			if err != nil {
				t.Fatal(err)
			}
			return p.plant(t, spec, kms.KeyUsageTypeSignVerify, material)
		}
		mine, foreign := create(), create()
		for _, algorithm := range known.signing {
			digest := func(m []byte) []byte {
				h := max(schemes[algorithm].hash, crypto.SHA256).New()
				h.Write(m)
				return h.Sum(nil)
			}
			for _, as := range []kms.MessageType{"", kms.MessageTypeRaw, kms.MessageTypeDigest, kms.MessageTypeExternalMu} {
				right, wrong := message, other
				if as == kms.MessageTypeDigest {
					right, wrong = digest(message), digest(other)
				}
				sign := &kms.SignInput{KeyId: mine, SigningAlgorithm: algorithm, MessageType: as, Message: right}
				fits := as == kms.MessageTypeDigest && algorithm != kms.SigningAlgorithmSpecEd25519Sha512 ||
					(as == "" || as == kms.MessageTypeRaw) && algorithm != kms.SigningAlgorithmSpecEd25519PhSha512
				if !fits {
					refused[kms.SignOutput](t, p.admin, "kms:Sign", sign, "ValidationException")
					continue
				}
				signed := apitest.Must[kms.SignOutput](t, p.admin, "kms:Sign", sign)
				if signed.SigningAlgorithm != algorithm || !strings.HasSuffix(signed.KeyId, "key/"+mine) {
					t.Errorf("%+v", signed)
				}
				verify := func(key string, message, signature []byte) *kms.VerifyInput {
					return &kms.VerifyInput{KeyId: key, SigningAlgorithm: algorithm, MessageType: as, Message: message, Signature: signature}
				}
				if out := apitest.Must[kms.VerifyOutput](t, p.admin, "kms:Verify", verify(mine, right, signed.Signature)); !*out.SignatureValid {
					t.Errorf("%s: the signature is not valid", algorithm)
				}
				bent := bytes.Clone(signed.Signature)
				bent[len(bent)/2] ^= 4
				for what, in := range map[string]*kms.VerifyInput{
					"another message": verify(mine, wrong, signed.Signature), "another key": verify(foreign, right, signed.Signature),
					"a bit": verify(mine, right, bent), "a beginning": verify(mine, right, signed.Signature[:len(bent)-1]),
					"an extension": verify(mine, right, append(bytes.Clone(signed.Signature), 0)), "a byte": verify(mine, right, []byte{0}),
				} {
					if e := refused[kms.VerifyOutput](t, p.admin, "kms:Verify", in, "KMSInvalidSignatureException"); e.Message != "" {
						t.Errorf("%s says why: %s", what, e.Message)
					}
				}
				// What is signed as one algorithm is not signed as another.
				for _, another := range known.signing {
					in := verify(mine, message, signed.Signature)
					in.SigningAlgorithm, in.MessageType = another, ""
					if _, err := apitest.Call[kms.VerifyOutput](t, p.admin, "kms:Verify", in); another != algorithm && err == nil {
						t.Errorf("a signature by %s passes for %s", algorithm, another)
					}
				}
				if as != kms.MessageTypeDigest {
					continue
				}
				for _, size := range []int{1, 20, len(right) - 1, len(right) + 1, 4096} {
					sign.Message = make([]byte, size)
					e := refused[kms.SignOutput](t, p.admin, "kms:Sign", sign, "ValidationException")
					if want := "Digest is invalid length for algorithm " + string(algorithm) + "."; e.Message != want {
						t.Errorf("%q, not %q", e.Message, want)
					}
					refused[kms.VerifyOutput](t, p.admin, "kms:Verify", verify(mine, sign.Message, signed.Signature), "ValidationException")
				}
			}
		}
	}
}

// The private key that is read once is gone when its material is.
func TestPrivateKeyGoesWithItsMaterial(t *testing.T) {
	p := plantedRig(t)
	material, _, err := generate(kms.KeySpecRsa2048)
	if err != nil {
		t.Fatal(err)
	}
	id := p.plant(t, kms.KeySpecRsa2048, kms.KeyUsageTypeSignVerify, material)
	in := &kms.SignInput{KeyId: id, SigningAlgorithm: pssSHA256, Message: []byte("x")}
	apitest.Must[kms.SignOutput](t, p.admin, "kms:Sign", in)
	m, ok := p.s.materials.Get(materialID{id, 1}, 1)
	if !ok || m.private == nil {
		t.Fatal("the key was not kept")
	}
	kept := m.private
	m.forget()
	if err := m.usePrivate(func(crypto.PrivateKey) error { return nil }); err != errEvicted || m.private != nil {
		t.Errorf("a key that is gone was used: %v", err)
	}
	k := kept.(*rsa.PrivateKey)
	for _, n := range []*big.Int{k.D, k.Primes[0], k.Primes[1], k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv} {
		for _, word := range n.Bits() {
			if word != 0 {
				t.Fatal("its numbers are not overwritten")
			}
		}
	}
	p.s.materials.Drop(materialID{id, 1})
	apitest.Must[kms.SignOutput](t, p.admin, "kms:Sign", in)
}

// Who can write the store cannot make a key that signs one that decrypts: what was
// sealed for the one does not open for the other.
func TestAKeyIsForWhatItWasMadeFor(t *testing.T) {
	p := plantedRig(t)
	k := newTestKey(t, p.admin, &kms.CreateKeyInput{KeySpec: kms.KeySpecRsa2048, KeyUsage: kms.KeyUsageTypeSignVerify})
	if err := p.Store.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec("UPDATE kms_keys SET usage = ? WHERE id = ?", string(kms.KeyUsageTypeEncryptDecrypt), k.KeyId); err != nil {
			return err
		}
		return tx.Touch(versionKey(k.KeyId))
	}); err != nil {
		t.Fatal(err)
	}
	p.s.materials.Drop(materialID{k.KeyId, 1})
	refused[kms.DecryptOutput](t, p.admin, "kms:Decrypt", &kms.DecryptInput{
		KeyId: k.KeyId, EncryptionAlgorithm: oaep, CiphertextBlob: make([]byte, 256),
	}, "InternalFailure")
}
