package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Secrets are what nobody may find but who asked for it: by what it is.
type secrets struct {
	mu    sync.Mutex
	named map[string][]byte
}

func (s *secrets) add(what string, secret []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named[what] = secret
	return secret
}

// forms are the ways in which the two ends of a secret may be written: as bytes, as Go
// prints them, in hexadecimal and in base64.
func forms(secret []byte) (all [][]byte) {
	const n = 15 // base64 of a multiple of three is a part of that of the whole
	tail := (len(secret) - n) / 3 * 3
	for _, part := range [][]byte{secret[:n], secret[tail : tail+n]} {
		all = append(all, part, fmt.Appendf(nil, "%x", part), fmt.Appendf(nil, "%X", part), bytes.Trim(fmt.Append(nil, part), "[]"),
			[]byte(base64.StdEncoding.EncodeToString(part)), []byte(base64.URLEncoding.EncodeToString(part)))
	}
	return all
}

// within says which secrets a text has.
func (s *secrets) within(t *testing.T, where string, text []byte) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, secret := range s.named {
		if form := stands(text, secret); form != nil {
			t.Errorf("%s has %s, as %q", where, what, form)
		}
	}
}

// stands is the form in which a secret stands in a text, if it does.
func stands(text, secret []byte) []byte {
	for _, form := range forms(secret) {
		if bytes.Contains(text, form) {
			return form
		}
	}
	return nil
}

// After everything that KMS does with secrets, for many at once, and after what it
// refuses, they are in no file, no log, no record and no error.
func TestSecretsStayInMemory(t *testing.T) {
	b := start(t)
	admin := b.admin()
	cfg := admin.config()
	client := kms.NewFromConfig(cfg)
	found := &secrets{named: map[string][]byte{}}
	key := call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.KeyId
	disabled := call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.KeyId
	call(t, client.DisableKey, kms.DisableKeyInput{KeyId: disabled})
	wide := call(t, client.CreateKey, kms.CreateKeyInput{KeySpec: types.KeySpecRsa2048, KeyUsage: types.KeyUsageTypeEncryptDecrypt}).KeyMetadata.KeyId
	agreeing := call(t, client.CreateKey, kms.CreateKeyInput{KeySpec: types.KeySpecEccNistP256, KeyUsage: types.KeyUsageTypeKeyAgreement}).KeyMetadata.KeyId

	t.Run("busy", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				name := func(what string) string { return fmt.Sprintf("%s of %d", what, i) }
				message := found.add(name("a message"), random(48))
				sealed := call(t, client.Encrypt, kms.EncryptInput{KeyId: key, Plaintext: message}).CiphertextBlob
				call(t, client.Decrypt, kms.DecryptInput{CiphertextBlob: sealed})
				call(t, client.ReEncrypt, kms.ReEncryptInput{CiphertextBlob: sealed, DestinationKeyId: wide, DestinationEncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha256})
				found.add(name("a data key"), call(t, client.GenerateDataKey, kms.GenerateDataKeyInput{KeyId: key, KeySpec: types.DataKeySpecAes256}).Plaintext)
				pair := call(t, client.GenerateDataKeyPair, kms.GenerateDataKeyPairInput{KeyId: key, KeyPairSpec: types.DataKeyPairSpecEccNistP384})
				// The head of such a key is the same in all, its tail is public.
				found.add(name("a private key"), private(t, pair.PrivateKeyPlaintext))
				found.add(name("what was drawn"), call(t, client.GenerateRandom, kms.GenerateRandomInput{NumberOfBytes: aws.Int32(64)}).Plaintext)
				peer := call(t, client.GenerateDataKeyPair, kms.GenerateDataKeyPairInput{KeyId: key, KeyPairSpec: types.DataKeyPairSpecEccNistP256})
				found.add(name("an agreed secret"), call(t, client.DeriveSharedSecret, kms.DeriveSharedSecretInput{KeyId: agreeing, PublicKey: peer.PublicKey,
					KeyAgreementAlgorithm: types.KeyAgreementAlgorithmSpecEcdh}).SharedSecret)

				external := call(t, client.CreateKey, kms.CreateKeyInput{Origin: types.OriginTypeExternal}).KeyMetadata.KeyId
				params := call(t, client.GetParametersForImport, kms.GetParametersForImportInput{KeyId: external, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa2048})
				bring := kms.ImportKeyMaterialInput{KeyId: external, ImportToken: params.ImportToken, ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire}
				bring.EncryptedKeyMaterial = wrap(t, params.PublicKey, found.add(name("material that is too long"), random(33)))
				fails(t, "IncorrectKeyMaterialException", client.ImportKeyMaterial, bring)
				bring.EncryptedKeyMaterial = wrap(t, params.PublicKey, found.add(name("imported material"), random(32)))
				call(t, client.ImportKeyMaterial, bring)
				call(t, client.Encrypt, kms.EncryptInput{KeyId: external, Plaintext: message})
			})
		}
	})

	// What is refused, by the service and before it.
	lost := found.add("a message that is refused", random(48))
	for what, in := range map[string]kms.EncryptInput{
		"disabled": {KeyId: disabled, Plaintext: lost},
		"missing":  {KeyId: aws.String("1234abcd-12ab-34cd-56ef-1234567890ab"), Plaintext: lost},
		"too long": {KeyId: key, Plaintext: append(bytes.Clone(lost), make([]byte, 4096)...)},
		"misused":  {KeyId: agreeing, Plaintext: lost},
	} {
		_, err := client.Encrypt(t.Context(), &in)
		if err == nil {
			t.Errorf("%s: was not refused", what)
			continue
		}
		found.within(t, "the error of what is "+what, []byte(err.Error()))
	}
	text := base64.StdEncoding.EncodeToString(lost)
	for what, body := range map[string]string{
		"broken":       `{"KeyId":"` + *key + `","Plaintext":"` + text,
		"twice":        `{"KeyId":"` + *key + `","Plaintext":"` + text + `","Plaintext":"` + text + `"}`,
		"of no type":   `{"KeyId":"` + *key + `","Plaintext":{"a":"` + text + `"}}`,
		"not base64":   `{"KeyId":"` + *key + `","Plaintext":"` + text + `!"}`,
		"a new member": `{"KeyId":"` + *key + `","Plaintext":"` + text + `","Secret":"` + text + `"}`,
	} {
		for _, signed := range []bool{true, false} {
			answer, status := admin.post(cfg, "TrentService.Encrypt", body, signed)
			if status < 400 || status >= 500 {
				t.Errorf("a body that is %s: %d %s", what, status, answer)
			}
			found.within(t, "the answer to a body that is "+what, answer)
		}
	}

	// What is no secret is found, so secrets would be.
	open := random(48)
	call(t, client.Encrypt, kms.EncryptInput{KeyId: key, Plaintext: []byte("x"), EncryptionContext: map[string]string{"open": base64.StdEncoding.EncodeToString(open)}})
	call(t, client.UpdateKeyDescription, kms.UpdateKeyDescriptionInput{KeyId: key, Description: aws.String(hex.EncodeToString(open))})
	events := b.record(cfg, "")
	if stands([]byte(events[1].raw), open) == nil {
		t.Errorf("the record has no encryption context:\n%s", events[1].raw)
	}
	for _, e := range events {
		found.within(t, "the record", []byte(e.raw))
	}
	found.within(t, "the log", must[[]byte](t)(os.ReadFile(b.log)))
	files := 0 // that have the key's description
	err := filepath.WalkDir(b.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // it was there for a moment only
			return nil
		}
		if stands(text, open) != nil {
			files++
		}
		found.within(t, path, text)
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}

