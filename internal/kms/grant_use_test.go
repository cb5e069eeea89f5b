package kms

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// A grant of one operation allows that one and none of the others, of every kind of key.
func TestEachOperationByItsGrant(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	const alice = "arn:aws:iam::" + apitest.Account + ":user/user"
	rig.User(t, apitest.Account, "user")
	create := func(spec kms.KeySpec, usage kms.KeyUsageType) string {
		return newTestKey(t, admin, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage}).Arn
	}
	open := newTestKey(t, admin, &kms.CreateKeyInput{Policy: document(allow(rootARN, `"kms:*"`, ""), allow(alice, `"kms:ReEncrypt*"`, ""))}).Arn
	sym, ec, dh := create("", ""), create(kms.KeySpecEccNistP256, kms.KeyUsageTypeSignVerify), create(kms.KeySpecEccNistP256, kms.KeyUsageTypeKeyAgreement)
	mac := create(kms.KeySpecHmac256, kms.KeyUsageTypeGenerateVerifyMac)
	rsa := create(kms.KeySpecRsa2048, kms.KeyUsageTypeEncryptDecrypt)
	sealed := func(key string) []byte {
		return apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(key, nil)).CiphertextBlob
	}
	message := []byte("m")
	signed := apitest.Must[kms.SignOutput](t, admin, "kms:Sign", &kms.SignInput{KeyId: ec, Message: message, SigningAlgorithm: kms.SigningAlgorithmSpecEcdsaSha256}).Signature
	tag := apitest.Must[kms.GenerateMacOutput](t, admin, "kms:GenerateMac", &kms.GenerateMacInput{KeyId: mac, Message: message, MacAlgorithm: kms.MacAlgorithmSpecHmacSha256}).Mac
	peer := apitest.Must[kms.GetPublicKeyOutput](t, admin, "kms:GetPublicKey", &kms.GetPublicKeyInput{KeyId: dh}).PublicKey
	uses := map[kms.GrantOperation]struct {
		key, action string
		in          any
	}{
		kms.GrantOperationEncrypt:                             {sym, "Encrypt", encryptWith(sym, nil)},
		kms.GrantOperationDecrypt:                             {sym, "Decrypt", &kms.DecryptInput{CiphertextBlob: sealed(sym)}},
		kms.GrantOperationGenerateDataKey:                     {sym, "GenerateDataKey", &kms.GenerateDataKeyInput{KeyId: sym, KeySpec: kms.DataKeySpecAes256}},
		kms.GrantOperationGenerateDataKeyWithoutPlaintext:     {sym, "GenerateDataKeyWithoutPlaintext", &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: sym, KeySpec: kms.DataKeySpecAes256}},
		kms.GrantOperationGenerateDataKeyPair:                 {sym, "GenerateDataKeyPair", &kms.GenerateDataKeyPairInput{KeyId: sym, KeyPairSpec: kms.DataKeyPairSpecEccNistP256}},
		kms.GrantOperationGenerateDataKeyPairWithoutPlaintext: {sym, "GenerateDataKeyPairWithoutPlaintext", &kms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: sym, KeyPairSpec: kms.DataKeyPairSpecEccNistP256}},
		kms.GrantOperationReEncryptFrom:                       {sym, "ReEncrypt", &kms.ReEncryptInput{CiphertextBlob: sealed(sym), DestinationKeyId: open}},
		kms.GrantOperationReEncryptTo:                         {sym, "ReEncrypt", &kms.ReEncryptInput{CiphertextBlob: sealed(open), DestinationKeyId: sym}},
		kms.GrantOperationDescribeKey:                         {sym, "DescribeKey", &kms.DescribeKeyInput{KeyId: sym}},
		kms.GrantOperationSign:                                {ec, "Sign", &kms.SignInput{KeyId: ec, Message: message, SigningAlgorithm: kms.SigningAlgorithmSpecEcdsaSha256}},
		kms.GrantOperationVerify:                              {ec, "Verify", &kms.VerifyInput{KeyId: ec, Message: message, Signature: signed, SigningAlgorithm: kms.SigningAlgorithmSpecEcdsaSha256}},
		kms.GrantOperationGetPublicKey:                        {rsa, "GetPublicKey", &kms.GetPublicKeyInput{KeyId: rsa}},
		kms.GrantOperationGenerateMac:                         {mac, "GenerateMac", &kms.GenerateMacInput{KeyId: mac, Message: message, MacAlgorithm: kms.MacAlgorithmSpecHmacSha256}},
		kms.GrantOperationVerifyMac:                           {mac, "VerifyMac", &kms.VerifyMacInput{KeyId: mac, Message: message, Mac: tag, MacAlgorithm: kms.MacAlgorithmSpecHmacSha256}},
		kms.GrantOperationDeriveSharedSecret:                  {dh, "DeriveSharedSecret", &kms.DeriveSharedSecretInput{KeyId: dh, PublicKey: peer, KeyAgreementAlgorithm: kms.KeyAgreementAlgorithmSpecEcdh}},
		kms.GrantOperationCreateGrant:                         {sym, "CreateGrant", &kms.CreateGrantInput{KeyId: sym, GranteePrincipal: alice, Operations: []kms.GrantOperation{kms.GrantOperationCreateGrant}, Name: "again"}},
	}
	for _, op := range grantable {
		use, ok := uses[op]
		if !ok {
			if op != kms.GrantOperationRetireGrant { // see TestWhoRetires
				t.Errorf("%s is not tried", op)
			}
			continue
		}
		user := rig.User(t, apitest.Account, fmt.Sprint("of", op))
		newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: use.key, GranteePrincipal: user.Entity.ARN, Operations: []kms.GrantOperation{op}})
		claim := api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: user.Entity.ID}
		call, err := rig.Door.Begin(t.Context(), claim, "")
		if err != nil {
			t.Fatal(err)
		}
		for other, try := range uses {
			if other == kms.GrantOperationReEncryptFrom || other == kms.GrantOperationReEncryptTo {
				apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: open,
					Policy: document(allow(rootARN, `"kms:*"`, ""), allow(user.Entity.ARN, `"kms:ReEncrypt*"`, ""))})
			}
			_, err := api.InvokeAny(t.Context(), call, "kms:"+try.action, try.in)
			e, _ := errors.AsType[*api.Error](err)
			switch {
			case other == op && err != nil:
				t.Errorf("%s by its grant: %v", op, err)
			case other != op && (e == nil || e.Code != "AccessDenied"):
				t.Errorf("%s by a grant of %s: %v", other, op, err)
			}
		}
	}
	// Each record of a use names the grant, and of one by policy none.
	for _, r := range rig.Records(t, apitest.Account, "Sign") {
		byGrant := strings.Contains(string(r.AdditionalEventData), `"grantIds"`)
		if byAdmin := r.UserIdentity.UserName == "admin"; byAdmin == byGrant && r.ErrorCode == "" {
			t.Errorf("by %s: %s", r.UserIdentity.UserName, r.AdditionalEventData)
		}
	}
	for _, r := range rig.Records(t, apitest.Account, "CreateGrant") {
		if text := string(r.ResponseElements); r.ErrorCode == "" && (!strings.Contains(text, `"grantId"`) || len(text) > 140) { // no room for a token
			t.Errorf("the record of a grant: %s", r.ResponseElements)
		}
	}
}

// Many grants to a whole account cost its callers no more than one does: of each holder
// the first that allows is enough.
func TestManyGrantsToAnAccount(t *testing.T) {
	st, dir := apitest.NewStore(t)
	rig := newRigOver(t, st, dir)
	admin, user := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "user", apitest.Admin)
	k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: document(allow(admin.Entity.ARN, `"kms:*"`, ""))})
	for range 3 {
		newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: rootARN, Operations: toEncrypt})
	}
	// The others cannot be read: who looked at them all would fail.
	if err := st.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE kms_grants SET kind = 'odd', pairs = '?' WHERE id > (SELECT min(id) FROM kms_grants)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	apitest.Must[kms.EncryptOutput](t, user, "kms:Encrypt", encryptWith(k.KeyId, nil))
}
