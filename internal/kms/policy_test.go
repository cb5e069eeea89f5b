package kms

import (
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

const rootARN = "arn:aws:iam::" + apitest.Account + ":root"

// document is a policy of the statements given.
func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allow(principal, action, more string) string {
	return `{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":` + action + `,"Resource":"*"` + more + `}`
}

func encryptWith(k string, context map[string]string) *kms.EncryptInput {
	return &kms.EncryptInput{KeyId: k, Plaintext: []byte("x"), EncryptionContext: context}
}

func TestKeyPolicyIsTheRootOfTrust(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	alice := rig.User(t, apitest.Account, "alice")
	closed := document(
		allow(admin.Entity.ARN, `["kms:PutKeyPolicy","kms:DescribeKey"]`, ""),
		allow(alice.Entity.ARN, `"kms:Encrypt"`, ""),
	)
	k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: closed})
	// The key's policy names alice and does not delegate to IAM: her word is enough, and the administrator's is not.
	apitest.Must[kms.EncryptOutput](t, alice, "kms:Encrypt", encryptWith(k.KeyId, nil))
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil), "AccessDenied")
	refused[kms.DisableKeyOutput](t, admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.KeyId}, "AccessDenied")
	refused[kms.DescribeKeyOutput](t, alice, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: k.KeyId}, "AccessDenied")

	opened := document(allow(rootARN, `"kms:*"`, ""))
	apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: opened})
	apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil))
	refused[kms.EncryptOutput](t, alice, "kms:Encrypt", encryptWith(k.KeyId, nil), "AccessDenied")
	got := apitest.Must[kms.GetKeyPolicyOutput](t, admin, "kms:GetKeyPolicy", &kms.GetKeyPolicyInput{KeyId: k.KeyId})
	if got.Policy != opened || got.PolicyName != "default" {
		t.Errorf("%+v", got)
	}
}

func TestLockout(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	bob := rig.User(t, apitest.Account, "bob", apitest.Admin)
	yes := true
	shut := document(allow(bob.Entity.ARN, `"kms:*"`, ""))
	refused[kms.CreateKeyOutput](t, admin, "kms:CreateKey", &kms.CreateKeyInput{Policy: shut}, "MalformedPolicyDocumentException")
	k := newTestKey(t, admin, nil)
	refused[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: shut}, "MalformedPolicyDocumentException")
	apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil)) // nothing changed
	apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: shut, BypassPolicyLockoutSafetyCheck: &yes})
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil), "AccessDenied")
	apitest.Must[kms.EncryptOutput](t, bob, "kms:Encrypt", encryptWith(k.KeyId, nil))

	for _, text := range []string{`{`, `{}`, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*"}]}`, strings.Repeat(" ", 200<<10)} {
		refused[kms.PutKeyPolicyOutput](t, bob, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: text}, "MalformedPolicyDocumentException")
	}
	refused[kms.PutKeyPolicyOutput](t, bob, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, PolicyName: "other", Policy: shut}, "NotFoundException")
}

