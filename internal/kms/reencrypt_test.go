package kms

import (
	"bytes"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

func TestReEncrypt(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	first, second := newTestKey(t, admin, nil), newTestKey(t, admin, nil)
	rsa := newTestKey(t, admin, &kms.CreateKeyInput{KeySpec: kms.KeySpecRsa2048, KeyUsage: kms.KeyUsageTypeEncryptDecrypt})
	red, blue := map[string]string{"team": "red"}, map[string]string{"team": "blue"}
	secret := []byte("a secret")
	blob := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: first.KeyId, Plaintext: secret, EncryptionContext: red}).CiphertextBlob

	out := apitest.Must[kms.ReEncryptOutput](t, admin, "kms:ReEncrypt", &kms.ReEncryptInput{
		CiphertextBlob: blob, SourceEncryptionContext: red, DestinationKeyId: second.KeyId, DestinationEncryptionContext: blue,
	})
	if out.KeyId != second.Arn || out.SourceKeyId != first.Arn || out.SourceEncryptionAlgorithm != symmetric || out.DestinationEncryptionAlgorithm != symmetric ||
		out.SourceKeyMaterialId != first.CurrentKeyMaterialId || out.DestinationKeyMaterialId != second.CurrentKeyMaterialId {
		t.Errorf("%+v", out)
	}
	back := apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob, EncryptionContext: blue})
	if !bytes.Equal(back.Plaintext, secret) || back.KeyId != second.Arn {
		t.Errorf("%q of %s", back.Plaintext, back.KeyId)
	}
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob, EncryptionContext: red}, "InvalidCiphertextException")

	to := apitest.Must[kms.ReEncryptOutput](t, admin, "kms:ReEncrypt", &kms.ReEncryptInput{
		CiphertextBlob: blob, SourceKeyId: first.Arn, SourceEncryptionContext: red, DestinationKeyId: rsa.KeyId, DestinationEncryptionAlgorithm: oaep,
	})
	if len(to.CiphertextBlob) != 256 || to.DestinationKeyMaterialId != "" {
		t.Errorf("%+v", to)
	}
	again := apitest.Must[kms.ReEncryptOutput](t, admin, "kms:ReEncrypt", &kms.ReEncryptInput{
		CiphertextBlob: to.CiphertextBlob, SourceKeyId: rsa.KeyId, SourceEncryptionAlgorithm: oaep, DestinationKeyId: first.KeyId,
	})
	if got := apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: again.CiphertextBlob}).Plaintext; !bytes.Equal(got, secret) {
		t.Errorf("%q came back", got)
	}

	wrong := func(code string, change func(*kms.ReEncryptInput)) {
		t.Helper()
		in := &kms.ReEncryptInput{CiphertextBlob: blob, SourceEncryptionContext: red, DestinationKeyId: second.KeyId}
		change(in)
		refused[kms.ReEncryptOutput](t, admin, "kms:ReEncrypt", in, code)
	}
	wrong("InvalidCiphertextException", func(in *kms.ReEncryptInput) { in.SourceEncryptionContext = blue })
	wrong("InvalidCiphertextException", func(in *kms.ReEncryptInput) { in.CiphertextBlob = blob[1:] })
	wrong("IncorrectKeyException", func(in *kms.ReEncryptInput) { in.SourceKeyId = second.KeyId })
	wrong("ValidationException", func(in *kms.ReEncryptInput) { in.SourceEncryptionAlgorithm = oaep })
	wrong("InvalidKeyUsageException", func(in *kms.ReEncryptInput) { in.DestinationEncryptionAlgorithm = oaep })
	wrong("InvalidKeyUsageException", func(in *kms.ReEncryptInput) { in.DestinationKeyId = rsa.KeyId })
	wrong("ValidationException", func(in *kms.ReEncryptInput) {
		in.DestinationKeyId, in.DestinationEncryptionAlgorithm, in.DestinationEncryptionContext = rsa.KeyId, oaep, blue
	})
	wrong("NotFoundException", func(in *kms.ReEncryptInput) { in.DestinationKeyId = "alias/none" })
	large := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: first.KeyId, Plaintext: make([]byte, 191)}).CiphertextBlob
	wrong("ValidationException", func(in *kms.ReEncryptInput) {
		in.CiphertextBlob, in.SourceEncryptionContext, in.DestinationKeyId, in.DestinationEncryptionAlgorithm = large, nil, rsa.KeyId, oaep
	})
}

// A ciphertext tells nobody which key it is of, whatever he asks to be done with it; and
// who may open it need not be who may move it.
func TestReEncryptHidesItsSource(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	eve := rig.User(t, apitest.Other, "eve", apitest.Admin)
	poor := rig.User(t, apitest.Account, "poor", document(`{"Effect":"Allow","Action":["kms:Decrypt","kms:Encrypt","kms:ReEncryptTo"],"Resource":"*"}`))
	k := newTestKey(t, admin, nil)
	own := newTestKey(t, eve, nil)
	blob := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil)).CiphertextBlob
	gone := append(appendHeader(nil, &key{id: "11111111-2222-4333-8444-555555555555", version: 1}), blob[ciphertextHeader:]...)

	there := refused[kms.ReEncryptOutput](t, eve, "kms:ReEncrypt", &kms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: own.KeyId}, "AccessDenied")
	absent := refused[kms.ReEncryptOutput](t, eve, "kms:ReEncrypt", &kms.ReEncryptInput{CiphertextBlob: gone, DestinationKeyId: own.KeyId}, "AccessDenied")
	if there.Message != absent.Message || strings.Contains(there.Message, apitest.Account) {
		t.Errorf("%q and %q", there.Message, absent.Message)
	}
	for _, r := range rig.Records(t, apitest.Other, "ReEncrypt") {
		for _, named := range r.Resources {
			if named.Account != apitest.Other {
				t.Errorf("a record of the refusal names %s", named.ARN)
			}
		}
	}
	mine := refused[kms.ReEncryptOutput](t, poor, "kms:ReEncrypt", &kms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: k.KeyId}, "AccessDenied")
	if mine.Message != absent.Message {
		t.Errorf("%q and %q", mine.Message, absent.Message)
	}
	apitest.Must[kms.DecryptOutput](t, poor, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob})

	// Named, the key is known to the caller already, and the refusal says what is missing.
	named := refused[kms.ReEncryptOutput](t, poor, "kms:ReEncrypt", &kms.ReEncryptInput{CiphertextBlob: blob, SourceKeyId: k.KeyId, DestinationKeyId: k.KeyId}, "AccessDenied")
	if !strings.Contains(named.Message, "kms:ReEncryptFrom") {
		t.Error(named.Message)
	}
}