func random(n int) []byte {
	out := make([]byte, n)
	rand.Read(out)
	return out
}

// private is the number that is secret in a private key on a curve.
func private(t *testing.T, pkcs8 []byte) []byte {
	t.Helper()
	key, ok := must[any](t)(x509.ParsePKCS8PrivateKey(pkcs8)).(*ecdsa.PrivateKey)
	if !ok {
		t.Fatal("the pair is on no curve")
	}
	return must[[]byte](t)(key.Bytes())
}

// wrap wraps material for its import.
func wrap(t *testing.T, public, material []byte) []byte {
	t.Helper()
	key, ok := must[any](t)(x509.ParsePKIXPublicKey(public)).(*rsa.PublicKey)
	if !ok {
		t.Fatal("the wrapping key is no RSA key")
	}
	return must[[]byte](t)(rsa.EncryptOAEP(sha256.New(), rand.Reader, key, material, nil))
}

// post sends a body as it is.
func (c *caller) post(cfg aws.Config, target, body string, signed bool) ([]byte, int) {
	c.t.Helper()
	req := must[*http.Request](c.t)(http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url, strings.NewReader(body)))
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if signed {
		sum := sha256.Sum256([]byte(body))
		keys := must[aws.Credentials](c.t)(cfg.Credentials.Retrieve(c.t.Context()))
		if err := v4.NewSigner().SignHTTP(c.t.Context(), keys, req, hex.EncodeToString(sum[:]), "kms", cfg.Region, time.Now()); err != nil {
			c.t.Fatal(err)
		}
	}
	resp := must[*http.Response](c.t)(cfg.HTTPClient.Do(req))
	defer resp.Body.Close()
	return must[[]byte](c.t)(io.ReadAll(resp.Body)), resp.StatusCode
}
