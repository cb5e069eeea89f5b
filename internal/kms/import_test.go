package kms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

func (l *life) parameters(t testing.TB, id string, algorithm kms.AlgorithmSpec, spec kms.WrappingKeySpec) *kms.GetParametersForImportOutput {
	t.Helper()
	return apitest.Must[kms.GetParametersForImportOutput](t, l.admin, "kms:GetParametersForImport", &kms.GetParametersForImportInput{
		KeyId: id, WrappingAlgorithm: algorithm, WrappingKeySpec: spec,
	})
}

// seals wraps material as a customer does.
func seals(t testing.TB, p *kms.GetParametersForImportOutput, algorithm kms.AlgorithmSpec, material []byte) []byte {
	t.Helper()
	public, err := x509.ParsePKIXPublicKey(p.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	inner, outer := material, []byte(nil)
	if algorithm == kms.AlgorithmSpecRsaAesKeyWrapSha256 {
		inner = bytes32()
		outer = wrapPadded(t, inner, material)
	}
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), inner, nil)
	if err != nil {
		t.Fatal(err)
	}
	return append(sealed, outer...)
}

func encoded(t testing.TB, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func newECC(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestImportOfEverySpec(t *testing.T) {
	l := newLife(t)
	const oaepWrap, aesWrap = kms.AlgorithmSpecRsaesOaepSha256, kms.AlgorithmSpecRsaAesKeyWrapSha256
	signing, encrypting, macs := kms.KeyUsageTypeSignVerify, kms.KeyUsageTypeEncryptDecrypt, kms.KeyUsageTypeGenerateVerifyMac
	p256, p521 := newECC(t, elliptic.P256()), newECC(t, elliptic.P521())
	edwards := ed25519.NewKeyFromSeed(bytes32())
	big, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spec      kms.KeySpec
		usage     kms.KeyUsageType
		algorithm kms.AlgorithmSpec
		wrapping  kms.WrappingKeySpec
		material  []byte
		public    crypto.PublicKey
	}{
		{kms.KeySpecSymmetricDefault, encrypting, oaepWrap, kms.WrappingKeySpecRsa2048, bytes32(), nil},
		{kms.KeySpecSymmetricDefault, encrypting, aesWrap, kms.WrappingKeySpecRsa4096, bytes32(), nil},
		{kms.KeySpecHmac224, macs, oaepWrap, kms.WrappingKeySpecRsa3072, bytes.Repeat([]byte{1}, 28), nil},
		{kms.KeySpecHmac512, macs, oaepWrap, kms.WrappingKeySpecRsa2048, bytes.Repeat([]byte{1}, 64), nil},
		{kms.KeySpecEccNistP256, signing, oaepWrap, kms.WrappingKeySpecRsa2048, encoded(t, p256), p256.Public()},
		{kms.KeySpecEccNistP521, kms.KeyUsageTypeKeyAgreement, aesWrap, kms.WrappingKeySpecRsa2048, encoded(t, p521), p521.Public()},
		{kms.KeySpecEccNistEdwards25519, signing, oaepWrap, kms.WrappingKeySpecRsa2048, encoded(t, edwards), edwards.Public()},
		{kms.KeySpecRsa2048, signing, aesWrap, kms.WrappingKeySpecRsa2048, encoded(t, wrappingKey), wrappingKey.Public()},
		{kms.KeySpecRsa3072, encrypting, aesWrap, kms.WrappingKeySpecRsa3072, encoded(t, big), big.Public()},
	} {
		t.Run(string(c.spec+"/")+string(c.algorithm), func(t *testing.T) {
			k := l.external(t, c.spec, c.usage)
			if k.KeyState != kms.KeyStatePendingImport || *k.Enabled {
				t.Errorf("%+v", k)
			}
			p := l.parameters(t, k.KeyId, c.algorithm, c.wrapping)
			if d := p.ParametersValidTo.Sub(l.Now()); p.KeyId != k.Arn || d > 24*time.Hour || d < 24*time.Hour-time.Minute {
				t.Errorf("%s, until %s", p.KeyId, p.ParametersValidTo)
			}
			out := apitest.Must[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", &kms.ImportKeyMaterialInput{
				KeyId: k.KeyId, ImportToken: p.ImportToken, EncryptedKeyMaterial: seals(t, p, c.algorithm, c.material), ValidTo: l.Now().Add(time.Hour),
			})
			m := l.describe(t, k.KeyId)
			if out.KeyId != k.Arn || m.KeyState != kms.KeyStateEnabled || m.ExpirationModel != kms.ExpirationModelTypeKeyMaterialExpires || m.ValidTo.IsZero() || m.Origin != kms.OriginTypeExternal {
				t.Errorf("%+v", m)
			}
			if symmetric := c.spec == kms.KeySpecSymmetricDefault; symmetric != (out.KeyMaterialId != "") || out.KeyMaterialId != m.CurrentKeyMaterialId {
				t.Errorf("it is called %q", out.KeyMaterialId)
			}
			if c.public != nil {
				der, err := x509.MarshalPKIXPublicKey(c.public)
				if err != nil {
					t.Fatal(err)
				}
				if shown := apitest.Must[kms.GetPublicKeyOutput](t, l.admin, "kms:GetPublicKey", &kms.GetPublicKeyInput{KeyId: k.KeyId}); !bytes.Equal(shown.PublicKey, der) {
					t.Error("another public key is shown")
				}
			}
			if c.usage == encrypting {
				algorithm := kms.EncryptionAlgorithmSpecSymmetricDefault
				if c.public != nil {
					algorithm = kms.EncryptionAlgorithmSpecRsaesOaepSha256
				}
				blob := apitest.Must[kms.EncryptOutput](t, l.admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x"), EncryptionAlgorithm: algorithm}).CiphertextBlob
				if p := apitest.Must[kms.DecryptOutput](t, l.admin, "kms:Decrypt", &kms.DecryptInput{KeyId: k.KeyId, CiphertextBlob: blob, EncryptionAlgorithm: algorithm}).Plaintext; string(p) != "x" {
					t.Errorf("%q", p)
				}
			}
		})
	}
}

// The service uses the very material that was brought, and nothing made of it: what
// others compute with it is the same.
func TestImportedMaterialIsWhatIsUsed(t *testing.T) {
	l := newLife(t)
	material := bytes.Repeat([]byte{0x0b}, 32)
	k := l.external(t, kms.KeySpecHmac256, kms.KeyUsageTypeGenerateVerifyMac)
	l.bring(t, k.Arn, material, kms.ImportKeyMaterialInput{})
	mac := apitest.Must[kms.GenerateMacOutput](t, l.admin, "kms:GenerateMac", &kms.GenerateMacInput{
		KeyId: k.KeyId, Message: []byte("Hi There"), MacAlgorithm: kms.MacAlgorithmSpecHmacSha256,
	}).Mac
	// HMAC-SHA-256 of it by openssl.
	if want := unhex(t, "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"); !bytes.Equal(mac, want) {
		t.Errorf("%x", mac)
	}
}

func TestImportParameters(t *testing.T) {
	l := newLife(t)
	p521 := l.external(t, kms.KeySpecEccNistP521, kms.KeyUsageTypeSignVerify)
	rsa2048 := l.external(t, kms.KeySpecRsa2048, kms.KeyUsageTypeSignVerify)
	sym := l.external(t, "", "")
	for _, in := range []*kms.GetParametersForImportInput{
		{KeyId: sym.KeyId, WrappingAlgorithm: kms.AlgorithmSpecRsaesPkcs1V15, WrappingKeySpec: kms.WrappingKeySpecRsa2048},
		{KeyId: sym.KeyId, WrappingAlgorithm: kms.AlgorithmSpecRsaesOaepSha1, WrappingKeySpec: kms.WrappingKeySpecRsa2048},
		{KeyId: sym.KeyId, WrappingAlgorithm: kms.AlgorithmSpecRsaAesKeyWrapSha1, WrappingKeySpec: kms.WrappingKeySpecRsa2048},
		{KeyId: sym.KeyId, WrappingAlgorithm: kms.AlgorithmSpecSm2pke, WrappingKeySpec: kms.WrappingKeySpecSm2},
		{KeyId: p521.KeyId, WrappingAlgorithm: kms.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kms.WrappingKeySpecRsa2048},
		{KeyId: rsa2048.KeyId, WrappingAlgorithm: kms.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kms.WrappingKeySpecRsa4096},
		{KeyId: newTestKey(t, l.admin, nil).KeyId, WrappingAlgorithm: kms.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kms.WrappingKeySpecRsa2048},
	} {
		refused[kms.GetParametersForImportOutput](t, l.admin, "kms:GetParametersForImport", in, "UnsupportedOperationException")
	}
	own := newTestKey(t, l.admin, nil)
	refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", l.wrapped(t, own.Arn, bytes32(), kms.ImportKeyMaterialInput{}), "UnsupportedOperationException")
	refused[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: own.KeyId}, "UnsupportedOperationException")
}

