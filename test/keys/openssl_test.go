package keys

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// A bench is a directory where OpenSSL works on what KMS answers.
type bench struct {
	*caller
	*kms.Client
	dir string
}

func workbench(t *testing.T) *bench {
	t.Helper()
	c := start(t).admin()
	return &bench{c, kms.NewFromConfig(c.config()), t.TempDir()}
}

func (b *bench) put(name string, content []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) file(name string) []byte {
	b.t.Helper()
	return must[[]byte](b.t)(os.ReadFile(filepath.Join(b.dir, name)))
}

// openssl runs a command whose arguments have no spaces.
func (b *bench) openssl(command string) {
	b.t.Helper()
	b.run("", b.dir, "openssl", strings.Fields(command)...)
}

func (b *bench) noOpenssl(command string) {
	b.t.Helper()
	b.no(nil, "", b.dir, "openssl", strings.Fields(command)...)
}

// key makes a key and puts the public half, if there is one, where OpenSSL finds it.
func (b *bench) key(spec types.KeySpec, usage types.KeyUsageType) *string {
	b.t.Helper()
	id := call(b.t, b.CreateKey, kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage}).KeyMetadata.KeyId
	b.public(id)
	return id
}

func (b *bench) public(id *string) *kms.GetPublicKeyOutput {
	b.t.Helper()
	out := call(b.t, b.GetPublicKey, kms.GetPublicKeyInput{KeyId: id})
	b.put("public.der", out.PublicKey)
	b.openssl("pkey -pubin -inform DER -in public.der -out public.pem")
	return out
}

// How OpenSSL verifies what an algorithm signed.
var verifications = map[types.SigningAlgorithmSpec]string{
	types.SigningAlgorithmSpecRsassaPkcs1V15Sha256: "dgst -sha256",
	types.SigningAlgorithmSpecRsassaPkcs1V15Sha384: "dgst -sha384",
	types.SigningAlgorithmSpecRsassaPkcs1V15Sha512: "dgst -sha512",
	types.SigningAlgorithmSpecRsassaPssSha256:      "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
	types.SigningAlgorithmSpecRsassaPssSha384:      "dgst -sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
	types.SigningAlgorithmSpecRsassaPssSha512:      "dgst -sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
	types.SigningAlgorithmSpecEcdsaSha256:          "dgst -sha256",
	types.SigningAlgorithmSpecEcdsaSha384:          "dgst -sha384",
	types.SigningAlgorithmSpecEcdsaSha512:          "dgst -sha512",
}

// OpenSSL verifies what KMS signed, whole messages and digests, and nothing else.
func TestSignaturesInOpenSSL(t *testing.T) {
	b := workbench(t)
	message := []byte(strings.Repeat("consent of patient 4711 ", 100))
	b.put("message", message)
	b.put("another", append(bytes.Clone(message), '!'))
	seen := map[types.SigningAlgorithmSpec]bool{}
	for _, spec := range []types.KeySpec{types.KeySpecRsa2048, types.KeySpecEccNistP256, types.KeySpecEccNistP384, types.KeySpecEccNistP521} {
		id := b.key(spec, types.KeyUsageTypeSignVerify)
		for _, algorithm := range b.public(id).SigningAlgorithms {
			seen[algorithm] = true
			how := verifications[algorithm]
			if how == "" {
				t.Errorf("nobody verifies %s", algorithm)
				continue
			}
			sign := kms.SignInput{KeyId: id, SigningAlgorithm: algorithm, Message: message}
			b.put("signature", call(t, b.Sign, sign).Signature)
			b.openssl(how + " -verify public.pem -signature signature message")
			b.noOpenssl(how + " -verify public.pem -signature signature another")
			b.openssl(strings.Fields(how)[0] + " " + strings.Fields(how)[1] + " -binary -out digest message")
			sign.Message, sign.MessageType = b.file("digest"), types.MessageTypeDigest
			signature := call(t, b.Sign, sign).Signature
			b.put("signature", signature)
			b.openssl(how + " -verify public.pem -signature signature message")
			verify := kms.VerifyInput{KeyId: id, SigningAlgorithm: algorithm, Message: message, Signature: signature}
			if !call(t, b.Verify, verify).SignatureValid {
				t.Errorf("%s: what OpenSSL takes is not valid", algorithm)
			}
			verify.Message = b.file("another")
			raises[*types.KMSInvalidSignatureException](t, b.Verify, verify)
		}
	}
	id := b.key(types.KeySpecEccNistEdwards25519, types.KeyUsageTypeSignVerify)
	b.put("signature", call(t, b.Sign, kms.SignInput{KeyId: id, SigningAlgorithm: types.SigningAlgorithmSpecEd25519Sha512, Message: message}).Signature)
	b.openssl("pkeyutl -verify -rawin -pubin -inkey public.pem -sigfile signature -in message")
	b.noOpenssl("pkeyutl -verify -rawin -pubin -inkey public.pem -sigfile signature -in another")
	if len(seen) != len(verifications) {
		t.Errorf("of %d algorithms, keys have %v", len(verifications), seen)
	}
}

