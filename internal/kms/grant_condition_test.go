package kms

import (
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// Each condition key decides: under it alice may do the one and not the other. Forwarded
// calls come through sagemaker.
func TestConditionKeysDecide(t *testing.T) {
	rig := newRig(t)
	admin, bob := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "bob")
	alice, abroad := rig.User(t, apitest.Account, "alice"), rig.User(t, apitest.Other, "alice", apitest.Admin)
	type call struct {
		action string
		in     func(key string) any
		by     *apitest.Caller
		via    string
	}
	const sagemaker = "sagemaker.amazonaws.com"
	grant := func(change func(*kms.CreateGrantInput)) call {
		return call{action: "CreateGrant", in: func(key string) any {
			in := &kms.CreateGrantInput{KeyId: key, GranteePrincipal: bob.Entity.ARN, Operations: toEncrypt}
			change(in)
			return in
		}}
	}
	through := func(c call) call { c.via = sagemaker; return c }
	plain := grant(func(*kms.CreateGrantInput) {})
	list := call{action: "ListGrants", in: func(key string) any { return &kms.ListGrantsInput{KeyId: key} }}
	encrypt := func(context map[string]string) call {
		return call{action: "Encrypt", in: func(key string) any { return encryptWith(key, context) }}
	}
	describe := call{action: "DescribeKey", in: func(key string) any { return &kms.DescribeKeyInput{KeyId: key} }}
	red := map[string]string{"team": "red"}
	put := func(bypass bool) call {
		return call{action: "PutKeyPolicy", in: func(key string) any {
			return &kms.PutKeyPolicyInput{KeyId: key, Policy: document(allow(rootARN, `"kms:*"`, ""), allow(alice.Entity.ARN, `"kms:PutKeyPolicy"`, "")), BypassPolicyLockoutSafetyCheck: &bypass}
		}}
	}
	constrained := func(c *kms.GrantConstraints) call {
		return grant(func(in *kms.CreateGrantInput) { in.Constraints = c })
	}
	operations := func(ops ...kms.GrantOperation) call {
		return grant(func(in *kms.CreateGrantInput) { in.Operations = ops })
	}
	for _, test := range []struct {
		condition string
		good, bad call
	}{
		{`"Bool":{"kms:GrantIsForAWSResource":"true"}`, through(plain), plain},
		{`"Bool":{"kms:GrantIsForAWSResource":"true"}`, through(list), list},
		{`"Bool":{"kms:GrantIsForAWSResource":"false"}`, plain, through(plain)},
		{`"StringEquals":{"kms:ViaService":"sagemaker.us-east-1.amazonaws.com"}`, through(encrypt(nil)), encrypt(nil)},
		{`"StringEquals":{"kms:ViaService":"sagemaker.us-east-1.amazonaws.com"}`, through(plain), plain},
		{`"StringEquals":{"kms:CallerAccount":"` + apitest.Account + `"}`, encrypt(nil), call{action: "Encrypt", in: encrypt(nil).in, by: abroad}},
		{`"StringEquals":{"kms:EncryptionContext:team":"red"}`, encrypt(red), encrypt(map[string]string{"team": "blue"})},
		{`"StringEquals":{"kms:EncryptionContext:team":"red"}`, encrypt(red), encrypt(nil)},
		{`"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":"team"}`, encrypt(red), encrypt(map[string]string{"team": "red", "Team2": "x"})},
		{`"ForAllValues:StringEquals":{"kms:GrantOperations":["Encrypt","Decrypt"]}`, operations(kms.GrantOperationDecrypt, kms.GrantOperationEncrypt), operations(kms.GrantOperationEncrypt, kms.GrantOperationCreateGrant)},
		{`"StringEquals":{"kms:GranteePrincipal":"` + bob.Entity.ARN + `"}`, plain, grant(func(in *kms.CreateGrantInput) { in.GranteePrincipal = alice.Entity.ARN })},
		{`"StringEquals":{"kms:RetiringPrincipal":"` + bob.Entity.ARN + `"}`, grant(func(in *kms.CreateGrantInput) { in.RetiringPrincipal = bob.Entity.ARN }), plain},
		{`"Null":{"kms:RetiringPrincipal":"true"}`, plain, grant(func(in *kms.CreateGrantInput) { in.RetiringPrincipal = bob.Entity.ARN })},
		{`"StringEquals":{"kms:GrantConstraintType":"EncryptionContextEquals"}`, constrained(equals("a=b")), constrained(subset("a=b"))},
		{`"StringEquals":{"kms:GrantConstraintType":"EncryptionContextSubset"}`, constrained(subset("a=b")), plain},
		{`"Bool":{"kms:BypassPolicyLockoutSafetyCheck":"false"}`, put(false), put(true)},
		{`"StringEquals":{"kms:RequestAlias":"alias/a"}`, call{action: "DescribeKey", in: func(string) any { return &kms.DescribeKeyInput{KeyId: "alias/a"} }}, describe},
	} {
		k := newTestKey(t, admin, nil)
		if _, err := apitest.Call[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/a", TargetKeyId: k.KeyId}); err != nil {
			apitest.Must[kms.UpdateAliasOutput](t, admin, "kms:UpdateAlias", &kms.UpdateAliasInput{AliasName: "alias/a", TargetKeyId: k.KeyId})
		}
		open := document(allow(rootARN, `"kms:*"`, ""), allow(alice.Entity.ARN, `"kms:*"`, `,"Condition":{`+test.condition+`}`),
			allow(abroad.Entity.ARN, `"kms:*"`, `,"Condition":{`+test.condition+`}`))
		apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: open})
		try := func(c call) *api.Error {
			if c.by == nil {
				c.by = alice
			}
			claim := api.Claim{Kind: api.KindUser, Account: c.by.Entity.Account, ID: c.by.Entity.ID}
			call, err := rig.Door.Begin(t.Context(), claim, c.via)
			if err != nil {
				t.Fatal(err)
			}
			_, err = api.InvokeAny(t.Context(), call, "kms:"+c.action, c.in(k.Arn))
			e, _ := err.(*api.Error)
			return e
		}
		if err := try(test.bad); err == nil || err.Code != "AccessDenied" {
			t.Errorf("%s: %s: %v", test.condition, test.bad.action, err)
		}
		if err := try(test.good); err != nil {
			t.Errorf("%s: %s: %v", test.condition, test.good.action, err)
		}
	}
}

