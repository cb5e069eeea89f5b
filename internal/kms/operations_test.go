package kms

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/trail"
)

// try makes a call as a user, whatever it answers.
func try(t testing.TB, rig *apitest.Rig, who *apitest.Caller, action string, in any) (any, *api.Error) {
	t.Helper()
	call, err := rig.Door.Begin(context.Background(), api.Claim{Kind: api.KindUser, Account: who.Entity.Account, ID: who.Entity.ID}, "")
	if err != nil {
		t.Fatal(err)
	}
	out, err := api.InvokeAny(context.Background(), call, "kms:"+action, in)
	var refusal *api.Error
	if err != nil && !errors.As(err, &refusal) {
		t.Fatalf("%s: %v is not for the world", action, err)
	}
	return out, refusal
}

// A trial is an operation with a key that it is for, and what it takes to succeed.
type trial struct {
	action string
	spec   kms.KeySpec
	usage  kms.KeyUsageType
	key    string
	in     func(key string, dry *bool) any
}

const (
	pssSHA256 = kms.SigningAlgorithmSpecRsassaPssSha256
	oaep      = kms.EncryptionAlgorithmSpecRsaesOaepSha256
)

const marker = "MARKER-of-a-message-that-no-record-may-hold"

// trials are all operations that use material, each with a fresh key.
func trials(t *testing.T, admin *apitest.Caller) []trial {
	t.Helper()
	message := []byte(marker)
	key := func(spec kms.KeySpec, usage kms.KeyUsageType) string {
		return newTestKey(t, admin, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage}).KeyId
	}
	sym := func() string { return key(kms.KeySpecSymmetricDefault, kms.KeyUsageTypeEncryptDecrypt) }
	seal := func(k string, algorithm kms.EncryptionAlgorithmSpec) []byte {
		return apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k, Plaintext: message, EncryptionAlgorithm: algorithm}).CiphertextBlob
	}
	signer, verifier := key(kms.KeySpecEccNistP256, kms.KeyUsageTypeSignVerify), key(kms.KeySpecRsa2048, kms.KeyUsageTypeSignVerify)
	signature := apitest.Must[kms.SignOutput](t, admin, "kms:Sign", &kms.SignInput{KeyId: verifier, Message: message, SigningAlgorithm: pssSHA256}).Signature
	macker, checker := key(kms.KeySpecHmac384, kms.KeyUsageTypeGenerateVerifyMac), key(kms.KeySpecHmac256, kms.KeyUsageTypeGenerateVerifyMac)
	mac := apitest.Must[kms.GenerateMacOutput](t, admin, "kms:GenerateMac", &kms.GenerateMacInput{KeyId: checker, Message: message, MacAlgorithm: kms.MacAlgorithmSpecHmacSha256}).Mac
	agreeing := key(kms.KeySpecEccNistP521, kms.KeyUsageTypeKeyAgreement)
	peer := apitest.Must[kms.GetPublicKeyOutput](t, admin, "kms:GetPublicKey", &kms.GetPublicKeyInput{KeyId: key(kms.KeySpecEccNistP521, kms.KeyUsageTypeKeyAgreement)}).PublicKey
	decrypter, rsaDecrypter, source, target := sym(), key(kms.KeySpecRsa2048, kms.KeyUsageTypeEncryptDecrypt), sym(), sym()
	symBlob, rsaBlob, sourceBlob, forTarget := seal(decrypter, ""), seal(rsaDecrypter, oaep), seal(source, ""), seal(sym(), "")
	encrypter, goal := key(kms.KeySpecRsa2048, kms.KeyUsageTypeEncryptDecrypt), sym()
	const (
		symSpec, rsa                   = kms.KeySpecSymmetricDefault, kms.KeySpecRsa2048
		crypt, signs, macs, agreements = kms.KeyUsageTypeEncryptDecrypt, kms.KeyUsageTypeSignVerify, kms.KeyUsageTypeGenerateVerifyMac, kms.KeyUsageTypeKeyAgreement
	)
	return []trial{
		{"Encrypt", symSpec, crypt, sym(), func(k string, dry *bool) any { return &kms.EncryptInput{KeyId: k, Plaintext: message, DryRun: dry} }},
		{"Encrypt", rsa, crypt, encrypter, func(k string, dry *bool) any {
			return &kms.EncryptInput{KeyId: k, Plaintext: message, EncryptionAlgorithm: oaep, DryRun: dry}
		}},
		{"Decrypt", symSpec, crypt, decrypter, func(k string, dry *bool) any {
			return &kms.DecryptInput{KeyId: k, CiphertextBlob: symBlob, DryRun: dry}
		}},
		{"Decrypt", rsa, crypt, rsaDecrypter, func(k string, dry *bool) any {
			return &kms.DecryptInput{KeyId: k, CiphertextBlob: rsaBlob, EncryptionAlgorithm: oaep, DryRun: dry}
		}},
		{"ReEncrypt", symSpec, crypt, source, func(k string, dry *bool) any {
			return &kms.ReEncryptInput{SourceKeyId: k, CiphertextBlob: sourceBlob, DestinationKeyId: goal, DryRun: dry}
		}},
		{"ReEncrypt", symSpec, crypt, target, func(k string, dry *bool) any {
			return &kms.ReEncryptInput{CiphertextBlob: forTarget, DestinationKeyId: k, DryRun: dry}
		}},
		{"GenerateDataKey", symSpec, crypt, sym(), func(k string, dry *bool) any {
			return &kms.GenerateDataKeyInput{KeyId: k, KeySpec: kms.DataKeySpecAes256, DryRun: dry}
		}},
		{"GenerateDataKeyWithoutPlaintext", symSpec, crypt, sym(), func(k string, dry *bool) any {
			return &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: k, KeySpec: kms.DataKeySpecAes128, DryRun: dry}
		}},
		{"GenerateDataKeyPair", symSpec, crypt, sym(), func(k string, dry *bool) any {
			return &kms.GenerateDataKeyPairInput{KeyId: k, KeyPairSpec: kms.DataKeyPairSpecEccNistP256, DryRun: dry}
		}},
		{"GenerateDataKeyPairWithoutPlaintext", symSpec, crypt, sym(), func(k string, dry *bool) any {
			return &kms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: k, KeyPairSpec: kms.DataKeyPairSpecEccNistP384, DryRun: dry}
		}},
		{"Sign", kms.KeySpecEccNistP256, signs, signer, func(k string, dry *bool) any {
			return &kms.SignInput{KeyId: k, Message: message, SigningAlgorithm: kms.SigningAlgorithmSpecEcdsaSha256, DryRun: dry}
		}},
		{"Verify", rsa, signs, verifier, func(k string, dry *bool) any {
			return &kms.VerifyInput{KeyId: k, Message: message, SigningAlgorithm: pssSHA256, Signature: signature, DryRun: dry}
		}},
		{"GenerateMac", kms.KeySpecHmac384, macs, macker, func(k string, dry *bool) any {
			return &kms.GenerateMacInput{KeyId: k, Message: message, MacAlgorithm: kms.MacAlgorithmSpecHmacSha384, DryRun: dry}
		}},
		{"VerifyMac", kms.KeySpecHmac256, macs, checker, func(k string, dry *bool) any {
			return &kms.VerifyMacInput{KeyId: k, Message: message, MacAlgorithm: kms.MacAlgorithmSpecHmacSha256, Mac: mac, DryRun: dry}
		}},
		{"DeriveSharedSecret", kms.KeySpecEccNistP521, agreements, agreeing, func(k string, dry *bool) any {
			return &kms.DeriveSharedSecretInput{KeyId: k, KeyAgreementAlgorithm: kms.KeyAgreementAlgorithmSpecEcdh, PublicKey: peer, DryRun: dry}
		}},
	}
}