func TestImportTokens(t *testing.T) {
	l := newLife(t)
	k, other := l.external(t, "", ""), l.external(t, "", "")
	good := l.wrapped(t, k.Arn, bytes32(), kms.ImportKeyMaterialInput{})
	for i := range good.ImportToken {
		bent := *good
		bent.ImportToken = bytes.Clone(good.ImportToken)
		bent.ImportToken[i] ^= 1
		if _, err := l.service.openToken(k.Arn, bent.ImportToken, l.Now()); err == nil {
			t.Fatalf("byte %d of the token was changed", i)
		}
		if i%97 == 0 {
			refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", &bent, "InvalidImportTokenException")
		}
	}
	for i := range good.EncryptedKeyMaterial {
		bent := *good
		bent.EncryptedKeyMaterial = bytes.Clone(good.EncryptedKeyMaterial)
		bent.EncryptedKeyMaterial[i] ^= 1
		refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", &bent, "InvalidCiphertextException")
	}
	for _, n := range []int{1, 100, 255, 256, 257, len(good.EncryptedKeyMaterial) - 1, len(good.EncryptedKeyMaterial) - 8} {
		cut := *good
		cut.EncryptedKeyMaterial = good.EncryptedKeyMaterial[:n]
		refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", &cut, "InvalidCiphertextException")
	}
	elsewhere := *good
	elsewhere.KeyId = other.KeyId
	refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", &elsewhere, "InvalidImportTokenException")
	// The token of one set of parameters with what was wrapped for another.
	mixed := *good
	mixed.ImportToken = l.parameters(t, k.KeyId, kms.AlgorithmSpecRsaAesKeyWrapSha256, kms.WrappingKeySpecRsa2048).ImportToken
	refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", &mixed, "InvalidCiphertextException")
	// What Encrypt answers is no token, and a token no ciphertext.
	sealed := l.encrypt(t, newTestKey(t, l.admin, nil).KeyId, "x")
	mixed.ImportToken = sealed
	refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", &mixed, "InvalidImportTokenException")

	p := l.parameters(t, k.KeyId, kms.AlgorithmSpecRsaesOaepSha256, kms.WrappingKeySpecRsa2048)
	in := &kms.ImportKeyMaterialInput{KeyId: k.KeyId, ImportToken: p.ImportToken, EncryptedKeyMaterial: seals(t, p, kms.AlgorithmSpecRsaesOaepSha256, bytes32()),
		ExpirationModel: kms.ExpirationModelTypeKeyMaterialDoesNotExpire}
	l.Advance(p.ParametersValidTo.Sub(l.Now()) + time.Second)
	refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", in, "ExpiredImportTokenException")
	if m := l.describe(t, k.KeyId); m.KeyState != kms.KeyStatePendingImport || l.left(t, k.KeyId) != 1 {
		t.Errorf("something was imported: %+v", m)
	}
}

