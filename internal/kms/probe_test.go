package kms

import (
	"fmt"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// Who may not use the key of a ciphertext that names it alone learns by no input
// whether there is such a key.
func TestProbingCiphertexts(t *testing.T) { onBoth(t, probingCiphertexts) }

func probingCiphertexts(t *testing.T, rig *apitest.Rig) {
	admin, poor := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "poor")
	far := rig.User(t, apitest.Other, "far", apitest.Admin)
	k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: document(allow(rootARN, `"kms:*"`, ""),
		allow("arn:aws:iam::"+apitest.Other+":root", `"kms:DescribeKey"`, ""))})
	own := newTestKey(t, far, nil)
	real := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil)).CiphertextBlob
	none := append(appendHeader(nil, &key{id: "11111111-2222-4333-8444-555555555555", version: 1}), real[ciphertextHeader:]...)
	double := map[string]string{"a": "1", "A": "2"}
	many := map[string]string{}
	for i := range maxPairs + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for name, ask := range map[string]func(blob []byte, who *apitest.Caller) *api.Error{
		"nothing odd": func(blob []byte, who *apitest.Caller) *api.Error {
			return tryDecrypt(t, who, kms.DecryptInput{CiphertextBlob: blob})
		},
		"no grant's token": func(blob []byte, who *apitest.Caller) *api.Error {
			return tryDecrypt(t, who, kms.DecryptInput{CiphertextBlob: blob, GrantTokens: []string{"AAAA"}})
		},
		"a context that is none": func(blob []byte, who *apitest.Caller) *api.Error {
			return tryDecrypt(t, who, kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: double})
		},
		"a context that is too large": func(blob []byte, who *apitest.Caller) *api.Error {
			return tryDecrypt(t, who, kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: many})
		},
		"nowhere to": func(blob []byte, who *apitest.Caller) *api.Error {
			return tryReEncrypt(t, who, kms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: "no key's name"})
		},
		"a region that is not here": func(blob []byte, who *apitest.Caller) *api.Error {
			return tryReEncrypt(t, who, kms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: strings.Replace(k.Arn, apitest.Region, "mars-1", 1)})
		},
		"another key": func(blob []byte, who *apitest.Caller) *api.Error {
			return tryReEncrypt(t, who, kms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: own.Arn})
		},
		"a token, and another key": func(blob []byte, who *apitest.Caller) *api.Error {
			return tryReEncrypt(t, who, kms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: own.Arn, GrantTokens: []string{"AAAA"}})
		},
		"two contexts that are none": func(blob []byte, who *apitest.Caller) *api.Error {
			return tryReEncrypt(t, who, kms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: own.Arn, SourceEncryptionContext: double, DestinationEncryptionContext: double})
		},
	} {
		for _, who := range []*apitest.Caller{poor, far} {
			there, not := ask(real, who), ask(none, who)
			if there == nil || not == nil || there.Code != not.Code || there.Message != not.Message || there.Status != not.Status {
				t.Errorf("%s, %s: a key that is there answers %v, none %v", name, who.Entity.Name, there, not)
			}
		}
	}
}

func tryDecrypt(t *testing.T, who *apitest.Caller, in kms.DecryptInput) *api.Error {
	_, err := apitest.Call[kms.DecryptOutput](t, who, "kms:Decrypt", &in)
	return err
}

func tryReEncrypt(t *testing.T, who *apitest.Caller, in kms.ReEncryptInput) *api.Error {
	_, err := apitest.Call[kms.ReEncryptOutput](t, who, "kms:ReEncrypt", &in)
	return err
}

// Another account's aliases are not to be guessed: one that is there looks like one that
// is not, in the answer and in the record, to whom its key has nothing to do with.
func TestProbingForeignAliases(t *testing.T) {
	rig := newRig(t)
	admin, far := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Other, "far", apitest.Admin)
	k := newTestKey(t, admin, nil)
	apitest.Must[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/payroll", TargetKeyId: k.KeyId})
	managed := apitest.Must[kms.DescribeKeyOutput](t, admin, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "alias/aws/s3"}).KeyMetadata
	prefix := strings.TrimSuffix(k.Arn, "key/"+k.KeyId)
	missing := refused[kms.DescribeKeyOutput](t, far, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: prefix + "alias/none"}, "AccessDenied")
	for _, name := range []string{"alias/payroll", "alias/aws/s3", "alias/aws/ebs"} {
		err := refused[kms.DescribeKeyOutput](t, far, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: prefix + name}, "AccessDenied")
		if err.Message != missing.Message {
			t.Errorf("%s: %s; one that is not there: %s", name, err.Message, missing.Message)
		}
	}
	for _, r := range rig.Records(t, apitest.Other, "") {
		for _, touched := range r.Resources {
			if strings.Contains(touched.ARN, k.KeyId) || strings.Contains(touched.ARN, managed.KeyId) {
				t.Errorf("the record of %s tells the stranger %s", r.EventName, touched.ARN)
			}
		}
	}
	// Whom the key's policy speaks of uses it by its alias.
	for _, who := range []string{"arn:aws:iam::" + apitest.Other + ":root", far.Entity.ARN, "*"} {
		apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId,
			Policy: document(allow(rootARN, `"kms:*"`, ""), allow(who, `"kms:DescribeKey"`, ""))})
		apitest.Must[kms.DescribeKeyOutput](t, far, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: prefix + "alias/payroll"})
	}
}

