package kms

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// grantsOf are the grants of a key as its administrator sees them.
func grantsOf(t testing.TB, c *apitest.Caller, key string) []kms.GrantListEntry {
	t.Helper()
	return apitest.Must[kms.ListGrantsOutput](t, c, "kms:ListGrants", &kms.ListGrantsInput{KeyId: key}).Grants
}

func newGrantTo(t testing.TB, c *apitest.Caller, in *kms.CreateGrantInput) *kms.CreateGrantOutput {
	t.Helper()
	return apitest.Must[kms.CreateGrantOutput](t, c, "kms:CreateGrant", in)
}

func revoke(t testing.TB, c *apitest.Caller, key, grant string) {
	t.Helper()
	apitest.Must[kms.RevokeGrantOutput](t, c, "kms:RevokeGrant", &kms.RevokeGrantInput{KeyId: key, GrantId: grant})
}

var toEncrypt = []kms.GrantOperation{kms.GrantOperationEncrypt}

// A grant counts from the next call on, for its grantee and nobody else, for its
// operations and no others, and until the call after it is revoked.
func TestGrantsAllow(t *testing.T) { grantsAllow(t, newRig(t)) }

func grantsAllow(t *testing.T, rig *apitest.Rig) {
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	// No identity policy counts on this key: what is allowed is allowed by grant.
	k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: document(allow(admin.Entity.ARN, `"kms:*"`, ""))})
	user, role := rig.User(t, apitest.Account, "user"), rig.Role(t, apitest.Account, "role")
	other, others := rig.User(t, apitest.Account, "other", apitest.Admin), rig.Role(t, apitest.Account, "others", apitest.Admin)
	for _, to := range []struct {
		grantee string
		caller  *apitest.Caller
	}{{user.Entity.ARN, user}, {role.Entity.ARN, role}, {role.SessionARN(), role}} {
		refused[kms.EncryptOutput](t, to.caller, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
		made := newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: to.grantee, Operations: toEncrypt})
		apitest.Must[kms.EncryptOutput](t, to.caller, "kms:Encrypt", encryptWith(k.Arn, nil))
		refused[kms.DescribeKeyOutput](t, to.caller, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: k.Arn}, "AccessDenied")
		for _, c := range []*apitest.Caller{other, others} {
			refused[kms.EncryptOutput](t, c, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
		}
		if to.caller == role {
			another := *role
			claim := *role.Claim
			claim.SessionName, another.Claim = "another", &claim
			_, err := apitest.Call[kms.EncryptOutput](t, &another, "kms:Encrypt", encryptWith(k.Arn, nil))
			if whole := to.grantee == role.Entity.ARN; (err == nil) != whole {
				t.Errorf("another session of the role, of a grant to %s: %v", to.grantee, err)
			}
		}
		// A disabled key is not the grant's to say.
		apitest.Must[kms.DisableKeyOutput](t, admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.KeyId})
		refused[kms.EncryptOutput](t, to.caller, "kms:Encrypt", encryptWith(k.Arn, nil), "DisabledException")
		apitest.Must[kms.EnableKeyOutput](t, admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: k.KeyId})
		revoke(t, admin, k.KeyId, made.GrantId)
		refused[kms.EncryptOutput](t, to.caller, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
	}
	// The session of a federated user, which its own policies limit.
	claim := api.Claim{Kind: api.KindFederated, Account: apitest.Account, ID: user.Entity.ID, SessionName: "fed", Expires: time.Now().Add(time.Hour), HasSession: true}
	newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: "arn:aws:sts::" + apitest.Account + ":federated-user/fed", Operations: toEncrypt})
	if _, err := apitest.CallAs[kms.EncryptOutput](t, rig, claim, "", "kms:Encrypt", encryptWith(k.Arn, nil)); err == nil || !strings.Contains(err.Message, "session policy") {
		t.Errorf("a federated user without a session policy: %v", err)
	}
	claim.SessionPolicies = admin.Entity.Policies
	if _, err := apitest.CallAs[kms.EncryptOutput](t, rig, claim, "", "kms:Encrypt", encryptWith(k.Arn, nil)); err != nil {
		t.Error(err)
	}
	// A Deny of the key's policy stands above it.
	newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN, Operations: toEncrypt})
	apitest.Must[kms.EncryptOutput](t, user, "kms:Encrypt", encryptWith(k.Arn, nil))
	apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: document(allow(admin.Entity.ARN, `"kms:*"`, ""),
		strings.Replace(allow(user.Entity.ARN, `"kms:Encrypt"`, ""), "Allow", "Deny", 1))})
	refused[kms.EncryptOutput](t, user, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
}

