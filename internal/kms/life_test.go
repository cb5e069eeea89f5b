package kms

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// A life is a service whose clock and tender a test moves, and its administrator.
type life struct {
	*apitest.Rig
	service *Service
	admin   *apitest.Caller
}

func newLife(t testing.TB) *life {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return newLifeOver(t, st, dir)
}

func newLifeOver(t testing.TB, st *store.Store, dir string) *life {
	t.Helper()
	rig, s := newRigWith(t, st, dir)
	return &life{rig, s, rig.User(t, apitest.Account, "admin", apitest.Admin)}
}

// lives runs a test on both databases.
func lives(t *testing.T, test func(*testing.T, *life)) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		test(t, newLifeOver(t, open(t), t.TempDir()))
	})
}

// pass lets time pass, and what is due be done.
func (l *life) pass(t testing.TB, d time.Duration) {
	t.Helper()
	l.Advance(d)
	if err := l.service.tend(t.Context(), l.Store); err != nil {
		t.Fatal(err)
	}
}

const days = 24 * time.Hour

func (l *life) describe(t testing.TB, id string) *kms.KeyMetadata {
	t.Helper()
	return apitest.Must[kms.DescribeKeyOutput](t, l.admin, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: id}).KeyMetadata
}

func (l *life) encrypt(t testing.TB, id, text string) []byte {
	t.Helper()
	return apitest.Must[kms.EncryptOutput](t, l.admin, "kms:Encrypt", &kms.EncryptInput{KeyId: id, Plaintext: []byte(text)}).CiphertextBlob
}

// opens fails unless the ciphertext opens to the text, and answers under which
// material.
func (l *life) opens(t testing.TB, blob []byte, text string) string {
	t.Helper()
	out := apitest.Must[kms.DecryptOutput](t, l.admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob})
	if string(out.Plaintext) != text {
		t.Fatalf("it opens to %q, not %q", out.Plaintext, text)
	}
	return out.KeyMaterialId
}

// rotations lists a key's materials.
func (l *life) rotations(t testing.TB, id string) []kms.RotationsListEntry {
	t.Helper()
	return apitest.Must[kms.ListKeyRotationsOutput](t, l.admin, "kms:ListKeyRotations", &kms.ListKeyRotationsInput{
		KeyId: id, IncludeKeyMaterial: kms.IncludeKeyMaterialAllKeyMaterial,
	}).Rotations
}

func (l *life) external(t testing.TB, spec kms.KeySpec, usage kms.KeyUsageType) *kms.KeyMetadata {
	t.Helper()
	return newTestKey(t, l.admin, &kms.CreateKeyInput{Origin: kms.OriginTypeExternal, KeySpec: spec, KeyUsage: usage})
}

var wrappingKey = func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}()

// wrapped fills an import of material with a token that the service would have made:
// tests that are not about tokens need not wait for an RSA key each.
func (l *life) wrapped(t testing.TB, arn string, material []byte, in kms.ImportKeyMaterialInput) *kms.ImportKeyMaterialInput {
	t.Helper()
	var err error
	in.KeyId = arn
	in.ImportToken, err = l.service.sealToken(arn, kms.AlgorithmSpecRsaAesKeyWrapSha256, l.Now().Add(time.Hour), encoded(t, wrappingKey))
	if err != nil {
		t.Fatal(err)
	}
	kek := make([]byte, 32)
	rand.Read(kek)
	outer, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &wrappingKey.PublicKey, kek, nil)
	if err != nil {
		t.Fatal(err)
	}
	in.EncryptedKeyMaterial = append(outer, wrapPadded(t, kek, material)...)
	if in.ExpirationModel == "" && in.ValidTo.IsZero() {
		in.ExpirationModel = kms.ExpirationModelTypeKeyMaterialDoesNotExpire
	}
	return &in
}

func (l *life) bring(t testing.TB, arn string, material []byte, in kms.ImportKeyMaterialInput) string {
	t.Helper()
	return apitest.Must[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", l.wrapped(t, arn, material, in)).KeyMaterialId
}

func bytes32() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}