// What kind of key it is decides of keys that are and of keys that are to be.
func TestConditionKeysOfKinds(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	signing := &kms.CreateKeyInput{KeySpec: kms.KeySpecEccNistP256, KeyUsage: kms.KeyUsageTypeSignVerify}
	imported := &kms.CreateKeyInput{Origin: kms.OriginTypeExternal}
	for i, test := range []struct {
		condition string
		good, bad *kms.CreateKeyInput
	}{
		{`"kms:KeySpec":"ECC_NIST_P256"`, signing, &kms.CreateKeyInput{}},
		{`"kms:KeyUsage":"SIGN_VERIFY"`, signing, &kms.CreateKeyInput{KeySpec: kms.KeySpecEccNistP256, KeyUsage: kms.KeyUsageTypeKeyAgreement}},
		{`"kms:KeyOrigin":"EXTERNAL"`, imported, &kms.CreateKeyInput{}},
		{`"kms:CustomerMasterKeySpec":"SYMMETRIC_DEFAULT"`, &kms.CreateKeyInput{}, signing},
		{`"kms:CustomerMasterKeyUsage":"ENCRYPT_DECRYPT"`, &kms.CreateKeyInput{}, signing},
	} {
		alice := rig.User(t, apitest.Account, "alice"+string(rune('a'+i)), document(`{"Effect":"Allow","Action":["kms:CreateKey","kms:DescribeKey"],"Resource":"*","Condition":{"StringEquals":{`+test.condition+`}}}`))
		yes := true
		for in, good := range map[*kms.CreateKeyInput]bool{test.good: true, test.bad: false} {
			own := *in
			own.BypassPolicyLockoutSafetyCheck = &yes
			_, err := apitest.Call[kms.CreateKeyOutput](t, alice, "kms:CreateKey", &own)
			_, shown := apitest.Call[kms.DescribeKeyOutput](t, alice, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: newTestKey(t, admin, in).KeyId})
			for _, err := range []*api.Error{err, shown} {
				if good != (err == nil) || err != nil && err.Code != "AccessDenied" {
					t.Errorf("%s: %+v: %v", test.condition, in, err)
				}
			}
		}
	}
}
