package kms

import (
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// Each condition key of a cryptographic operation decides: alice may what her statement
// names, and nothing beside it.
func TestConditionKeysOfCryptography(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	alice := rig.User(t, apitest.Account, "alice")
	create := func(spec kms.KeySpec, usage kms.KeyUsageType) string {
		return newTestKey(t, admin, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage}).KeyId
	}
	sym, other := create(kms.KeySpecSymmetricDefault, ""), create(kms.KeySpecSymmetricDefault, "")
	rsa := create(kms.KeySpecRsa2048, kms.KeyUsageTypeEncryptDecrypt)
	signer := create(kms.KeySpecRsa2048, kms.KeyUsageTypeSignVerify)
	hmac := create(kms.KeySpecHmac256, kms.KeyUsageTypeGenerateVerifyMac)
	curve := create(kms.KeySpecEccNistP256, kms.KeyUsageTypeKeyAgreement)
	message, digest := []byte("a message"), make([]byte, 32)
	context := map[string]string{"team": "red"}

	pkcs1 := kms.SigningAlgorithmSpecRsassaPkcs1V15Sha256
	sign := func(algorithm kms.SigningAlgorithmSpec, as kms.MessageType) *kms.SignInput {
		in := &kms.SignInput{KeyId: signer, SigningAlgorithm: algorithm, MessageType: as, Message: message}
		if as == kms.MessageTypeDigest {
			in.Message = digest
		}
		return in
	}
	verify := func(in *kms.SignInput) *kms.VerifyInput {
		made := apitest.Must[kms.SignOutput](t, admin, "kms:Sign", in)
		return &kms.VerifyInput{KeyId: signer, SigningAlgorithm: in.SigningAlgorithm, MessageType: in.MessageType, Message: in.Message, Signature: made.Signature}
	}
	mac := apitest.Must[kms.GenerateMacOutput](t, admin, "kms:GenerateMac", &kms.GenerateMacInput{KeyId: hmac, MacAlgorithm: kms.MacAlgorithmSpecHmacSha256, Message: message}).Mac
	peer := apitest.Must[kms.GetPublicKeyOutput](t, admin, "kms:GetPublicKey", &kms.GetPublicKeyInput{KeyId: curve}).PublicKey
	byRSA := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: rsa, Plaintext: message, EncryptionAlgorithm: oaep}).CiphertextBlob
	bySym := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: sym, Plaintext: message, EncryptionContext: context}).CiphertextBlob
	byOther := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: other, Plaintext: message}).CiphertextBlob
	reEncrypt := func(blob []byte, from map[string]string, to string, algorithm kms.EncryptionAlgorithmSpec) *kms.ReEncryptInput {
		return &kms.ReEncryptInput{CiphertextBlob: blob, SourceEncryptionContext: from, DestinationKeyId: to, DestinationEncryptionAlgorithm: algorithm}
	}
	pair := func(spec kms.DataKeyPairSpec) *kms.GenerateDataKeyPairInput {
		return &kms.GenerateDataKeyPairInput{KeyId: sym, KeyPairSpec: spec}
	}
	sealedPair := func(spec kms.DataKeyPairSpec) *kms.GenerateDataKeyPairWithoutPlaintextInput {
		return &kms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: sym, KeyPairSpec: spec}
	}
	sealedKey := func(context map[string]string) *kms.GenerateDataKeyWithoutPlaintextInput {
		return &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: sym, KeySpec: kms.DataKeySpecAes256, EncryptionContext: context}
	}
	free := `"kms:ReEncrypt*"`

	for _, test := range []struct {
		key, action, condition string
		good, bad              any
		operation              string
	}{
		{signer, `"kms:Sign"`, `{"kms:SigningAlgorithm":"RSASSA_PSS_SHA_256"}`, sign(pssSHA256, ""), sign(pkcs1, ""), "Sign"},
		{signer, `"kms:Sign"`, `{"kms:MessageType":"RAW"}`, sign(pkcs1, ""), sign(pkcs1, "DIGEST"), "Sign"},
		{signer, `"kms:Sign"`, `{"kms:MessageType":"DIGEST"}`, sign(pkcs1, "DIGEST"), sign(pkcs1, ""), "Sign"},
		{signer, `"kms:Verify"`, `{"kms:SigningAlgorithm":"RSASSA_PSS_SHA_256"}`, verify(sign(pssSHA256, "")), verify(sign(pkcs1, "")), "Verify"},
		{signer, `"kms:Verify"`, `{"kms:MessageType":"DIGEST"}`, verify(sign(pkcs1, "DIGEST")), verify(sign(pkcs1, "")), "Verify"},
		{hmac, `"kms:GenerateMac"`, `{"kms:MacAlgorithm":"HMAC_SHA_256"}`, &kms.GenerateMacInput{KeyId: hmac, MacAlgorithm: "HMAC_SHA_256", Message: message},
			&kms.GenerateMacInput{KeyId: hmac, MacAlgorithm: "HMAC_SHA_512", Message: message}, "GenerateMac"},
		{hmac, `"kms:VerifyMac"`, `{"kms:MacAlgorithm":"HMAC_SHA_256"}`, &kms.VerifyMacInput{KeyId: hmac, MacAlgorithm: "HMAC_SHA_256", Message: message, Mac: mac},
			&kms.VerifyMacInput{KeyId: hmac, MacAlgorithm: "HMAC_SHA_384", Message: message, Mac: mac}, "VerifyMac"},
		{curve, `"kms:DeriveSharedSecret"`, `{"kms:KeyAgreementAlgorithm":"ECDH"}`, &kms.DeriveSharedSecretInput{KeyId: curve, KeyAgreementAlgorithm: "ECDH", PublicKey: peer}, nil, "DeriveSharedSecret"},
		{curve, `"kms:DeriveSharedSecret"`, `{"kms:KeyAgreementAlgorithm":"another"}`, nil, &kms.DeriveSharedSecretInput{KeyId: curve, KeyAgreementAlgorithm: "ECDH", PublicKey: peer}, "DeriveSharedSecret"},
		{sym, `"kms:GenerateDataKeyPair"`, `{"kms:DataKeyPairSpec":"ECC_NIST_P384"}`, pair("ECC_NIST_P384"), pair("ECC_NIST_P256"), "GenerateDataKeyPair"},
		{sym, `"kms:GenerateDataKeyPairWithoutPlaintext"`, `{"kms:DataKeyPairSpec":"ECC_NIST_P256"}`, sealedPair("ECC_NIST_P256"), sealedPair("ECC_NIST_EDWARDS25519"), "GenerateDataKeyPairWithoutPlaintext"},
		{sym, `"kms:GenerateDataKeyWithoutPlaintext"`, `{"kms:EncryptionContext:team":"red"}`, sealedKey(context), sealedKey(nil), "GenerateDataKeyWithoutPlaintext"},
		{rsa, `"kms:Encrypt"`, `{"kms:EncryptionAlgorithm":"RSAES_OAEP_SHA_256"}`, &kms.EncryptInput{KeyId: rsa, Plaintext: message, EncryptionAlgorithm: oaep},
			&kms.EncryptInput{KeyId: rsa, Plaintext: message, EncryptionAlgorithm: "RSAES_OAEP_SHA_1"}, "Encrypt"},
		{rsa, `"kms:Decrypt"`, `{"kms:EncryptionAlgorithm":"RSAES_OAEP_SHA_256"}`, &kms.DecryptInput{KeyId: rsa, CiphertextBlob: byRSA, EncryptionAlgorithm: oaep},
			&kms.DecryptInput{KeyId: rsa, CiphertextBlob: byRSA}, "Decrypt"},
		{sym, free, `{"kms:ReEncryptOnSameKey":"true"}`, reEncrypt(bySym, context, sym, ""), reEncrypt(byOther, nil, sym, ""), "ReEncrypt"},
		{sym, free, `{"kms:ReEncryptOnSameKey":"false"}`, reEncrypt(byOther, nil, sym, ""), reEncrypt(bySym, context, sym, ""), "ReEncrypt"},
		{sym, `"kms:ReEncryptFrom"`, `{"kms:EncryptionContext:team":"red"}`, reEncrypt(bySym, context, other, ""), reEncrypt(bySym, map[string]string{"team": "blue"}, other, ""), "ReEncrypt"},
		{rsa, `"kms:ReEncryptTo"`, `{"kms:EncryptionAlgorithm":"RSAES_OAEP_SHA_256"}`, reEncrypt(byOther, nil, rsa, oaep), reEncrypt(byOther, nil, rsa, ""), "ReEncrypt"},
		// One of the two demands is not the other.
		{sym, `"kms:ReEncryptFrom"`, `{"kms:CallerAccount":"` + apitest.Account + `"}`, reEncrypt(bySym, context, other, ""), reEncrypt(byOther, nil, sym, ""), "ReEncrypt"},
		{sym, `"kms:ReEncryptTo"`, `{"kms:CallerAccount":"` + apitest.Account + `"}`, reEncrypt(byOther, nil, sym, ""), reEncrypt(bySym, context, other, ""), "ReEncrypt"},
	} {
		t.Run(test.operation+test.condition, func(t *testing.T) {
			put := func(key, text string) {
				t.Helper()
				apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: key, Policy: text})
			}
			put(other, document(allow(rootARN, `"kms:*"`, ""), allow(alice.Entity.ARN, free, "")))
			put(test.key, document(allow(rootARN, `"kms:*"`, ""), allow(alice.Entity.ARN, test.action, `,"Condition":{"StringEquals":`+test.condition+`}`)))
			if test.good != nil {
				if _, err := try(t, rig, alice, test.operation, test.good); err != nil {
					t.Errorf("refused what is allowed: %v", err)
				}
			}
			if test.bad != nil {
				if _, err := try(t, rig, alice, test.operation, test.bad); err == nil || err.Code != "AccessDenied" {
					t.Errorf("what is not allowed: %v", err)
				}
			}
			put(test.key, document(allow(rootARN, `"kms:*"`, "")))
		})
	}
}