func TestConditionKeys(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	alice := rig.User(t, apitest.Account, "alice")
	for name, test := range map[string]struct {
		condition string
		good, bad *kms.EncryptInput
	}{
		"context value": {
			`"StringEquals":{"kms:EncryptionContext:team":"red"}`,
			encryptWith("", map[string]string{"team": "red", "more": "x"}), encryptWith("", map[string]string{"team": "blue"}),
		},
		"context names": {
			`"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["team","run"]},"Null":{"kms:EncryptionContextKeys":"false"}`,
			encryptWith("", map[string]string{"run": "1"}), encryptWith("", map[string]string{"run": "1", "other": ""}),
		},
		"no context at all": {
			`"Null":{"kms:EncryptionContext:team":"false"}`,
			encryptWith("", map[string]string{"team": ""}), encryptWith("", nil),
		},
		"caller's account": {`"StringEquals":{"kms:CallerAccount":"` + apitest.Account + `","kms:KeySpec":"SYMMETRIC_DEFAULT","kms:KeyUsage":"ENCRYPT_DECRYPT","kms:KeyOrigin":"AWS_KMS","kms:EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}`, encryptWith("", nil), nil},
		"only through s3":  {`"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}`, nil, encryptWith("", nil)},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: document(
				allow(rootARN, `"kms:*"`, ""), allow(alice.Entity.ARN, `"kms:Encrypt"`, `,"Condition":{`+test.condition+`}`))})
			if test.good != nil {
				test.good.KeyId = k.KeyId
				apitest.Must[kms.EncryptOutput](t, alice, "kms:Encrypt", test.good)
			}
			if test.bad != nil {
				test.bad.KeyId = k.KeyId
				refused[kms.EncryptOutput](t, alice, "kms:Encrypt", test.bad, "AccessDenied")
			}
		})
	}
	t.Run("aliases", func(t *testing.T) {
		k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: document(allow(rootARN, `"kms:*"`, ""),
			allow(alice.Entity.ARN, `"kms:Encrypt"`, `,"Condition":{"StringEquals":{"kms:RequestAlias":"alias/named"}}`),
			allow(alice.Entity.ARN, `"kms:GenerateDataKey"`, `,"Condition":{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/named"}}`))})
		data := &kms.GenerateDataKeyInput{KeyId: k.KeyId, KeySpec: kms.DataKeySpecAes256}
		refused[kms.GenerateDataKeyOutput](t, alice, "kms:GenerateDataKey", data, "AccessDenied")
		apitest.Must[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/named", TargetKeyId: k.KeyId})
		apitest.Must[kms.GenerateDataKeyOutput](t, alice, "kms:GenerateDataKey", data)
		apitest.Must[kms.EncryptOutput](t, alice, "kms:Encrypt", encryptWith("alias/named", nil))
		refused[kms.EncryptOutput](t, alice, "kms:Encrypt", encryptWith(k.KeyId, nil), "AccessDenied")
		apitest.Must[kms.DeleteAliasOutput](t, admin, "kms:DeleteAlias", &kms.DeleteAliasInput{AliasName: "alias/named"})
		refused[kms.GenerateDataKeyOutput](t, alice, "kms:GenerateDataKey", data, "AccessDenied")
	})
	t.Run("tags", func(t *testing.T) {
		tagger := rig.User(t, apitest.Account, "tagger", document(
			`{"Effect":"Allow","Action":["kms:CreateKey","kms:TagResource","kms:PutKeyPolicy"],"Resource":"*","Condition":{"StringEqualsIfExists":{"aws:RequestTag/team":"red"}}}`,
			`{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}}`))
		refused[kms.CreateKeyOutput](t, tagger, "kms:CreateKey", &kms.CreateKeyInput{Tags: []kms.Tag{{TagKey: "team", TagValue: "blue"}}}, "AccessDenied")
		k := newTestKey(t, tagger, &kms.CreateKeyInput{Tags: []kms.Tag{{TagKey: "team", TagValue: "red"}}})
		apitest.Must[kms.EncryptOutput](t, tagger, "kms:Encrypt", encryptWith(k.KeyId, nil))
		apitest.Must[kms.UntagResourceOutput](t, admin, "kms:UntagResource", &kms.UntagResourceInput{KeyId: k.KeyId, TagKeys: []string{"team"}})
		refused[kms.EncryptOutput](t, tagger, "kms:Encrypt", encryptWith(k.KeyId, nil), "AccessDenied")
		apitest.Must[kms.TagResourceOutput](t, admin, "kms:TagResource", &kms.TagResourceInput{KeyId: k.KeyId, Tags: []kms.Tag{{TagKey: "Team", TagValue: "blue"}}})
		refused[kms.TagResourceOutput](t, admin, "kms:TagResource", &kms.TagResourceInput{KeyId: k.KeyId, Tags: []kms.Tag{{TagKey: "team", TagValue: "red"}}}, "TagException")
	})
}