// A grant to an account leaves the choice to the account's IAM.
func TestGrantsToAccounts(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: document(allow(admin.Entity.ARN, `"kms:*"`, ""))})
	for _, account := range []string{apitest.Account, apitest.Other} {
		able, poor := rig.User(t, account, "able", document(`{"Effect":"Allow","Action":"kms:Encrypt","Resource":"`+k.Arn+`"}`)), rig.User(t, account, "poor")
		refused[kms.EncryptOutput](t, able, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
		made := newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: "arn:aws:iam::" + account + ":root", Operations: toEncrypt})
		apitest.Must[kms.EncryptOutput](t, able, "kms:Encrypt", encryptWith(k.Arn, nil))
		refused[kms.EncryptOutput](t, poor, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
		revoke(t, admin, k.KeyId, made.GrantId)
		refused[kms.EncryptOutput](t, able, "kms:Encrypt", encryptWith(k.Arn, nil), "AccessDenied")
	}
}

// A grantee of another account needs its own account's word too; nothing of the key is
// told to those who have none.
func TestGrantsAbroad(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	sealed := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil)).CiphertextBlob
	able, poor, eve := rig.Role(t, apitest.Other, "able", apitest.Admin), rig.Role(t, apitest.Other, "poor"), rig.User(t, apitest.Other, "eve", apitest.Admin)
	both := []kms.GrantOperation{kms.GrantOperationDecrypt, kms.GrantOperationCreateGrant}
	made := newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: able.Entity.ARN, Operations: both})
	newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: poor.Entity.ARN, Operations: both})
	for _, in := range []*kms.DecryptInput{{CiphertextBlob: sealed}, {CiphertextBlob: sealed, KeyId: k.Arn}} {
		apitest.Must[kms.DecryptOutput](t, able, "kms:Decrypt", in)
		refused[kms.DecryptOutput](t, poor, "kms:Decrypt", in, "AccessDenied")
		refused[kms.DecryptOutput](t, eve, "kms:Decrypt", in, "AccessDenied")
	}
	// The record of it reaches the key's owner, with the grant.
	shared := rig.Records(t, apitest.Account, "Decrypt")
	if len(shared) != 2 || shared[0].SharedEventID == "" || !strings.Contains(string(shared[0].AdditionalEventData), made.GrantId) {
		t.Fatalf("%d records: %+v", len(shared), shared)
	}
	// What she was given she may give on in her own account, and no more.
	newGrantTo(t, able, &kms.CreateGrantInput{KeyId: k.Arn, GranteePrincipal: eve.Entity.ARN, Operations: []kms.GrantOperation{kms.GrantOperationDecrypt}})
	apitest.Must[kms.DecryptOutput](t, eve, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: sealed})
	refused[kms.CreateGrantOutput](t, able, "kms:CreateGrant", &kms.CreateGrantInput{KeyId: k.Arn, GranteePrincipal: able.Entity.ARN, Operations: toEncrypt}, "AccessDenied")
	refused[kms.CreateGrantOutput](t, eve, "kms:CreateGrant", &kms.CreateGrantInput{KeyId: k.Arn, GranteePrincipal: eve.Entity.ARN, Operations: both[:1]}, "AccessDenied")
	// Of the key's grants she sees none.
	refused[kms.ListGrantsOutput](t, able, "kms:ListGrants", &kms.ListGrantsInput{KeyId: k.Arn}, "AccessDenied")
	var issuers []string
	for _, g := range grantsOf(t, admin, k.KeyId) {
		issuers = append(issuers, g.IssuingAccount)
	}
	slices.Sort(issuers)
	if want := []string{rootARN, rootARN, "arn:aws:iam::" + apitest.Other + ":root"}; !slices.Equal(issuers, want) {
		t.Errorf("issued by %v", issuers)
	}
}

func TestGrantConstraints(t *testing.T) { onBoth(t, grantConstraints) }