// What a call would do, a dry run is told: nothing, but whether it would be done.
func TestDryRun(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	nobody := rig.User(t, apitest.Account, "nobody")
	yes, no := true, false
	for _, o := range trials(t, admin) {
		t.Run(o.action+" "+string(o.spec), func(t *testing.T) {
			if out, err := try(t, rig, admin, o.action, o.in(o.key, &yes)); err == nil || err.Code != "DryRunOperationException" || err.Status != 412 {
				t.Errorf("a dry run answers %v, %v", out, err)
			}
			if _, err := try(t, rig, nobody, o.action, o.in(o.key, &yes)); err == nil || err.Code != "AccessDenied" {
				t.Errorf("who may not hears %v of a dry run", err)
			}
			if _, err := try(t, rig, admin, o.action, o.in(o.key, &no)); err != nil {
				t.Errorf("without a dry run: %v", err)
			}
			apitest.Must[kms.DisableKeyOutput](t, admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: o.key})
			if _, err := try(t, rig, admin, o.action, o.in(o.key, &yes)); err == nil || err.Code != "DisabledException" {
				t.Errorf("of a disabled key a dry run says %v", err)
			}
			apitest.Must[kms.EnableKeyOutput](t, admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: o.key})
		})
	}
	// It looks at what the call would look at.
	k := newTestKey(t, admin, nil)
	blob := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil)).CiphertextBlob
	bent := slices.Clone(blob)
	bent[len(bent)-1] ^= 1
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: bent, DryRun: &yes}, "InvalidCiphertextException")
	refused[kms.ReEncryptOutput](t, admin, "kms:ReEncrypt", &kms.ReEncryptInput{CiphertextBlob: bent, DestinationKeyId: k.KeyId, DryRun: &yes}, "InvalidCiphertextException")
}

