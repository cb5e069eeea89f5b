package kms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// A planted rig has keys whose material is known: what nobody outside can bring about,
// public vectors need.
type planted struct {
	*apitest.Rig
	s     *Service
	admin *apitest.Caller
}

func plantedRig(t testing.TB) *planted {
	t.Helper()
	p := &planted{}
	root := make([]byte, 32)
	rand.Read(root)
	var err error
	p.s, err = New(Config{Region: apitest.Region, Key: root, Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
		return p.Door.Happened(ctx, e, change)
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.Rig = apitest.New(t, apitest.Options{Migrations: [][]store.Migration{Migrations()}}, p.s.API())
	p.admin = p.User(t, apitest.Account, "admin", apitest.Admin)
	return p
}

// plant stores a key of that material and answers its id.
func (p *planted) plant(t testing.TB, spec kms.KeySpec, usage kms.KeyUsageType, material []byte) string {
	t.Helper()
	k := p.s.make(apitest.Account, defaultPolicy(apitest.Account), nil, p.Now())
	k.spec, k.usage, k.version = spec, usage, 1
	wrapped, err := p.s.wrap(k, 1, material)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Store.Update(t.Context(), func(tx *store.Tx) error { return insertKey(tx, k, wrapped) }); err != nil {
		t.Fatal(err)
	}
	return k.id
}

// plantPublic stores a key of which nobody knows the private half.
func (p *planted) plantPublic(t testing.TB, spec kms.KeySpec, der []byte) string {
	t.Helper()
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	id := p.plant(t, spec, kms.KeyUsageTypeSignVerify, []byte("not needed"))
	p.s.materials.Put(materialID{id, 1}, 1, &material{memory: p.s.Memory, private: half{public}})
	return id
}

type half struct{ public crypto.PublicKey }

func (h half) Public() crypto.PublicKey { return h.public }

func (half) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the private half is unknown")
}

// A vectorGroup is a key with tests, as testdata/wycheproof/distill.py writes it.
type vectorGroup struct {
	Spec, Algorithm string
	Private, Public octets
	Tests           []struct {
		ID      int
		Comment string
		In, Out octets
		OK      bool
	}
}

type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.DecodeString(string(text))
	return err
}