// Whom of another account a key's policy names need not name the key of a ciphertext.
func TestUnnamedKeyAcrossAccounts(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	user, role := rig.User(t, apitest.Other, "user", apitest.Admin), rig.Role(t, apitest.Other, "role", apitest.Admin)
	for _, test := range []struct {
		who  *apitest.Caller
		name string
	}{
		{user, user.Entity.ARN}, {role, role.Entity.ARN}, {role, role.SessionARN()}, {user, "*"}, {role, "arn:aws:iam::" + apitest.Other + ":root"},
	} {
		k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: document(allow(rootARN, `"kms:*"`, ""), allow(test.name, `"kms:Decrypt"`, ""))})
		blob := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil)).CiphertextBlob
		apitest.Must[kms.DecryptOutput](t, test.who, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob})
		if test.name == user.Entity.ARN {
			refused[kms.DecryptOutput](t, role, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob}, "AccessDenied")
		}
	}
}

// Every decision on a key says all of its aliases: a key has so many and no more.
func TestLimitOfAliases(t *testing.T) { onBoth(t, limitOfAliases) }

func limitOfAliases(t *testing.T, rig *apitest.Rig) {
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k, other := newTestKey(t, admin, nil), newTestKey(t, admin, nil)
	alias := func(i int) *kms.CreateAliasInput {
		return &kms.CreateAliasInput{AliasName: fmt.Sprint("alias/", i), TargetKeyId: k.KeyId}
	}
	for i := range 50 {
		apitest.Must[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", alias(i))
	}
	refused[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", alias(50), "LimitExceededException")
	apitest.Must[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/other", TargetKeyId: other.KeyId})
	move := &kms.UpdateAliasInput{AliasName: "alias/other", TargetKeyId: k.KeyId}
	refused[kms.UpdateAliasOutput](t, admin, "kms:UpdateAlias", move, "LimitExceededException")
	apitest.Must[kms.UpdateAliasOutput](t, admin, "kms:UpdateAlias", &kms.UpdateAliasInput{AliasName: "alias/0", TargetKeyId: k.KeyId})
	apitest.Must[kms.DeleteAliasOutput](t, admin, "kms:DeleteAlias", &kms.DeleteAliasInput{AliasName: "alias/0"})
	apitest.Must[kms.UpdateAliasOutput](t, admin, "kms:UpdateAlias", move)
}

// A marker that no listing gave is refused, whatever it holds.
func TestOddMarkers(t *testing.T) { onBoth(t, oddMarkers) }

func oddMarkers(t *testing.T, rig *apitest.Rig) {
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	for _, marker := range []string{"AA", "_w", "gICA", "===="} { // a zero byte, and what is no UTF-8
		refused[kms.ListKeysOutput](t, admin, "kms:ListKeys", &kms.ListKeysInput{Marker: marker}, "InvalidMarkerException")
	}
}

// Text that a database does not take is the caller's mistake on both.
func TestZeroBytes(t *testing.T) { onBoth(t, zeroBytes) }

func zeroBytes(t *testing.T, rig *apitest.Rig) {
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	const code = "ValidationException"
	refused[kms.CreateKeyOutput](t, admin, "kms:CreateKey", &kms.CreateKeyInput{Description: "a\x00"}, code)
	refused[kms.UpdateKeyDescriptionOutput](t, admin, "kms:UpdateKeyDescription", &kms.UpdateKeyDescriptionInput{KeyId: k.KeyId, Description: "\x00"}, code)
	for _, tag := range []kms.Tag{{TagKey: "a\x00b"}, {TagKey: "a", TagValue: "\x00"}} {
		refused[kms.CreateKeyOutput](t, admin, "kms:CreateKey", &kms.CreateKeyInput{Tags: []kms.Tag{tag}}, code)
		refused[kms.TagResourceOutput](t, admin, "kms:TagResource", &kms.TagResourceInput{KeyId: k.KeyId, Tags: []kms.Tag{tag}}, code)
	}
	refused[kms.UntagResourceOutput](t, admin, "kms:UntagResource", &kms.UntagResourceInput{KeyId: k.KeyId, TagKeys: []string{"a\x00"}}, code)
}