func grantConstraints(t *testing.T, rig *apitest.Rig) {
	admin, user := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "user")
	ab := map[string]string{"a": "1", "b": "2"}
	for name, test := range map[string]struct {
		constraint kms.GrantConstraints
		good, bad  []map[string]string
	}{
		"equals": {
			kms.GrantConstraints{EncryptionContextEquals: ab},
			[]map[string]string{{"a": "1", "b": "2"}, {"A": "1", "b": "2"}},
			[]map[string]string{nil, {"a": "1"}, {"a": "1", "b": "3"}, {"a": "1", "b": "2", "c": "3"}, {"a": "2", "b": "1"}, {"a": "1", "c": "2"}, {"a1b2": ""}},
		},
		"subset": {
			kms.GrantConstraints{EncryptionContextSubset: ab},
			[]map[string]string{{"a": "1", "b": "2"}, {"a": "1", "B": "2", "c": "3"}},
			[]map[string]string{nil, {"a": "1"}, {"a": "1", "b": "3", "c": "2"}, {"b": "1", "a": "2"}},
		},
		"values have case": {
			kms.GrantConstraints{EncryptionContextSubset: map[string]string{"Team": "Red"}},
			[]map[string]string{{"TEAM": "Red"}},
			[]map[string]string{{"Team": "red"}, {"Team": "RED"}},
		},
		// The Kelvin sign folds to k in Unicode, and not here.
		"names fold as condition keys do": {
			kms.GrantConstraints{EncryptionContextEquals: map[string]string{"k": "1"}},
			[]map[string]string{{"K": "1"}},
			[]map[string]string{{"\u212a": "1"}},
		},
		"an empty value is a value": {
			kms.GrantConstraints{EncryptionContextSubset: map[string]string{"a": ""}},
			[]map[string]string{{"a": ""}, {"a": "", "b": ""}},
			[]map[string]string{nil, {"b": ""}, {"a": "x"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTestKey(t, admin, nil)
			newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN, Constraints: &test.constraint,
				Operations: []kms.GrantOperation{kms.GrantOperationEncrypt, kms.GrantOperationDecrypt, kms.GrantOperationReEncryptFrom, kms.GrantOperationReEncryptTo, kms.GrantOperationDescribeKey}})
			for _, context := range test.good {
				sealed := apitest.Must[kms.EncryptOutput](t, user, "kms:Encrypt", encryptWith(k.KeyId, context)).CiphertextBlob
				apitest.Must[kms.DecryptOutput](t, user, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: sealed, EncryptionContext: context})
				apitest.Must[kms.ReEncryptOutput](t, user, "kms:ReEncrypt", &kms.ReEncryptInput{
					CiphertextBlob: sealed, SourceEncryptionContext: context, DestinationKeyId: k.KeyId, DestinationEncryptionContext: context})
				for _, worse := range test.bad {
					refused[kms.ReEncryptOutput](t, user, "kms:ReEncrypt", &kms.ReEncryptInput{
						CiphertextBlob: sealed, SourceEncryptionContext: context, DestinationKeyId: k.KeyId, DestinationEncryptionContext: worse}, "AccessDenied")
				}
			}
			for _, context := range test.bad {
				refused[kms.EncryptOutput](t, user, "kms:Encrypt", encryptWith(k.KeyId, context), "AccessDenied")
				sealed := apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, context)).CiphertextBlob
				refused[kms.DecryptOutput](t, user, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: sealed, EncryptionContext: context}, "AccessDenied")
				refused[kms.ReEncryptOutput](t, user, "kms:ReEncrypt", &kms.ReEncryptInput{
					CiphertextBlob: sealed, SourceEncryptionContext: context, DestinationKeyId: k.KeyId, DestinationEncryptionContext: test.good[0]}, "AccessDenied")
			}
			// What has no context is not held to one.
			apitest.Must[kms.DescribeKeyOutput](t, user, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: k.KeyId})
			if got := grantsOf(t, admin, k.KeyId)[0].Constraints; !maps.Equal(got.EncryptionContextEquals, test.constraint.EncryptionContextEquals) || !maps.Equal(got.EncryptionContextSubset, test.constraint.EncryptionContextSubset) {
				t.Errorf("listed as %+v", got)
			}
		})
	}
}