// The record says which key was used and how, and nothing of what went through it.
func TestRecordsOfCryptography(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	secrets := []string{marker}
	for _, o := range trials(t, admin) {
		out, err := try(t, rig, admin, o.action, o.in(o.key, nil))
		if err != nil {
			t.Fatal(err)
		}
		switch out := out.(type) {
		case *kms.GenerateDataKeyOutput:
			secrets = append(secrets, string(out.Plaintext))
		case *kms.GenerateDataKeyPairOutput:
			secrets = append(secrets, string(out.PrivateKeyPlaintext[40:60]))
		case *kms.DeriveSharedSecretOutput:
			secrets = append(secrets, string(out.SharedSecret[:20]))
		case *kms.GenerateMacOutput:
			secrets = append(secrets, string(out.Mac))
		case *kms.SignOutput:
			secrets = append(secrets, string(out.Signature))
		}
		r := rig.Records(t, apitest.Account, o.action)[0]
		named := slices.ContainsFunc(r.Resources, func(r trail.Resource) bool { return strings.HasSuffix(r.ARN, "key/"+o.key) })
		if !named || o.action == "ReEncrypt" && len(r.Resources) != 2 || len(r.ResponseElements) > 0 || !r.ReadOnly {
			t.Errorf("%s is recorded as %+v", o.action, r)
		}
		asked := algorithmOf(o.in(o.key, nil))
		if asked != string(symmetric) && !strings.Contains(string(r.RequestParameters), asked) {
			t.Errorf("%s: the record does not say by which algorithm: %s", o.action, r.RequestParameters)
		}
	}
	for _, secret := range secrets {
		apitest.NoPlaintext(t, rig.Dir, secret)
	}
}

// A key that is disabled, about to be destroyed or without material does nothing, from
// the next call on.
func TestStatesOfKeys(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	for _, o := range trials(t, admin) {
		t.Run(o.action+" "+string(o.spec), func(t *testing.T) {
			expect := func(code string) {
				t.Helper()
				_, err := try(t, rig, admin, o.action, o.in(o.key, nil))
				if code == "" && err != nil || code != "" && (err == nil || err.Code != code) {
					t.Errorf("%v, not %q", err, code)
				}
			}
			expect("")
			apitest.Must[kms.DisableKeyOutput](t, admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: o.key})
			expect("DisabledException")
			apitest.Must[kms.EnableKeyOutput](t, admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: o.key})
			expect("")
			apitest.Must[kms.ScheduleKeyDeletionOutput](t, admin, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: o.key})
			expect("KMSInvalidStateException")

			empty := newTestKey(t, admin, &kms.CreateKeyInput{KeySpec: o.spec, KeyUsage: o.usage, Origin: kms.OriginTypeExternal}).KeyId
			if _, err := try(t, rig, admin, o.action, o.in(empty, nil)); err == nil || err.Code != "KMSInvalidStateException" {
				t.Errorf("a key without material: %v", err)
			}
		})
	}
	k := newTestKey(t, admin, &kms.CreateKeyInput{KeySpec: kms.KeySpecEccNistP256, KeyUsage: kms.KeyUsageTypeSignVerify}).KeyId
	apitest.Must[kms.GetPublicKeyOutput](t, admin, "kms:GetPublicKey", &kms.GetPublicKeyInput{KeyId: k})
	apitest.Must[kms.DisableKeyOutput](t, admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k})
	refused[kms.GetPublicKeyOutput](t, admin, "kms:GetPublicKey", &kms.GetPublicKeyInput{KeyId: k}, "DisabledException")
	apitest.Must[kms.ScheduleKeyDeletionOutput](t, admin, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: k})
	refused[kms.GetPublicKeyOutput](t, admin, "kms:GetPublicKey", &kms.GetPublicKeyInput{KeyId: k}, "KMSInvalidStateException")
}