func TestGenerateRandom(t *testing.T) {
	rig := newRig(t)
	some := rig.User(t, apitest.Account, "some", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:GenerateRandom","Resource":"*"}]}`)
	nobody := rig.User(t, apitest.Account, "nobody")
	seen := map[string]bool{}
	for _, n := range []int32{32, 32, 1024, 1} {
		out := apitest.Must[kms.GenerateRandomOutput](t, some, "kms:GenerateRandom", &kms.GenerateRandomInput{NumberOfBytes: &n})
		if len(out.Plaintext) != int(n) || n > 1 && seen[string(out.Plaintext[:32])] {
			t.Errorf("%d bytes: %x", n, out.Plaintext)
		}
		if n > 1 {
			seen[string(out.Plaintext[:32])] = true
		}
		refused[kms.GenerateRandomOutput](t, nobody, "kms:GenerateRandom", &kms.GenerateRandomInput{NumberOfBytes: &n}, "AccessDenied")
	}
	for _, n := range []int32{0, -1, 1025} {
		refused[kms.GenerateRandomOutput](t, some, "kms:GenerateRandom", &kms.GenerateRandomInput{NumberOfBytes: &n}, "ValidationException")
	}
	refused[kms.GenerateRandomOutput](t, some, "kms:GenerateRandom", &kms.GenerateRandomInput{}, "ValidationException")
}