func vectors(t testing.TB, name string) []vectorGroup {
	t.Helper()
	raw, err := os.ReadFile("testdata/wycheproof/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var groups []vectorGroup
	if err := json.Unmarshal(raw, &groups); err != nil {
		t.Fatal(err)
	}
	return groups
}

// conclude fails unless a call ended as its vector says: well, or with exactly that error,
// which tells nothing of why.
func conclude(t testing.TB, g vectorGroup, id int, comment string, ok bool, err *api.Error, code string) {
	t.Helper()
	what := fmt.Sprintf("%s %s, test %d (%s)", g.Spec, g.Algorithm, id, comment)
	switch {
	case ok && err != nil:
		t.Errorf("%s: %v", what, err)
	case !ok && err == nil:
		t.Errorf("%s was accepted", what)
	case !ok && (err.Code != code || err.Status != 400):
		t.Errorf("%s: %d %v, not %s", what, err.Status, err, code)
	}
}

func TestVerifyVectors(t *testing.T) {
	p := plantedRig(t)
	for _, g := range vectors(t, "verify") {
		id := p.plantPublic(t, kms.KeySpec(g.Spec), g.Public)
		for _, v := range g.Tests {
			out, err := apitest.Call[kms.VerifyOutput](t, p.admin, "kms:Verify", &kms.VerifyInput{
				KeyId: id, SigningAlgorithm: kms.SigningAlgorithmSpec(g.Algorithm), Message: v.In, Signature: v.Out,
			})
			conclude(t, g, v.ID, v.Comment, v.OK, err, "KMSInvalidSignatureException")
			if err == nil && !*out.SignatureValid {
				t.Errorf("%s, test %d: an answer that says no", g.Algorithm, v.ID)
			}
			// The same, where the client has hashed the message herself.
			hash := schemes[kms.SigningAlgorithmSpec(g.Algorithm)].hash
			if hash == 0 {
				continue
			}
			h := hash.New()
			h.Write(v.In)
			_, err = apitest.Call[kms.VerifyOutput](t, p.admin, "kms:Verify", &kms.VerifyInput{
				KeyId: id, SigningAlgorithm: kms.SigningAlgorithmSpec(g.Algorithm), Message: h.Sum(nil), MessageType: kms.MessageTypeDigest, Signature: v.Out,
			})
			conclude(t, g, v.ID, v.Comment, v.OK, err, "KMSInvalidSignatureException")
		}
	}
}

func TestSignVectors(t *testing.T) {
	p := plantedRig(t)
	for _, g := range vectors(t, "sign") {
		material := []byte(g.Private)
		if g.Spec == "ECC_NIST_EDWARDS25519" {
			material = pkcs8(t, ed25519.NewKeyFromSeed(g.Private))
		}
		id := p.plant(t, kms.KeySpec(g.Spec), kms.KeyUsageTypeSignVerify, material)
		for _, v := range g.Tests {
			out, err := apitest.Call[kms.SignOutput](t, p.admin, "kms:Sign", &kms.SignInput{
				KeyId: id, SigningAlgorithm: kms.SigningAlgorithmSpec(g.Algorithm), Message: v.In,
			})
			conclude(t, g, v.ID, v.Comment, true, err, "")
			if err == nil && !bytes.Equal(out.Signature, v.Out) {
				t.Errorf("%s, test %d: signed as %x, not %x", g.Algorithm, v.ID, out.Signature, v.Out)
			}
		}
	}
}

// RFC 8032, section 7.3: Ed25519ph of "abc".
func TestPrehashVector(t *testing.T) {
	p := plantedRig(t)
	seed, _ := hex.DecodeString("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42")
	want, _ := hex.DecodeString("98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41" +
		"31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406")
	private := ed25519.NewKeyFromSeed(seed)
	id := p.plant(t, kms.KeySpecEccNistEdwards25519, kms.KeyUsageTypeSignVerify, pkcs8(t, private))
	h := crypto.SHA512.New()
	h.Write([]byte("abc"))
	in := &kms.SignInput{KeyId: id, SigningAlgorithm: kms.SigningAlgorithmSpecEd25519PhSha512, MessageType: kms.MessageTypeDigest, Message: h.Sum(nil)}
	if got := apitest.Must[kms.SignOutput](t, p.admin, "kms:Sign", in).Signature; !bytes.Equal(got, want) {
		t.Errorf("%x, not %x", got, want)
	}
	apitest.Must[kms.VerifyOutput](t, p.admin, "kms:Verify", &kms.VerifyInput{
		KeyId: id, SigningAlgorithm: in.SigningAlgorithm, MessageType: in.MessageType, Message: in.Message, Signature: want,
	})
}

func TestDecryptVectors(t *testing.T) {
	p := plantedRig(t)
	for _, g := range vectors(t, "decrypt") {
		id := p.plant(t, kms.KeySpec(g.Spec), kms.KeyUsageTypeEncryptDecrypt, g.Private)
		for _, v := range g.Tests {
			out, err := apitest.Call[kms.DecryptOutput](t, p.admin, "kms:Decrypt", &kms.DecryptInput{
				KeyId: id, EncryptionAlgorithm: kms.EncryptionAlgorithmSpec(g.Algorithm), CiphertextBlob: v.Out,
			})
			conclude(t, g, v.ID, v.Comment, v.OK, err, "InvalidCiphertextException")
			if err == nil && !bytes.Equal(out.Plaintext, v.In) {
				t.Errorf("%s, test %d: %x, not %x", g.Spec, v.ID, out.Plaintext, v.In)
			}
			if err != nil && err.Message != "" {
				t.Errorf("%s, test %d says why: %s", g.Spec, v.ID, err.Message)
			}
		}
	}
}

func TestMacVectors(t *testing.T) {
	p := plantedRig(t)
	for _, g := range vectors(t, "mac") {
		id := p.plant(t, kms.KeySpec(g.Spec), kms.KeyUsageTypeGenerateVerifyMac, g.Private)
		for _, v := range g.Tests {
			algorithm := kms.MacAlgorithmSpec(g.Algorithm)
			_, err := apitest.Call[kms.VerifyMacOutput](t, p.admin, "kms:VerifyMac", &kms.VerifyMacInput{KeyId: id, MacAlgorithm: algorithm, Message: v.In, Mac: v.Out})
			conclude(t, g, v.ID, v.Comment, v.OK, err, "KMSInvalidMacException")
			out, err := apitest.Call[kms.GenerateMacOutput](t, p.admin, "kms:GenerateMac", &kms.GenerateMacInput{KeyId: id, MacAlgorithm: algorithm, Message: v.In})
			conclude(t, g, v.ID, v.Comment, true, err, "")
			if err == nil && bytes.Equal(out.Mac, v.Out) != v.OK {
				t.Errorf("%s, test %d: the MAC is %x", g.Spec, v.ID, out.Mac)
			}
		}
	}
}

func TestDeriveVectors(t *testing.T) {
	p := plantedRig(t)
	curves := map[string]elliptic.Curve{"ECC_NIST_P256": elliptic.P256(), "ECC_NIST_P384": elliptic.P384(), "ECC_NIST_P521": elliptic.P521()}
	for _, g := range vectors(t, "derive") {
		curve := curves[g.Spec]
		scalar := make([]byte, (curve.Params().BitSize+7)/8)
		trimmed := bytes.TrimLeft(g.Private, "\x00")
		copy(scalar[len(scalar)-len(trimmed):], trimmed)
		private, err := ecdsa.ParseRawPrivateKey(curve, scalar)
		if err != nil {
			t.Fatal(err)
		}
		id := p.plant(t, kms.KeySpec(g.Spec), kms.KeyUsageTypeKeyAgreement, pkcs8(t, private))
		for _, v := range g.Tests {
			out, err := apitest.Call[kms.DeriveSharedSecretOutput](t, p.admin, "kms:DeriveSharedSecret", &kms.DeriveSharedSecretInput{
				KeyId: id, KeyAgreementAlgorithm: kms.KeyAgreementAlgorithmSpecEcdh, PublicKey: v.In,
			})
			conclude(t, g, v.ID, v.Comment, v.OK, err, "ValidationException")
			if err == nil && !bytes.Equal(out.SharedSecret, v.Out) {
				t.Errorf("%s, test %d: %x, not %x", g.Spec, v.ID, out.SharedSecret, v.Out)
			}
		}
	}
}

func pkcs8(t testing.TB, private crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