// What CreateGrant refuses, whoever asks.
func TestGrantsThatCannotBe(t *testing.T) {
	rig := newRig(t)
	admin, user := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "user")
	role := rig.Role(t, apitest.Account, "role")
	k := newTestKey(t, admin, nil)
	long := map[string]string{"a": strings.Repeat("ä", 385)}
	nine := map[string]string{}
	for i := range 9 {
		nine[string(rune('a'+i))] = "x"
	}
	for name, test := range map[string]struct {
		change func(*kms.CreateGrantInput)
		code   string
	}{
		"an operation of signing keys": {func(in *kms.CreateGrantInput) { in.Operations = append(in.Operations, kms.GrantOperationSign) }, "ValidationException"},
		"no operations":                {func(in *kms.CreateGrantInput) { in.Operations = nil }, "ValidationException"},
		"both constraints": {func(in *kms.CreateGrantInput) {
			in.Constraints = &kms.GrantConstraints{EncryptionContextEquals: map[string]string{"a": "b"}, EncryptionContextSubset: map[string]string{"a": "b"}}
		}, "ValidationException"},
		"a constraint that says nothing": {func(in *kms.CreateGrantInput) {
			in.Constraints = &kms.GrantConstraints{EncryptionContextEquals: map[string]string{}}
		}, "ValidationException"},
		"nine pairs":   {func(in *kms.CreateGrantInput) { in.Constraints = &kms.GrantConstraints{EncryptionContextSubset: nine} }, "ValidationException"},
		"a long value": {func(in *kms.CreateGrantInput) { in.Constraints = &kms.GrantConstraints{EncryptionContextSubset: long} }, "ValidationException"},
		"names of one": {func(in *kms.CreateGrantInput) {
			in.Constraints = &kms.GrantConstraints{EncryptionContextSubset: map[string]string{"a": "1", "A": "2"}}
		}, "ValidationException"},
		"an alias": {func(in *kms.CreateGrantInput) { in.KeyId = "alias/aws/s3" }, "NotFoundException"},
		"a made-up token": {func(in *kms.CreateGrantInput) {
			in.GrantTokens = []string{"AQpAM2RhZTk1MGMyNTk2ZmZmMzEyYWVhOWViN2I1MWM4Mzc0MWFiYjc0ZDE1ODkyNGFlNTIzODZhMzgyZjBlNGY3NiKIAgEBAgB4Pa6VDCWW"}
		}, "InvalidGrantTokenException"},
		"a retiring group": {func(in *kms.CreateGrantInput) { in.RetiringPrincipal = "arn:aws:iam::" + apitest.Account + ":group/g" }, "InvalidArnException"},
	} {
		in := &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN, Operations: toEncrypt}
		test.change(in)
		_, err := apitest.Call[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", in)
		if err == nil || err.Code != test.code {
			t.Errorf("%s: %v, not %s", name, err, test.code)
		}
	}
	for _, grantee := range []string{
		"arn:aws:iam::" + apitest.Account + ":group/g", "sagemaker.amazonaws.com", apitest.Account, user.Entity.ID,
		"arn:aws:iam::" + apitest.Account + ":user/none", "arn:aws:iam::" + apitest.Other + ":user/user",
		"arn:aws:iam::" + apitest.Account + ":user/User", "arn:aws:iam::" + apitest.Account + ":role/role", // its path is missing
		"arn:aws:sts::" + apitest.Account + ":assumed-role/none/session", "arn:aws:sts::" + apitest.Account + ":assumed-role/Role/session",
		"arn:aws:sts::" + apitest.Account + ":assumed-role/role", "arn:aws:sts::" + apitest.Account + ":assumed-role/role/a/b",
		"arn:aws:sts::" + apitest.Account + ":assumed-role/role/", "arn:aws:iam::" + apitest.Account + ":root/x", "arn:aws:iam::1234:root",
		"arn:aws:iam:us-east-1:" + apitest.Account + ":root", "arn:aws:sts::" + apitest.Account + ":federated-user/", "arn:aws:s3:::bucket", k.Arn,
	} {
		in := &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: grantee, Operations: toEncrypt}
		refused[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", in, "InvalidArnException")
		in.GranteePrincipal, in.RetiringPrincipal = user.Entity.ARN, grantee
		refused[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", in, "InvalidArnException")
	}
	// Who may make no grants learns nothing of who exists.
	for _, grantee := range []string{role.Entity.ARN, "arn:aws:iam::" + apitest.Account + ":role/none"} {
		refused[kms.CreateGrantOutput](t, user, "kms:CreateGrant", &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: grantee, Operations: toEncrypt}, "AccessDenied")
	}
	if n := len(grantsOf(t, admin, k.KeyId)); n != 0 {
		t.Errorf("%d grants were made", n)
	}
	apitest.Must[kms.DisableKeyOutput](t, admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.KeyId})
	refused[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN, Operations: toEncrypt}, "DisabledException")
}