func TestImportOfWrongMaterial(t *testing.T) {
	l := newLife(t)
	p256, p384 := encoded(t, newECC(t, elliptic.P256())), encoded(t, newECC(t, elliptic.P384()))
	twoThousand := encoded(t, wrappingKey)
	for name, c := range map[string]struct {
		spec     kms.KeySpec
		usage    kms.KeyUsageType
		material []byte
	}{
		"short":          {kms.KeySpecSymmetricDefault, "", make([]byte, 31)},
		"long":           {kms.KeySpecSymmetricDefault, "", make([]byte, 33)},
		"short mac":      {kms.KeySpecHmac512, kms.KeyUsageTypeGenerateVerifyMac, make([]byte, 32)},
		"other curve":    {kms.KeySpecEccNistP256, kms.KeyUsageTypeSignVerify, p384},
		"curve for RSA":  {kms.KeySpecRsa2048, kms.KeyUsageTypeSignVerify, p256},
		"RSA for curve":  {kms.KeySpecEccNistP256, kms.KeyUsageTypeSignVerify, twoThousand},
		"other size":     {kms.KeySpecRsa3072, kms.KeyUsageTypeSignVerify, twoThousand},
		"more after it":  {kms.KeySpecEccNistP256, kms.KeyUsageTypeSignVerify, append(bytes.Clone(p256), 0)},
		"cut":            {kms.KeySpecEccNistP256, kms.KeyUsageTypeSignVerify, p256[:len(p256)-1]},
		"no key":         {kms.KeySpecRsa2048, kms.KeyUsageTypeSignVerify, bytes.Repeat([]byte("x"), 1200)},
		"PKCS #1":        {kms.KeySpecRsa2048, kms.KeyUsageTypeSignVerify, x509.MarshalPKCS1PrivateKey(wrappingKey)},
		"broken numbers": {kms.KeySpecRsa2048, kms.KeyUsageTypeSignVerify, bytes.Replace(twoThousand, wrappingKey.D.Bytes(), make([]byte, len(wrappingKey.D.Bytes())), 1)},
	} {
		t.Run(name, func(t *testing.T) {
			k := l.external(t, c.spec, c.usage)
			refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, c.material, kms.ImportKeyMaterialInput{}), "IncorrectKeyMaterialException")
			if m := l.describe(t, k.KeyId); m.KeyState != kms.KeyStatePendingImport {
				t.Errorf("it is %s", m.KeyState)
			}
		})
	}
}