func TestOtherAccounts(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	eve := rig.User(t, apitest.Other, "eve", apitest.Admin)
	poor := rig.User(t, apitest.Other, "poor")
	k := newTestKey(t, admin, nil)
	sealed := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil))

	t.Run("what is there looks like what is not", func(t *testing.T) {
		missing := strings.Replace(k.Arn, k.KeyId, "11111111-2222-4333-8444-555555555555", 1)
		there := refused[kms.EncryptOutput](t, eve, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
		absent := refused[kms.EncryptOutput](t, eve, "kms:Encrypt", encryptWith(missing, nil), "AccessDenied")
		if strings.ReplaceAll(there.Message, k.Arn, "") != strings.ReplaceAll(absent.Message, missing, "") {
			t.Errorf("%q is told apart from %q", there.Message, absent.Message)
		}
		refused[kms.EncryptOutput](t, eve, "kms:Encrypt", encryptWith(k.KeyId, nil), "NotFoundException")
	})
	t.Run("a ciphertext does not tell its key", func(t *testing.T) {
		err := refused[kms.DecryptOutput](t, eve, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob}, "AccessDenied")
		gone := append(appendHeader(nil, &key{id: "11111111-2222-4333-8444-555555555555", version: 1}), sealed.CiphertextBlob[ciphertextHeader:]...)
		none := refused[kms.DecryptOutput](t, eve, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: gone}, "AccessDenied")
		if err.Message != none.Message || strings.Contains(err.Message, apitest.Account) {
			t.Errorf("%q and %q", err.Message, none.Message)
		}
		// Nor do the records that her own account may look up.
		for _, r := range rig.Records(t, apitest.Other, "Decrypt") {
			for _, named := range r.Resources {
				if named.Account != apitest.Other {
					t.Errorf("a record of the refusal names %s", named.ARN)
				}
			}
		}
	})
	t.Run("both sides must allow", func(t *testing.T) {
		shared := document(allow(rootARN, `"kms:*"`, ""), allow("arn:aws:iam::"+apitest.Other+":root", `["kms:Encrypt","kms:Decrypt","kms:DisableKey"]`, ""))
		apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: shared})
		apitest.Must[kms.EncryptOutput](t, eve, "kms:Encrypt", encryptWith(k.Arn, nil))
		apitest.Must[kms.DecryptOutput](t, eve, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
		refused[kms.EncryptOutput](t, poor, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
		refused[kms.DisableKeyOutput](t, eve, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.Arn}, "AccessDenied")
	})
	if out := apitest.Must[kms.ListKeysOutput](t, eve, "kms:ListKeys", &kms.ListKeysInput{}); len(out.Keys) != 0 {
		t.Errorf("another account lists %v", out.Keys)
	}
}

func TestMissingKeyIsToldToWhomMayKnow(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	nobody := rig.User(t, apitest.Account, "nobody")
	const id = "11111111-2222-4333-8444-555555555555"
	err := refused[kms.DescribeKeyOutput](t, admin, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: id}, "NotFoundException")
	if want := "Key 'arn:aws:kms:us-east-1:" + apitest.Account + ":key/" + id + "' does not exist"; err.Message != want {
		t.Errorf("%q, not %q", err.Message, want)
	}
	refused[kms.DescribeKeyOutput](t, nobody, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: id}, "AccessDenied")
	err = refused[kms.DescribeKeyOutput](t, admin, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "alias/none"}, "NotFoundException")
	if want := "Alias arn:aws:kms:us-east-1:" + apitest.Account + ":alias/none is not found."; err.Message != want {
		t.Errorf("%q, not %q", err.Message, want)
	}
	refused[kms.DescribeKeyOutput](t, nobody, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "alias/none"}, "AccessDenied")
	for name, code := range map[string]string{
		"arn:aws:kms:eu-west-1:" + apitest.Account + ":key/" + id: "NotFoundException",
		"arn:aws:s3:::bucket": "InvalidArnException", "arn:x": "InvalidArnException",
		"../../etc/passwd": "NotFoundException", "key/" + id: "NotFoundException", "a:b": "NotFoundException",
	} {
		refused[kms.DescribeKeyOutput](t, admin, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: name}, code)
	}
}