// A grant has the operations of its key's kind, and each of these is allowed.
func TestGrantOperationsOfSpecs(t *testing.T) {
	rig := newRig(t)
	admin, user := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "user")
	const always = "CreateGrant RetireGrant DescribeKey "
	for _, test := range []struct {
		spec  kms.KeySpec
		usage kms.KeyUsageType
		valid string
	}{
		{kms.KeySpecSymmetricDefault, kms.KeyUsageTypeEncryptDecrypt, "Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext"},
		{kms.KeySpecRsa2048, kms.KeyUsageTypeEncryptDecrypt, "Encrypt Decrypt ReEncryptFrom ReEncryptTo GetPublicKey"},
		{kms.KeySpecRsa2048, kms.KeyUsageTypeSignVerify, "Sign Verify GetPublicKey"},
		{kms.KeySpecEccNistP256, kms.KeyUsageTypeSignVerify, "Sign Verify GetPublicKey"},
		{kms.KeySpecEccNistP384, kms.KeyUsageTypeKeyAgreement, "DeriveSharedSecret GetPublicKey"},
		{kms.KeySpecHmac256, kms.KeyUsageTypeGenerateVerifyMac, "GenerateMac VerifyMac"},
	} {
		k := newTestKey(t, admin, &kms.CreateKeyInput{KeySpec: test.spec, KeyUsage: test.usage})
		valid := strings.Fields(always + test.valid)
		for _, op := range grantable {
			_, err := apitest.Call[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", &kms.CreateGrantInput{
				KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN, Operations: []kms.GrantOperation{op}})
			if want := slices.Contains(valid, string(op)); (err == nil) != want || err != nil && err.Code != "ValidationException" {
				t.Errorf("%s for %s of %s: %v", op, test.usage, test.spec, err)
			}
		}
		if test.spec != kms.KeySpecSymmetricDefault {
			refused[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN,
				Operations: []kms.GrantOperation{kms.GrantOperationDescribeKey}, Constraints: &kms.GrantConstraints{EncryptionContextSubset: map[string]string{"a": "b"}}}, "ValidationException")
		}
	}
}

// A key that cannot be used gets no grants; those that it has can be seen and ended.
func TestGrantsInEachState(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	for code, turn := range map[string]func(key string){
		"": func(string) {},
		"DisabledException": func(key string) {
			apitest.Must[kms.DisableKeyOutput](t, admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: key})
		},
		"KMSInvalidStateException": func(key string) {
			apitest.Must[kms.ScheduleKeyDeletionOutput](t, admin, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: key})
		},
	} {
		k := newTestKey(t, admin, nil)
		in := &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: admin.Entity.ARN, Operations: toEncrypt}
		first, second := newGrantTo(t, admin, in), newGrantTo(t, admin, in)
		turn(k.KeyId)
		if _, err := apitest.Call[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", in); code == "" && err != nil || code != "" && (err == nil || err.Code != code) {
			t.Errorf("%v, not %q", err, code)
		}
		revoke(t, admin, k.KeyId, first.GrantId)
		apitest.Must[kms.RetireGrantOutput](t, admin, "kms:RetireGrant", &kms.RetireGrantInput{GrantToken: second.GrantToken})
		if left := len(grantsOf(t, admin, k.KeyId)); left > 1 {
			t.Errorf("%d grants are left", left)
		}
	}
	empty := newTestKey(t, admin, &kms.CreateKeyInput{Origin: kms.OriginTypeExternal})
	refused[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", &kms.CreateGrantInput{KeyId: empty.KeyId, GranteePrincipal: admin.Entity.ARN, Operations: toEncrypt}, "KMSInvalidStateException")
}