// Material of a key is never exchanged: only what was there before comes back.
func TestReimport(t *testing.T) { lives(t, reimport) }

func reimport(t *testing.T, l *life) {
	first, second := bytes32(), bytes32()
	k := l.external(t, "", "")
	existing := kms.ImportKeyMaterialInput{ImportType: kms.ImportTypeExistingKeyMaterial}
	fresh := kms.ImportKeyMaterialInput{ImportType: kms.ImportTypeNewKeyMaterial}
	bad := func(material []byte, in kms.ImportKeyMaterialInput, code string) {
		t.Helper()
		refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, material, in), code)
	}
	bad(first, existing, "IncorrectKeyMaterialException")
	id := l.bring(t, k.Arn, first, kms.ImportKeyMaterialInput{KeyMaterialDescription: "of the vault"})
	blob := l.encrypt(t, k.KeyId, "x")
	bad(second, kms.ImportKeyMaterialInput{}, "IncorrectKeyMaterialException")
	bad(second, existing, "IncorrectKeyMaterialException")
	bad(first, fresh, "IncorrectKeyMaterialException")
	bad(first, kms.ImportKeyMaterialInput{KeyMaterialId: "00" + id[2:]}, "IncorrectKeyMaterialException")
	bad(second, kms.ImportKeyMaterialInput{KeyMaterialId: id, ImportType: kms.ImportTypeNewKeyMaterial}, "ValidationException")

	gone := apitest.Must[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: k.KeyId})
	if gone.KeyMaterialId != id || l.describe(t, k.KeyId).KeyState != kms.KeyStatePendingImport {
		t.Errorf("%+v", gone)
	}
	refused[kms.DecryptOutput](t, l.admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob}, "KMSInvalidStateException")
	bad(second, kms.ImportKeyMaterialInput{}, "IncorrectKeyMaterialException")
	if again := l.bring(t, k.Arn, first, kms.ImportKeyMaterialInput{KeyMaterialId: id}); again != id {
		t.Errorf("it is called %s now", again)
	}
	if l.opens(t, blob, "x") != id || l.rotations(t, k.KeyId)[0].KeyMaterialDescription != "of the vault" {
		t.Error("it is not what it was")
	}

	// New material waits for a rotation. Until then another can take its place.
	refused[kms.RotateKeyOnDemandOutput](t, l.admin, "kms:RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: k.KeyId}, "KMSInvalidStateException")
	waits := l.bring(t, k.Arn, second, fresh)
	bad(bytes32(), fresh, "KMSInvalidStateException")
	if l.opens(t, l.encrypt(t, k.KeyId, "y"), "y") != id {
		t.Error("what waits is used")
	}
	apitest.Must[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: k.KeyId, KeyMaterialId: waits})
	refused[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: k.KeyId, KeyMaterialId: waits}, "NotFoundException")
	if m := l.describe(t, k.KeyId); m.KeyState != kms.KeyStateEnabled || len(l.rotations(t, k.KeyId)) != 1 {
		t.Errorf("it is %s", m.KeyState)
	}
	bad(second, existing, "IncorrectKeyMaterialException")
	third := bytes32()
	if other := l.bring(t, k.Arn, third, fresh); other == waits || other == id {
		t.Error("two materials have one name")
	}
	l.rotate(t, k.KeyId)
	if back := l.bring(t, k.Arn, second, fresh); back != waits {
		t.Error("the same material has two names")
	}
	l.rotate(t, k.KeyId)
	list := l.rotations(t, k.KeyId)
	if len(list) != 3 || list[0].KeyMaterialId != id || list[2].KeyMaterialId != waits || list[2].KeyMaterialState != kms.KeyMaterialStateCurrent || list[1].KeyMaterialState != kms.KeyMaterialStateNonCurrent ||
		list[2].RotationType != kms.RotationTypeOnDemand || list[0].ImportState != kms.ImportStateImported {
		t.Errorf("%+v", list)
	}
	if l.opens(t, blob, "x") != id || l.opens(t, l.encrypt(t, k.KeyId, "z"), "z") != waits {
		t.Error("ciphertexts are mixed up")
	}
	// One that is missing makes the key unusable, whichever it is.
	apitest.Must[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: k.KeyId, KeyMaterialId: id})
	refused[kms.EncryptOutput](t, l.admin, "kms:Encrypt", encryptWith(k.KeyId, nil), "KMSInvalidStateException")
	l.bring(t, k.Arn, first, kms.ImportKeyMaterialInput{})
	l.opens(t, blob, "x")
}