// OpenSSL encrypts for a key whose private half never leaves KMS, and agrees on secrets
// with it.
func TestPublicKeysInOpenSSL(t *testing.T) {
	b := workbench(t)
	message := []byte("ward 7b")
	b.put("message", message)
	id := b.key(types.KeySpecRsa3072, types.KeyUsageTypeEncryptDecrypt)
	oaep := func(hash string) []byte {
		t.Helper()
		b.openssl("pkeyutl -encrypt -pubin -inkey public.pem -in message -out sealed -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:" + hash + " -pkeyopt rsa_mgf1_md:" + hash)
		return b.file("sealed")
	}
	open := kms.DecryptInput{KeyId: id, EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha256, CiphertextBlob: oaep("sha256")}
	if got := call(t, b.Decrypt, open).Plaintext; !bytes.Equal(got, message) {
		t.Errorf("what OpenSSL encrypted decrypts to %q", got)
	}
	open.CiphertextBlob = oaep("sha1")
	raises[*types.InvalidCiphertextException](t, b.Decrypt, open)
	b.openssl("pkeyutl -encrypt -pubin -inkey public.pem -in message -out sealed") // PKCS #1 v1.5
	open.CiphertextBlob = b.file("sealed")
	raises[*types.InvalidCiphertextException](t, b.Decrypt, open)

	for spec, curve := range map[types.KeySpec]string{types.KeySpecEccNistP256: "P-256", types.KeySpecEccNistP384: "P-384", types.KeySpecEccNistP521: "P-521"} {
		id := b.key(spec, types.KeyUsageTypeKeyAgreement)
		b.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:" + curve + " -out own.pem")
		b.openssl("pkey -in own.pem -pubout -outform DER -out own.der")
		b.openssl("pkeyutl -derive -inkey own.pem -peerkey public.pem -out secret")
		got := call(t, b.DeriveSharedSecret, kms.DeriveSharedSecretInput{KeyId: id, KeyAgreementAlgorithm: types.KeyAgreementAlgorithmSpecEcdh, PublicKey: b.file("own.der")})
		if !bytes.Equal(got.SharedSecret, b.file("secret")) {
			t.Errorf("on %s the two agree on different secrets", curve)
		}
	}

	sealing := call(t, b.CreateKey, kms.CreateKeyInput{}).KeyMetadata.KeyId
	for _, spec := range []types.DataKeyPairSpec{types.DataKeyPairSpecRsa2048, types.DataKeyPairSpecEccNistP384} {
		pair := call(t, b.GenerateDataKeyPair, kms.GenerateDataKeyPairInput{KeyId: sealing, KeyPairSpec: spec})
		b.put("private.der", pair.PrivateKeyPlaintext)
		b.put("public.der", pair.PublicKey)
		b.openssl("pkey -inform DER -in private.der -check -noout")
		b.openssl("dgst -sha256 -keyform DER -sign private.der -out signature message")
		b.openssl("pkey -pubin -inform DER -in public.der -out public.pem")
		b.openssl("dgst -sha256 -verify public.pem -signature signature message")
		if opened := call(t, b.Decrypt, kms.DecryptInput{CiphertextBlob: pair.PrivateKeyCiphertextBlob}).Plaintext; !bytes.Equal(opened, pair.PrivateKeyPlaintext) {
			t.Errorf("%s: the sealed half is another", spec)
		}
	}
}

// wrap is what people do with OpenSSL to bring their own key.
func (b *bench) wrap(id *string, how types.AlgorithmSpec, material string) kms.ImportKeyMaterialInput {
	b.t.Helper()
	params := call(b.t, b.GetParametersForImport, kms.GetParametersForImportInput{KeyId: id, WrappingAlgorithm: how, WrappingKeySpec: types.WrappingKeySpecRsa3072})
	b.put("wrapping.der", params.PublicKey)
	const oaep = " -pubin -inkey wrapping.der -keyform DER -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"
	if how == types.AlgorithmSpecRsaAesKeyWrapSha256 {
		b.openssl("rand -out aes 32")
		b.openssl("enc -id-aes256-wrap-pad -iv A65959A6 -K " + hex.EncodeToString(b.file("aes")) + " -in " + material + " -out body")
		b.openssl("pkeyutl -encrypt -in aes -out head" + oaep)
		b.put("wrapped", append(b.file("head"), b.file("body")...))
	} else {
		b.openssl("pkeyutl -encrypt -in " + material + " -out wrapped" + oaep)
	}
	return kms.ImportKeyMaterialInput{KeyId: id, ImportToken: params.ImportToken, EncryptedKeyMaterial: b.file("wrapped"), ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire}
}