func TestManagedKeys(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	eve := rig.User(t, apitest.Other, "eve", apitest.Admin)
	claim := api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: admin.Entity.ID}
	data := &kms.GenerateDataKeyInput{KeyId: "alias/aws/s3", KeySpec: kms.DataKeySpecAes256}
	out, err := apitest.CallAs[kms.GenerateDataKeyOutput](t, rig, claim, "s3.amazonaws.com", "kms:GenerateDataKey", data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := apitest.CallAs[kms.GenerateDataKeyOutput](t, rig, claim, "s3.amazonaws.com", "kms:GenerateDataKey", data)
	if err != nil || again.KeyId != out.KeyId {
		t.Fatalf("%v: the second use finds %s, not %s", err, again.KeyId, out.KeyId)
	}
	if made := rig.Records(t, apitest.Account, "CreateKey"); len(made) != 1 || made[0].EventType != "AwsServiceEvent" {
		t.Errorf("%d records of the key's making", len(made))
	}
	// Not directly, not through another service, not from another account.
	refused[kms.GenerateDataKeyOutput](t, admin, "kms:GenerateDataKey", data, "AccessDenied")
	refused[kms.DecryptOutput](t, admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob}, "AccessDenied")
	if _, err := apitest.CallAs[kms.GenerateDataKeyOutput](t, rig, claim, "sagemaker.amazonaws.com", "kms:GenerateDataKey", data); err == nil {
		t.Error("sagemaker used the key of s3")
	}
	foreign := api.Claim{Kind: api.KindUser, Account: apitest.Other, ID: eve.Entity.ID}
	if _, err := apitest.CallAs[kms.DecryptOutput](t, rig, foreign, "s3.amazonaws.com", "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob}); err == nil {
		t.Error("another account used the key")
	}
	m := apitest.Must[kms.DescribeKeyOutput](t, admin, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "alias/aws/s3"}).KeyMetadata
	if m.KeyManager != kms.KeyManagerTypeAws {
		t.Errorf("manager %s", m.KeyManager)
	}
	for action, in := range map[string]any{
		"DisableKey": &kms.DisableKeyInput{KeyId: m.KeyId}, "CreateAlias": &kms.CreateAliasInput{AliasName: "alias/mine", TargetKeyId: m.KeyId},
		"PutKeyPolicy": &kms.PutKeyPolicyInput{KeyId: m.KeyId, Policy: defaultPolicy(apitest.Account)},
		"TagResource":  &kms.TagResourceInput{KeyId: m.KeyId, Tags: []kms.Tag{{TagKey: "a", TagValue: "b"}}},
	} {
		if _, err := apitest.Call[struct{}](t, admin, "kms:"+action, in); err == nil || err.Code != "AccessDenied" {
			t.Errorf("%s: %v", action, err)
		}
	}
	for _, in := range []*kms.CreateAliasInput{{AliasName: "alias/aws/s3", TargetKeyId: m.KeyId}, {AliasName: "alias/aws/new", TargetKeyId: m.KeyId}} {
		refused[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", in, "NotAuthorizedException")
	}
	refused[kms.DeleteAliasOutput](t, admin, "kms:DeleteAlias", &kms.DeleteAliasInput{AliasName: "alias/aws/s3"}, "NotAuthorizedException")
}