// A key that is no symmetric one has one material for ever.
func TestReimportOfAsymmetricKeys(t *testing.T) {
	l := newLife(t)
	private := newECC(t, elliptic.P256())
	k := l.external(t, kms.KeySpecEccNistP256, kms.KeyUsageTypeSignVerify)
	l.bring(t, k.Arn, encoded(t, private), kms.ImportKeyMaterialInput{})
	refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, encoded(t, newECC(t, elliptic.P256())), kms.ImportKeyMaterialInput{}), "IncorrectKeyMaterialException")
	for _, in := range []kms.ImportKeyMaterialInput{{ImportType: kms.ImportTypeExistingKeyMaterial}, {KeyMaterialDescription: "x"}, {KeyMaterialId: string(bytes.Repeat([]byte("a"), 64))}} {
		refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, encoded(t, private), in), "ValidationException")
	}
	apitest.Must[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: k.KeyId})
	refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, encoded(t, newECC(t, elliptic.P256())), kms.ImportKeyMaterialInput{}), "IncorrectKeyMaterialException")
	l.bring(t, k.Arn, encoded(t, private), kms.ImportKeyMaterialInput{})
	digest := sha256.Sum256([]byte("x"))
	signature := apitest.Must[kms.SignOutput](t, l.admin, "kms:Sign", &kms.SignInput{KeyId: k.KeyId, Message: []byte("x"), SigningAlgorithm: kms.SigningAlgorithmSpecEcdsaSha256}).Signature
	if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signature) {
		t.Error("another key signs")
	}
}

func TestExpiry(t *testing.T) { lives(t, expiry) }