// Keys that were made with OpenSSL work in KMS as they do there.
func TestImportFromOpenSSL(t *testing.T) {
	b := workbench(t)
	external := func(spec types.KeySpec, usage types.KeyUsageType) *string {
		t.Helper()
		return call(t, b.CreateKey, kms.CreateKeyInput{Origin: types.OriginTypeExternal, KeySpec: spec, KeyUsage: usage}).KeyMetadata.KeyId
	}
	b.put("message", []byte("brought along"))

	id := external(types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)
	raises[*types.KMSInvalidStateException](t, b.Encrypt, kms.EncryptInput{KeyId: id, Plaintext: b.file("message")})
	b.openssl("rand -out material 32")
	b.openssl("rand -out another 32")
	call(t, b.ImportKeyMaterial, b.wrap(id, types.AlgorithmSpecRsaesOaepSha256, "material"))
	sealed := call(t, b.Encrypt, kms.EncryptInput{KeyId: id, Plaintext: b.file("message")}).CiphertextBlob
	call(t, b.DeleteImportedKeyMaterial, kms.DeleteImportedKeyMaterialInput{KeyId: id})
	raises[*types.KMSInvalidStateException](t, b.Decrypt, kms.DecryptInput{CiphertextBlob: sealed})
	raises[*types.IncorrectKeyMaterialException](t, b.ImportKeyMaterial, b.wrap(id, types.AlgorithmSpecRsaAesKeyWrapSha256, "another"))
	again := b.wrap(id, types.AlgorithmSpecRsaAesKeyWrapSha256, "material")
	again.ExpirationModel, again.ValidTo = types.ExpirationModelTypeKeyMaterialExpires, aws.Time(time.Now().Add(time.Hour))
	call(t, b.ImportKeyMaterial, again)
	if got := call(t, b.Decrypt, kms.DecryptInput{CiphertextBlob: sealed}).Plaintext; !bytes.Equal(got, b.file("message")) {
		t.Errorf("with its material back the key decrypts to %q", got)
	}
	if m := call(t, b.DescribeKey, kms.DescribeKeyInput{KeyId: id}).KeyMetadata; m.ExpirationModel != types.ExpirationModelTypeKeyMaterialExpires || m.ValidTo == nil {
		t.Errorf("it expires %v: %s", m.ValidTo, m.ExpirationModel)
	}
	other := external(types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)
	again.KeyId = other
	raises[*types.InvalidImportTokenException](t, b.ImportKeyMaterial, again)
	cut := b.wrap(other, types.AlgorithmSpecRsaAesKeyWrapSha256, "material")
	cut.EncryptedKeyMaterial[len(cut.EncryptedKeyMaterial)-1] ^= 1
	raises[*types.InvalidCiphertextException](t, b.ImportKeyMaterial, cut)

	for what, make := range map[types.KeySpec]string{
		types.KeySpecRsa2048:     "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER -out private.der",
		types.KeySpecEccNistP384: "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -outform DER -out private.der",
	} {
		id := external(what, types.KeyUsageTypeSignVerify)
		b.openssl(make)
		b.openssl("pkcs8 -topk8 -nocrypt -inform DER -in private.der -outform DER -out material")
		call(t, b.ImportKeyMaterial, b.wrap(id, types.AlgorithmSpecRsaAesKeyWrapSha256, "material"))
		b.openssl("pkey -inform DER -in private.der -pubout -outform DER -out own.der")
		public := b.public(id)
		if !bytes.Equal(public.PublicKey, b.file("own.der")) {
			t.Errorf("%s: KMS has another public key", what)
		}
		for _, algorithm := range public.SigningAlgorithms {
			b.openssl(strings.Replace(verifications[algorithm], "dgst", "dgst -keyform DER -sign private.der -out signature", 1) + " message")
			verify := kms.VerifyInput{KeyId: id, SigningAlgorithm: algorithm, Message: b.file("message"), Signature: b.file("signature")}
			if !call(t, b.Verify, verify).SignatureValid {
				t.Errorf("%s: what OpenSSL signed is not valid", algorithm)
			}
			verify.Signature[len(verify.Signature)-1] ^= 1
			raises[*types.KMSInvalidSignatureException](t, b.Verify, verify)
		}
	}

	id = external(types.KeySpecHmac384, types.KeyUsageTypeGenerateVerifyMac)
	b.openssl("rand -out material 48")
	call(t, b.ImportKeyMaterial, b.wrap(id, types.AlgorithmSpecRsaesOaepSha256, "material"))
	b.openssl("dgst -sha384 -mac HMAC -macopt hexkey:" + hex.EncodeToString(b.file("material")) + " -binary -out tag message")
	if got := call(t, b.GenerateMac, kms.GenerateMacInput{KeyId: id, MacAlgorithm: types.MacAlgorithmSpecHmacSha384, Message: b.file("message")}).Mac; !bytes.Equal(got, b.file("tag")) {
		t.Error("OpenSSL makes another MAC")
	}
	if !call(t, b.VerifyMac, kms.VerifyMacInput{KeyId: id, MacAlgorithm: types.MacAlgorithmSpecHmacSha384, Message: b.file("message"), Mac: b.file("tag")}).MacValid {
		t.Error("OpenSSL's MAC is not valid")
	}
}