// Each operation meets a key of each spec and usage: it works with those alone that
// have its algorithm and are for it.
func TestKeysAreForOneUse(t *testing.T) {
	p := plantedRig(t)
	all := trials(t, p.admin)
	for name, spec := range specs {
		made := name
		if strings.HasPrefix(string(name), "RSA_") {
			made = kms.KeySpecRsa2048 // the others take seconds to make
		}
		material, public, err := generate(made)
		if err != nil {
			t.Fatal(err)
		}
		for _, usage := range spec.usages {
			id := p.plant(t, name, usage, material)
			for _, o := range all {
				in := o.in(id, nil)
				asked := algorithmOf(in)
				_, err := try(t, p.Rig, p.admin, o.action, in)
				fits := usage == o.usage && knows(spec.of(usage), asked)
				switch {
				case !fits && (err == nil || err.Code != "InvalidKeyUsageException"):
					t.Errorf("%s with a key for %s of %s: %v", o.action, usage, name, err)
				case fits && err != nil && (err.Code == "InvalidKeyUsageException" || err.Status != 400):
					t.Errorf("%s with a key for %s of %s: %v", o.action, usage, name, err)
				case !fits && usage != o.usage:
					if want := "key usage is " + string(usage) + " which is not valid for " + o.action + "."; !strings.HasSuffix(err.Message, want) {
						t.Errorf("%q does not end in %q", err.Message, want)
					}
				case !fits:
					if want := "Algorithm " + asked + " is incompatible with key spec " + string(name) + "."; err.Message != want {
						t.Errorf("%q, not %q", err.Message, want)
					}
				}
			}
			_, err := try(t, p.Rig, p.admin, "GetPublicKey", &kms.GetPublicKeyInput{KeyId: id})
			if got := err == nil; got != (public != nil) || !got && err.Code != "UnsupportedOperationException" {
				t.Errorf("GetPublicKey of a key of %s: %v", name, err)
			}
		}
	}
}

// algorithmOf is what a trial asks of the key that stands in its first place.
func algorithmOf(in any) string {
	switch in := in.(type) {
	case *kms.EncryptInput:
		return string(cmp.Or(in.EncryptionAlgorithm, symmetric))
	case *kms.DecryptInput:
		return string(cmp.Or(in.EncryptionAlgorithm, symmetric))
	case *kms.SignInput:
		return string(in.SigningAlgorithm)
	case *kms.VerifyInput:
		return string(in.SigningAlgorithm)
	case *kms.GenerateMacInput:
		return string(in.MacAlgorithm)
	case *kms.VerifyMacInput:
		return string(in.MacAlgorithm)
	case *kms.DeriveSharedSecretInput:
		return string(in.KeyAgreementAlgorithm)
	}
	return string(symmetric)
}

func knows(p spec, algorithm string) bool {
	return slices.Contains(p.encryption, kms.EncryptionAlgorithmSpec(algorithm)) || slices.Contains(p.signing, kms.SigningAlgorithmSpec(algorithm)) ||
		slices.Contains(p.mac, kms.MacAlgorithmSpec(algorithm)) || slices.Contains(p.agreement, kms.KeyAgreementAlgorithmSpec(algorithm))
}