func expiry(t *testing.T, l *life) {
	k := l.external(t, "", "")
	material := bytes32()
	for _, in := range []kms.ImportKeyMaterialInput{
		{ExpirationModel: kms.ExpirationModelTypeKeyMaterialExpires},
		{ExpirationModel: kms.ExpirationModelTypeKeyMaterialDoesNotExpire, ValidTo: l.Now().Add(time.Hour)},
		{ValidTo: l.Now().Add(-time.Second)},
		{ValidTo: l.Now().Add(366 * days)},
	} {
		refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, material, in), "ValidationException")
	}
	validTo := l.Now().Add(time.Hour).Truncate(time.Second)
	id := l.bring(t, k.Arn, material, kms.ImportKeyMaterialInput{ValidTo: validTo})
	blob := l.encrypt(t, k.KeyId, "x")
	l.Advance(validTo.Sub(l.Now()) - 10*time.Second)
	l.opens(t, blob, "x")
	l.Advance(10 * time.Second)
	// The very next call, before anything was tidied up.
	refused[kms.DecryptOutput](t, l.admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob}, "KMSInvalidStateException")
	if m := l.describe(t, k.KeyId); m.KeyState != kms.KeyStatePendingImport {
		t.Errorf("it is %s", m.KeyState)
	}
	if e := l.rotations(t, k.KeyId)[0]; e.ImportState != kms.ImportStatePendingImport || !e.ValidTo.IsZero() {
		t.Errorf("%+v", e)
	}
	for range 2 {
		l.pass(t, 0)
	}
	if told := l.Records(t, apitest.Account, "DeleteExpiredKeyMaterial"); len(told) != 1 || told[0].Resources[0].ARN != k.Arn {
		t.Errorf("the record says %+v", told)
	}
	sn, err := l.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if wrapped, err := wrappedMaterial(sn, materialID{k.KeyId, 1}); err != nil || len(wrapped) != 0 {
		t.Errorf("%d bytes of expired material are left: %v", len(wrapped), err)
	}
	sn.Close()
	if again := l.bring(t, k.Arn, material, kms.ImportKeyMaterialInput{}); again != id {
		t.Errorf("it is called %s", again)
	}
	l.pass(t, 1000*days)
	l.opens(t, blob, "x")
	// A disabled key stays disabled when its material comes.
	apitest.Must[kms.DisableKeyOutput](t, l.admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.KeyId})
	l.bring(t, k.Arn, material, kms.ImportKeyMaterialInput{})
	refused[kms.DecryptOutput](t, l.admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob}, "DisabledException")
	// What waits for a rotation and expires is no loss to the key.
	apitest.Must[kms.EnableKeyOutput](t, l.admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: k.KeyId})
	l.bring(t, k.Arn, bytes32(), kms.ImportKeyMaterialInput{ImportType: kms.ImportTypeNewKeyMaterial, ValidTo: l.Now().Add(time.Hour)})
	l.Advance(2 * time.Hour)
	refused[kms.RotateKeyOnDemandOutput](t, l.admin, "kms:RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: k.KeyId}, "KMSInvalidStateException")
	l.pass(t, 0)
	l.opens(t, blob, "x")
}

func TestImportConditions(t *testing.T) {
	l := newLife(t)
	k := l.external(t, "", "")
	only := func(name, condition string) *apitest.Caller {
		return l.User(t, apitest.Account, name, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":`+condition+`}]}`)
	}
	expires := only("expires", `{"StringEquals":{"kms:ExpirationModel":"KEY_MATERIAL_EXPIRES"}}`)
	refused[kms.ImportKeyMaterialOutput](t, expires, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, bytes32(), kms.ImportKeyMaterialInput{}), "AccessDenied")
	soon := only("soon", `{"DateLessThanEquals":{"kms:ValidTo":"`+l.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}}`)
	refused[kms.ImportKeyMaterialOutput](t, soon, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, bytes32(), kms.ImportKeyMaterialInput{ValidTo: l.Now().Add(2 * time.Hour)}), "AccessDenied")
	refused[kms.ImportKeyMaterialOutput](t, soon, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, bytes32(), kms.ImportKeyMaterialInput{}), "AccessDenied")
	material := bytes32()
	for _, who := range []*apitest.Caller{expires, soon} {
		apitest.Must[kms.ImportKeyMaterialOutput](t, who, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, material, kms.ImportKeyMaterialInput{ValidTo: l.Now().Add(time.Minute)}))
	}
	strong := only("strong", `{"StringEquals":{"kms:WrappingAlgorithm":"RSAES_OAEP_SHA_256","kms:WrappingKeySpec":"RSA_3072"}}`)
	for _, in := range []kms.GetParametersForImportInput{
		{WrappingAlgorithm: kms.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kms.WrappingKeySpecRsa2048},
		{WrappingAlgorithm: kms.AlgorithmSpecRsaAesKeyWrapSha256, WrappingKeySpec: kms.WrappingKeySpecRsa3072},
	} {
		in.KeyId = k.KeyId
		refused[kms.GetParametersForImportOutput](t, strong, "kms:GetParametersForImport", &in, "AccessDenied")
	}
	apitest.Must[kms.GetParametersForImportOutput](t, strong, "kms:GetParametersForImport", &kms.GetParametersForImportInput{
		KeyId: k.KeyId, WrappingAlgorithm: kms.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kms.WrappingKeySpecRsa3072,
	})
}
