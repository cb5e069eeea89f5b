package kms

import (
	"context"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/uuid"
)

// caller opens the door once; each call below is a whole one, with its decision
// and its durable record.
func caller(b *testing.B, rig *apitest.Rig, c *apitest.Caller) *api.Call {
	b.Helper()
	call, err := rig.Door.Begin(context.Background(), api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: c.Entity.ID}, "")
	if err != nil {
		b.Fatal(err)
	}
	return call
}

func BenchmarkEncrypt(b *testing.B) {
	rig := newRig(b)
	admin := rig.User(b, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(b, admin, nil)
	call := caller(b, rig, admin)
	in := &kms.EncryptInput{KeyId: k.KeyId, Plaintext: make([]byte, 256), EncryptionContext: map[string]string{"purpose": "bench"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := api.Invoke[kms.EncryptOutput](b.Context(), call, "kms:Encrypt", in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	rig := newRig(b)
	admin := rig.User(b, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(b, admin, nil)
	context := map[string]string{"purpose": "bench"}
	blob := apitest.Must[kms.EncryptOutput](b, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k.KeyId, Plaintext: make([]byte, 256), EncryptionContext: context}).CiphertextBlob
	call := caller(b, rig, admin)
	in := &kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: context}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := api.Invoke[kms.DecryptOutput](b.Context(), call, "kms:Decrypt", in); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkSign is a whole call of Sign.
func benchmarkSign(b *testing.B, spec kms.KeySpec, algorithm kms.SigningAlgorithmSpec) {
	rig := newRig(b)
	admin := rig.User(b, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(b, admin, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: kms.KeyUsageTypeSignVerify})
	call := caller(b, rig, admin)
	in := &kms.SignInput{KeyId: k.KeyId, Message: make([]byte, 256), SigningAlgorithm: algorithm}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := api.Invoke[kms.SignOutput](b.Context(), call, "kms:Sign", in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignP256(b *testing.B) {
	benchmarkSign(b, kms.KeySpecEccNistP256, kms.SigningAlgorithmSpecEcdsaSha256)
}

func BenchmarkSignRSA2048(b *testing.B) {
	benchmarkSign(b, kms.KeySpecRsa2048, kms.SigningAlgorithmSpecRsassaPssSha256)
}

// BenchmarkSeal and BenchmarkOpen are the cryptography alone.
func BenchmarkSeal(b *testing.B) {
	k := &key{id: uuid.New(), version: 1}
	context, material, plaintext := map[string]string{"purpose": "bench"}, make([]byte, 32), make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sealUnder(k, material, plaintext, context); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	k := &key{id: uuid.New(), version: 1}
	context, material := map[string]string{"purpose": "bench"}, make([]byte, 32)
	blob, err := sealUnder(k, material, make([]byte, 256), context)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c, _ := parseCiphertext(blob)
		if _, err := c.open(material, context); err != nil {
			b.Fatal(err)
		}
	}
}
