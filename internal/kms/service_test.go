package kms

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// newRig is a door with the service behind it.
func newRig(t testing.TB) *apitest.Rig {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return newRigOver(t, st, dir)
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(*testing.T, *apitest.Rig)) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		test(t, newRigOver(t, open(t), t.TempDir()))
	})
}

func newRigOver(t testing.TB, st *store.Store, dir string) *apitest.Rig {
	t.Helper()
	rig, _ := newRigWith(t, st, dir)
	return rig
}

// newRigWith answers the service too, for what no call does.
func newRigWith(t testing.TB, st *store.Store, dir string) (*apitest.Rig, *Service) {
	t.Helper()
	var rig *apitest.Rig
	root := make([]byte, 32)
	rand.Read(root)
	s, err := New(Config{Region: apitest.Region, Key: root, Catalogue: catalogue.New(), Now: func() time.Time { return rig.Now() },
		Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
			return rig.Door.Happened(ctx, e, change)
		}})
	if err != nil {
		t.Fatal(err)
	}
	rig = apitest.Over(t, st, dir, apitest.Options{Contribute: func(src *authz.Sources) { src.Catalogue = catalogue.New() }, Migrations: [][]store.Migration{Migrations()}}, s.API())
	return rig, s
}

func newTestKey(t testing.TB, c *apitest.Caller, in *kms.CreateKeyInput) *kms.KeyMetadata {
	t.Helper()
	if in == nil {
		in = &kms.CreateKeyInput{}
	}
	return apitest.Must[kms.CreateKeyOutput](t, c, "kms:CreateKey", in).KeyMetadata
}

// refused demands that a call fails with a code.
func refused[Out any](t testing.TB, c *apitest.Caller, action string, in any, code string) *api.Error {
	t.Helper()
	_, err := apitest.Call[Out](t, c, action, in)
	if err == nil {
		t.Fatalf("%s was not refused", action)
	}
	if err.Code != code {
		t.Fatalf("%s: %v, not %s", action, err, code)
	}
	return err
}

func TestEncryptDecrypt(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	context := map[string]string{"purpose": "test", "": "empty name", "ärzte": "ß"}
	secret := []byte("the patient's name is a secret")
	sealed := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{
		KeyId: k.KeyId, Plaintext: secret, EncryptionContext: context,
	})
	if sealed.KeyId != k.Arn || bytes.Contains(sealed.CiphertextBlob, secret) {
		t.Fatalf("sealed under %s: %x", sealed.KeyId, sealed.CiphertextBlob)
	}
	for _, name := range []string{"", k.KeyId, k.Arn} {
		out := apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{
			KeyId: name, CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: context,
		})
		if !bytes.Equal(out.Plaintext, secret) || out.KeyId != k.Arn {
			t.Errorf("by %q: %q of %s", name, out.Plaintext, out.KeyId)
		}
	}

	t.Run("another context", func(t *testing.T) {
		for _, wrong := range []map[string]string{
			nil,
			{"purpose": "test"},
			{"purpose": "Test", "": "empty name", "ärzte": "ß"},
			{"Purpose": "test", "": "empty name", "ärzte": "ß"},
			{"purpose": "test", "": "empty name", "ärzte": "ß", "more": ""},
			{"purpos": "etest", "": "empty name", "ärzte": "ß"},
		} {
			refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{
				CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: wrong,
			}, "InvalidCiphertextException")
		}
	})
	t.Run("every byte is under the seal", func(t *testing.T) {
		for i := range sealed.CiphertextBlob {
			bent := bytes.Clone(sealed.CiphertextBlob)
			bent[i] ^= 1
			_, err := apitest.Call[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{
				KeyId: k.KeyId, CiphertextBlob: bent, EncryptionContext: context,
			})
			if err == nil {
				t.Fatalf("byte %d was changed and it opened", i)
			}
		}
		for n := range len(sealed.CiphertextBlob) {
			if n == 0 {
				continue
			}
			refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{
				KeyId: k.KeyId, CiphertextBlob: sealed.CiphertextBlob[:n], EncryptionContext: context,
			}, "InvalidCiphertextException")
		}
	})
	t.Run("another key", func(t *testing.T) {
		other := newTestKey(t, admin, nil)
		refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{
			KeyId: other.KeyId, CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: context,
		}, "IncorrectKeyException")
		// A header that names the other key, over bytes sealed under the first.
		forged := appendHeader(nil, &key{id: other.KeyId, version: 1})
		forged = append(forged, sealed.CiphertextBlob[ciphertextHeader:]...)
		refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{
			CiphertextBlob: forged, EncryptionContext: context,
		}, "InvalidCiphertextException")
	})
}