func TestUnknownNamesAreRefused(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	for _, statement := range []string{
		allow(rootARN, `"kms:*"`, `,"Condition":{"StringEquals":{"kms:ViaServices":"s3.us-east-1.amazonaws.com"}}`),
		allow(rootARN, `["kms:*","kms:Dekrypt"]`, ""),
	} {
		refused[kms.CreateKeyOutput](t, admin, "kms:CreateKey", &kms.CreateKeyInput{Policy: document(statement)}, "MalformedPolicyDocumentException")
	}
}

// Who takes the name of somebody deleted takes nothing that a key gave the other.
func TestNamesThatWereUsedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, rig *apitest.Rig) {
		admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
		names := func() (user, role, session *apitest.Caller) {
			return rig.User(t, apitest.Account, "alice"), rig.Role(t, apitest.Account, "train"), rig.Role(t, apitest.Other, "guest", apitest.Admin)
		}
		user, role, session := names()
		text := document(allow(rootARN, `["kms:PutKeyPolicy","kms:GetKeyPolicy"]`, ""),
			allow(user.Entity.ARN, `"kms:Encrypt"`, ""), allow(role.Entity.ARN, `"kms:Encrypt"`, ""), allow(session.SessionARN(), `"kms:Encrypt"`, ""))
		made := newTestKey(t, admin, &kms.CreateKeyInput{Policy: text})
		put := newTestKey(t, admin, nil)
		apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: put.KeyId, Policy: text})
		keys := []*kms.KeyMetadata{made, put}
		for _, k := range keys {
			if got := apitest.Must[kms.GetKeyPolicyOutput](t, admin, "kms:GetKeyPolicy", &kms.GetKeyPolicyInput{KeyId: k.KeyId}).Policy; got != text {
				t.Errorf("%s\nis not what was put:\n%s", got, text)
			}
			for _, c := range []*apitest.Caller{user, role, session} {
				apitest.Must[kms.EncryptOutput](t, c, "kms:Encrypt", encryptWith(k.Arn, nil))
			}
		}
		for _, c := range []*apitest.Caller{user, role, session} {
			rig.Remove(c)
		}
		user2, role2, session2 := names()
		for _, k := range keys {
			for _, c := range []*apitest.Caller{user2, role2, session2} {
				refused[kms.EncryptOutput](t, c, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
			}
			got := apitest.Must[kms.GetKeyPolicyOutput](t, admin, "kms:GetKeyPolicy", &kms.GetKeyPolicyInput{KeyId: k.KeyId}).Policy
			for _, id := range []string{`"` + user.Entity.ID + `"`, `"` + role.Entity.ID + `"`, session.Entity.ID + ":session", rootARN} {
				if !strings.Contains(got, id) {
					t.Errorf("%s is not in %s", id, got)
				}
			}
		}
		apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: put.KeyId, Policy: text})
		apitest.Must[kms.EncryptOutput](t, role2, "kms:Encrypt", encryptWith(put.Arn, nil))
	})
}

func TestPrincipalsMustExist(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	nobody := rig.User(t, apitest.Account, "nobody")
	k := newTestKey(t, admin, nil)
	for _, principal := range []string{
		"arn:aws:iam::" + apitest.Account + ":role/none", "arn:aws:iam::" + apitest.Other + ":user/admin",
		"arn:aws:sts::" + apitest.Account + ":assumed-role/none/session",
	} {
		text := document(allow(rootARN, `"kms:*"`, ""), allow(principal, `"kms:Encrypt"`, ""))
		refused[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: text}, "MalformedPolicyDocumentException")
		e := refused[kms.CreateKeyOutput](t, admin, "kms:CreateKey", &kms.CreateKeyInput{Policy: text}, "MalformedPolicyDocumentException")
		if !strings.HasPrefix(e.Message, "Invalid principal in policy") {
			t.Errorf("%s: %s", principal, e.Message)
		}
		// Who may make no keys learns nothing of who exists.
		refused[kms.CreateKeyOutput](t, nobody, "kms:CreateKey", &kms.CreateKeyInput{Policy: text}, "AccessDenied")
	}
}