func TestLimits(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	big := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k.KeyId, Plaintext: make([]byte, 4096)})
	if len(big.CiphertextBlob) > 6144 {
		t.Errorf("a ciphertext of %d bytes", len(big.CiphertextBlob))
	}
	for _, size := range []int{0, 4097} {
		refused[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k.KeyId, Plaintext: make([]byte, size)}, "ValidationException")
	}
	one := []byte("x")
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{
		KeyId: k.KeyId, Plaintext: one, EncryptionContext: map[string]string{"a": strings.Repeat("b", 8192)},
	}, "ValidationException")
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{
		KeyId: k.KeyId, Plaintext: one, EncryptionContext: map[string]string{"team": "a", "Team": "b"},
	}, "ValidationException")
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{
		KeyId: k.KeyId, Plaintext: one, EncryptionAlgorithm: kms.EncryptionAlgorithmSpecRsaesOaepSha256,
	}, "InvalidKeyUsageException")
	for _, in := range []*kms.CreateKeyInput{{KeySpec: kms.KeySpecSm2}, {Origin: kms.OriginTypeAwsCloudhsm}} {
		refused[kms.CreateKeyOutput](t, admin, "kms:CreateKey", in, "UnsupportedOperationException")
	}
	refused[kms.CreateKeyOutput](t, admin, "kms:CreateKey", &kms.CreateKeyInput{KeyUsage: kms.KeyUsageTypeSignVerify}, "ValidationException")
	refused[kms.GenerateDataKeyOutput](t, admin, "kms:GenerateDataKey", &kms.GenerateDataKeyInput{KeyId: k.KeyId}, "ValidationException")
	bytes64 := int32(64)
	out := apitest.Must[kms.GenerateDataKeyOutput](t, admin, "kms:GenerateDataKey", &kms.GenerateDataKeyInput{KeyId: k.KeyId, NumberOfBytes: &bytes64})
	back := apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob})
	if len(out.Plaintext) != 64 || !bytes.Equal(back.Plaintext, out.Plaintext) {
		t.Error("the data key does not come back")
	}
}

func TestDisabledKeyIsOffAtOnce(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	sealed := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")})
	apitest.Must[kms.DisableKeyOutput](t, admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.KeyId})
	err := refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob}, "DisabledException")
	if want := k.Arn + " is disabled."; err.Message != want {
		t.Errorf("%q, not %q", err.Message, want)
	}
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")}, "DisabledException")
	refused[kms.GenerateDataKeyOutput](t, admin, "kms:GenerateDataKey", &kms.GenerateDataKeyInput{KeyId: k.KeyId, KeySpec: kms.DataKeySpecAes256}, "DisabledException")
	if m := apitest.Must[kms.DescribeKeyOutput](t, admin, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: k.KeyId}).KeyMetadata; m.KeyState != kms.KeyStateDisabled || *m.Enabled {
		t.Errorf("state %s", m.KeyState)
	}
	apitest.Must[kms.EnableKeyOutput](t, admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: k.KeyId})
	apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
}

func TestNothingInClearAtRest(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	const marker = "MARKER-of-a-plaintext-that-must-not-be-stored"
	sealed := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte(marker)})
	apitest.Must[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
	dk := apitest.Must[kms.GenerateDataKeyOutput](t, admin, "kms:GenerateDataKey", &kms.GenerateDataKeyInput{KeyId: k.KeyId, KeySpec: kms.DataKeySpecAes256})
	apitest.NoPlaintext(t, rig.Dir, marker)
	apitest.NoPlaintext(t, rig.Dir, string(dk.Plaintext[:16]))
}

func TestMaterialIsBoundToItsKey(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	victim, own := newTestKey(t, admin, nil), newTestKey(t, admin, nil)
	// Whoever can write rows gives a key of his own the victim's material.
	err := rig.Store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE kms_materials SET wrapped = (SELECT wrapped FROM kms_materials WHERE key = ?) WHERE key = ?`, victim.KeyId, own.KeyId)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: own.KeyId, Plaintext: []byte("x")}, "InternalFailure")
}

func TestTheLeastCapableCallerIsRefusedEverything(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	nobody := rig.User(t, apitest.Account, "nobody")
	k := newTestKey(t, admin, nil)
	sealed := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")})
	apitest.Must[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/a", TargetKeyId: k.KeyId})
	for action, in := range map[string]any{
		"Encrypt": &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")}, "Decrypt": &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob},
		"GenerateDataKey": &kms.GenerateDataKeyInput{KeyId: k.KeyId, KeySpec: kms.DataKeySpecAes256},
		"CreateKey":       &kms.CreateKeyInput{}, "DescribeKey": &kms.DescribeKeyInput{KeyId: "alias/a"}, "ListKeys": &kms.ListKeysInput{},
		"EnableKey": &kms.EnableKeyInput{KeyId: k.KeyId}, "DisableKey": &kms.DisableKeyInput{KeyId: k.KeyId},
		"PutKeyPolicy": &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: defaultPolicy(apitest.Account)}, "GetKeyPolicy": &kms.GetKeyPolicyInput{KeyId: k.KeyId},
		"ListKeyPolicies": &kms.ListKeyPoliciesInput{KeyId: k.KeyId}, "TagResource": &kms.TagResourceInput{KeyId: k.KeyId, Tags: []kms.Tag{{TagKey: "a", TagValue: "b"}}},
		"UntagResource": &kms.UntagResourceInput{KeyId: k.KeyId, TagKeys: []string{"a"}}, "ListResourceTags": &kms.ListResourceTagsInput{KeyId: k.KeyId},
		"CreateAlias": &kms.CreateAliasInput{AliasName: "alias/b", TargetKeyId: k.KeyId}, "UpdateAlias": &kms.UpdateAliasInput{AliasName: "alias/a", TargetKeyId: k.KeyId},
		"DeleteAlias": &kms.DeleteAliasInput{AliasName: "alias/a"}, "ListAliases": &kms.ListAliasesInput{},
	} {
		if _, err := apitest.Call[struct{}](t, nobody, "kms:"+action, in); err == nil || err.Code != "AccessDenied" {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestManyMeetAColdCache(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if _, err := apitest.Call[kms.EncryptOutput](t, admin, "kms:Encrypt", &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
