package keys

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

type pager[Out any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*kms.Options)) (*Out, error)
}

// pages are the names on all pages, of which there must be at least so many.
func pages[Out any](t *testing.T, least int, p pager[Out], names func(*Out) []string) []string {
	t.Helper()
	var all []string
	n := 0
	for ; p.HasMorePages(); n++ {
		all = append(all, names(must[*Out](t)(p.NextPage(t.Context())))...)
	}
	if n < least {
		t.Errorf("%T has %d pages", p, n)
	}
	return all
}

// same fails the test unless two lists have the same items in whatever order.
func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, not %q", what, got, want)
	}
}

func each[T any](list []T, name func(T) *string) []string {
	names := []string{}
	for _, item := range list {
		names = append(names, aws.ToString(name(item)))
	}
	return names
}

// Keys, their aliases, tags and policies, on several pages.
func TestManagedKeys(t *testing.T) {
	client := kms.NewFromConfig(start(t).admin().config())
	var ids []string
	for range 3 {
		ids = append(ids, *call(t, client.CreateKey, kms.CreateKeyInput{Description: aws.String("data"), Tags: []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("red")}}}).KeyMetadata.KeyId)
	}
	id, other, absent := &ids[0], &ids[1], aws.String("1234abcd-12ab-34cd-56ef-1234567890ab")
	same(t, "keys", pages(t, 2, kms.NewListKeysPaginator(client, &kms.ListKeysInput{Limit: aws.Int32(2)}), func(out *kms.ListKeysOutput) []string {
		return each(out.Keys, func(k types.KeyListEntry) *string { return k.KeyId })
	}), ids...)
	raises[*types.InvalidMarkerException](t, client.ListKeys, kms.ListKeysInput{Marker: aws.String("made up")})
	raises[*types.NotFoundException](t, client.DescribeKey, kms.DescribeKeyInput{KeyId: absent})
	raises[*types.InvalidArnException](t, client.DescribeKey, kms.DescribeKeyInput{KeyId: aws.String("arn:aws:s3:::bucket")})
	raises[*types.UnsupportedOperationException](t, client.CreateKey, kms.CreateKeyInput{KeySpec: types.KeySpecSm2, KeyUsage: types.KeyUsageTypeSignVerify})
	call(t, client.UpdateKeyDescription, kms.UpdateKeyDescriptionInput{KeyId: id, Description: aws.String("images")})
	if m := call(t, client.DescribeKey, kms.DescribeKeyInput{KeyId: id}).KeyMetadata; *m.Description != "images" || m.KeyState != types.KeyStateEnabled || m.KeyManager != types.KeyManagerTypeCustomer {
		t.Errorf("the key is %q, %s, of %s", *m.Description, m.KeyState, m.KeyManager)
	}

	names := []string{"alias/a", "alias/b", "alias/c/d"}
	for _, name := range names {
		call(t, client.CreateAlias, kms.CreateAliasInput{AliasName: &name, TargetKeyId: id})
	}
	raises[*types.AlreadyExistsException](t, client.CreateAlias, kms.CreateAliasInput{AliasName: &names[0], TargetKeyId: other})
	raises[*types.InvalidAliasNameException](t, client.CreateAlias, kms.CreateAliasInput{AliasName: aws.String("alias/a:b"), TargetKeyId: other})
	aliases := func(out *kms.ListAliasesOutput) []string {
		return each(out.Aliases, func(a types.AliasListEntry) *string { return a.AliasName })
	}
	same(t, "aliases", pages(t, 3, kms.NewListAliasesPaginator(client, &kms.ListAliasesInput{KeyId: id, Limit: aws.Int32(1)}), aliases), names...)
	call(t, client.UpdateAlias, kms.UpdateAliasInput{AliasName: &names[1], TargetKeyId: other})
	call(t, client.DeleteAlias, kms.DeleteAliasInput{AliasName: &names[2]})
	raises[*types.NotFoundException](t, client.DeleteAlias, kms.DeleteAliasInput{AliasName: &names[2]})
	same(t, "aliases that are left", pages(t, 1, kms.NewListAliasesPaginator(client, &kms.ListAliasesInput{KeyId: id}), aliases), names[0])
	if m := call(t, client.DescribeKey, kms.DescribeKeyInput{KeyId: &names[1]}).KeyMetadata; *m.KeyId != *other {
		t.Errorf("the alias leads to %s", *m.KeyId)
	}

	call(t, client.TagResource, kms.TagResourceInput{KeyId: id, Tags: []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("blue")}, {TagKey: aws.String("site"), TagValue: aws.String("")}}})
	tags := func(least int) []string {
		t.Helper()
		return pages(t, least, kms.NewListResourceTagsPaginator(client, &kms.ListResourceTagsInput{KeyId: id, Limit: aws.Int32(1)}), func(out *kms.ListResourceTagsOutput) []string {
			return each(out.Tags, func(t types.Tag) *string { return aws.String(*t.TagKey + "=" + *t.TagValue) })
		})
	}
	same(t, "tags", tags(2), "team=blue", "site=")
	call(t, client.UntagResource, kms.UntagResourceInput{KeyId: id, TagKeys: []string{"site", "never"}})
	same(t, "tags that are left", tags(1), "team=blue")

	same(t, "policies", pages(t, 1, kms.NewListKeyPoliciesPaginator(client, &kms.ListKeyPoliciesInput{KeyId: id}), func(out *kms.ListKeyPoliciesOutput) []string { return out.PolicyNames }), "default")
	raises[*types.MalformedPolicyDocumentException](t, client.PutKeyPolicy, kms.PutKeyPolicyInput{KeyId: id, Policy: aws.String("{}")})
	raises[*types.MalformedPolicyDocumentException](t, client.PutKeyPolicy, kms.PutKeyPolicyInput{KeyId: id, // it would lock the caller out
		Policy: policy(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:Describe*","Resource":"*"}`)})
	open := policy(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"kms:Encrypt","Resource":"*"}`)
	call(t, client.PutKeyPolicy, kms.PutKeyPolicyInput{KeyId: id, Policy: open})
	if got := call(t, client.GetKeyPolicy, kms.GetKeyPolicyInput{KeyId: id}).Policy; *got != *open {
		t.Errorf("the policy reads %s", *got)
	}
	fails(t, "AccessDeniedException", client.Encrypt, kms.EncryptInput{KeyId: id, Plaintext: []byte("x")})

	deleted := call(t, client.ScheduleKeyDeletion, kms.ScheduleKeyDeletionInput{KeyId: other, PendingWindowInDays: aws.Int32(7)})
	if deleted.KeyState != types.KeyStatePendingDeletion || deleted.DeletionDate == nil {
		t.Errorf("it is %s until %v", deleted.KeyState, deleted.DeletionDate)
	}
	raises[*types.KMSInvalidStateException](t, client.EnableKey, kms.EnableKeyInput{KeyId: other})
	raises[*types.KMSInvalidStateException](t, client.Encrypt, kms.EncryptInput{KeyId: other, Plaintext: []byte("x")})
	call(t, client.CancelKeyDeletion, kms.CancelKeyDeletionInput{KeyId: other})
	raises[*types.KMSInvalidStateException](t, client.CancelKeyDeletion, kms.CancelKeyDeletionInput{KeyId: other})
	raises[*types.DisabledException](t, client.Encrypt, kms.EncryptInput{KeyId: other, Plaintext: []byte("x")})
	call(t, client.EnableKey, kms.EnableKeyInput{KeyId: other})
	call(t, client.Encrypt, kms.EncryptInput{KeyId: other, Plaintext: []byte("x")})
}

// Rotations, by themselves and on demand.
func TestRotations(t *testing.T) {
	client := kms.NewFromConfig(start(t).admin().config())
	id := call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.KeyId
	status := func() *kms.GetKeyRotationStatusOutput {
		t.Helper()
		return call(t, client.GetKeyRotationStatus, kms.GetKeyRotationStatusInput{KeyId: id})
	}
	if status().KeyRotationEnabled {
		t.Error("a new key rotates")
	}
	call(t, client.EnableKeyRotation, kms.EnableKeyRotationInput{KeyId: id, RotationPeriodInDays: aws.Int32(90)})
	if got := status(); !got.KeyRotationEnabled || aws.ToInt32(got.RotationPeriodInDays) != 90 || got.NextRotationDate == nil {
		t.Errorf("it rotates %v every %d days, next on %v", got.KeyRotationEnabled, aws.ToInt32(got.RotationPeriodInDays), got.NextRotationDate)
	}
	sealed := [][]byte{call(t, client.Encrypt, kms.EncryptInput{KeyId: id, Plaintext: []byte("0")}).CiphertextBlob}
	for i := range 3 {
		call(t, client.RotateKeyOnDemand, kms.RotateKeyOnDemandInput{KeyId: id})
		sealed = append(sealed, call(t, client.Encrypt, kms.EncryptInput{KeyId: id, Plaintext: fmt.Append(nil, i+1)}).CiphertextBlob)
	}
	materials := map[string]bool{}
	for i, blob := range sealed {
		out := call(t, client.Decrypt, kms.DecryptInput{CiphertextBlob: blob})
		if string(out.Plaintext) != fmt.Sprint(i) {
			t.Errorf("after rotations, %d decrypts to %q", i, out.Plaintext)
		}
		materials[aws.ToString(out.KeyMaterialId)] = true
	}
	if len(materials) != len(sealed) {
		t.Errorf("three rotations leave %d materials", len(materials))
	}
	kinds := pages(t, 3, kms.NewListKeyRotationsPaginator(client, &kms.ListKeyRotationsInput{KeyId: id, Limit: aws.Int32(1)}), func(out *kms.ListKeyRotationsOutput) []string {
		return each(out.Rotations, func(r types.RotationsListEntry) *string { return aws.String(string(r.RotationType)) })
	})
	same(t, "rotations", kinds, "ON_DEMAND", "ON_DEMAND", "ON_DEMAND")
	call(t, client.DisableKeyRotation, kms.DisableKeyRotationInput{KeyId: id})
	if status().KeyRotationEnabled {
		t.Error("it rotates still")
	}
	mac := call(t, client.CreateKey, kms.CreateKeyInput{KeySpec: types.KeySpecHmac256, KeyUsage: types.KeyUsageTypeGenerateVerifyMac}).KeyMetadata.KeyId
	raises[*types.UnsupportedOperationException](t, client.EnableKeyRotation, kms.EnableKeyRotationInput{KeyId: mac})
	call(t, client.DisableKey, kms.DisableKeyInput{KeyId: id})
	raises[*types.DisabledException](t, client.RotateKeyOnDemand, kms.RotateKeyOnDemandInput{KeyId: id})
}

// What keys of each usage do, and the SDK's types for what they do not.
func TestCryptography(t *testing.T) {
	client := kms.NewFromConfig(start(t).admin().config())
	id := call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.KeyId
	other := call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.KeyId
	mac := call(t, client.CreateKey, kms.CreateKeyInput{KeySpec: types.KeySpecHmac224, KeyUsage: types.KeyUsageTypeGenerateVerifyMac}).KeyMetadata.KeyId
	purpose := map[string]string{"patient": "4711"}

	made := call(t, client.GenerateDataKey, kms.GenerateDataKeyInput{KeyId: id, KeySpec: types.DataKeySpecAes256, EncryptionContext: purpose})
	open := kms.DecryptInput{CiphertextBlob: made.CiphertextBlob, EncryptionContext: purpose}
	if got := call(t, client.Decrypt, open).Plaintext; len(got) != 32 || !bytes.Equal(got, made.Plaintext) {
		t.Error("the data key is another")
	}
	bare := call(t, client.GenerateDataKeyWithoutPlaintext, kms.GenerateDataKeyWithoutPlaintextInput{KeyId: id, NumberOfBytes: aws.Int32(17)})
	if got := call(t, client.Decrypt, kms.DecryptInput{CiphertextBlob: bare.CiphertextBlob}).Plaintext; len(got) != 17 {
		t.Errorf("the data key has %d bytes", len(got))
	}
	moved := call(t, client.ReEncrypt, kms.ReEncryptInput{CiphertextBlob: made.CiphertextBlob, SourceEncryptionContext: purpose, DestinationKeyId: other})
	if got := call(t, client.Decrypt, kms.DecryptInput{CiphertextBlob: moved.CiphertextBlob, KeyId: other}).Plaintext; !bytes.Equal(got, made.Plaintext) {
		t.Error("encrypted anew, the data key is another")
	}
	if a, b := call(t, client.GenerateRandom, kms.GenerateRandomInput{NumberOfBytes: aws.Int32(32)}).Plaintext, call(t, client.GenerateRandom, kms.GenerateRandomInput{NumberOfBytes: aws.Int32(32)}).Plaintext; len(a) != 32 || bytes.Equal(a, b) {
		t.Errorf("random bytes: %x and %x", a, b)
	}
	pair := call(t, client.GenerateDataKeyPairWithoutPlaintext, kms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: id, KeyPairSpec: types.DataKeyPairSpecEccNistP256})
	call(t, client.Decrypt, kms.DecryptInput{CiphertextBlob: pair.PrivateKeyCiphertextBlob})

	wrong := open
	wrong.KeyId = other
	raises[*types.IncorrectKeyException](t, client.Decrypt, wrong)
	wrong = open
	wrong.EncryptionContext = map[string]string{"patient": "4712"}
	raises[*types.InvalidCiphertextException](t, client.Decrypt, wrong)
	wrong = open
	wrong.DryRun = aws.Bool(true)
	raises[*types.DryRunOperationException](t, client.Decrypt, wrong)
	wrong.DryRun, wrong.GrantTokens = nil, []string{"made up"}
	raises[*types.InvalidGrantTokenException](t, client.Decrypt, wrong)
	raises[*types.InvalidKeyUsageException](t, client.Encrypt, kms.EncryptInput{KeyId: mac, Plaintext: []byte("x")})
	raises[*types.InvalidKeyUsageException](t, client.GenerateMac, kms.GenerateMacInput{KeyId: id, MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Message: []byte("x")})
	raises[*types.UnsupportedOperationException](t, client.GetPublicKey, kms.GetPublicKeyInput{KeyId: id})
	raises[*types.KMSInvalidMacException](t, client.VerifyMac, kms.VerifyMacInput{KeyId: mac, MacAlgorithm: types.MacAlgorithmSpecHmacSha224, Message: []byte("x"), Mac: make([]byte, 28)})
	call(t, client.DisableKey, kms.DisableKeyInput{KeyId: id})
	raises[*types.DisabledException](t, client.Decrypt, open)
	raises[*types.DisabledException](t, client.GenerateDataKey, kms.GenerateDataKeyInput{KeyId: id, KeySpec: types.DataKeySpecAes128})
}

// Grants: what they give, to whom, for how long.
func TestGrants(t *testing.T) {
	b := start(t)
	cfg := b.admin().config()
	client := kms.NewFromConfig(cfg)
	id := call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.Arn
	name := func(user string) *string { return aws.String("arn:aws:iam::" + account + ":user/" + user) }
	ada, bob := kms.NewFromConfig(b.user(cfg, "ada", "").config()), kms.NewFromConfig(b.user(cfg, "bob", "").config())
	use := kms.EncryptInput{KeyId: id, Plaintext: []byte("x"), EncryptionContext: map[string]string{"trial": "T-17", "site": "Cork"}}
	fails(t, "AccessDeniedException", ada.Encrypt, use)

	var all []string
	create := kms.CreateGrantInput{KeyId: id, GranteePrincipal: name("ada"), RetiringPrincipal: name("bob"), Operations: []types.GrantOperation{types.GrantOperationEncrypt, types.GrantOperationCreateGrant},
		Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"trial": "T-17"}}, Name: aws.String("trial")}
	grant := call(t, client.CreateGrant, create)
	all = append(all, *grant.GrantId)
	if again := call(t, client.CreateGrant, create); *again.GrantId != *grant.GrantId || *again.GrantToken == *grant.GrantToken {
		t.Errorf("asked for again by its name, grant %s is %s", *grant.GrantId, *again.GrantId)
	}
	call(t, ada.Encrypt, use)
	without := use
	without.EncryptionContext = map[string]string{"trial": "T-18"}
	fails(t, "AccessDeniedException", ada.Encrypt, without)
	fails(t, "AccessDeniedException", bob.Encrypt, use)

	// She passes on what she has, and no more.
	wider := kms.CreateGrantInput{KeyId: id, GranteePrincipal: name("bob"), Operations: []types.GrantOperation{types.GrantOperationEncrypt}}
	fails(t, "AccessDeniedException", ada.CreateGrant, wider)
	wider.Constraints = &types.GrantConstraints{EncryptionContextEquals: use.EncryptionContext}
	passed := call(t, ada.CreateGrant, wider)
	all = append(all, *passed.GrantId)
	call(t, bob.Encrypt, use)
	wider.Operations = []types.GrantOperation{types.GrantOperationDecrypt}
	fails(t, "AccessDeniedException", ada.CreateGrant, wider)

	ids := func(list []types.GrantListEntry) []string {
		return each(list, func(g types.GrantListEntry) *string { return g.GrantId })
	}
	same(t, "grants", pages(t, 2, kms.NewListGrantsPaginator(client, &kms.ListGrantsInput{KeyId: id, Limit: aws.Int32(1)}), func(out *kms.ListGrantsOutput) []string { return ids(out.Grants) }), all...)
	fails(t, "AccessDeniedException", bob.ListRetirableGrants, kms.ListRetirableGrantsInput{RetiringPrincipal: name("bob")})
	same(t, "grants that bob retires", pages(t, 1, kms.NewListRetirableGrantsPaginator(client, &kms.ListRetirableGrantsInput{RetiringPrincipal: name("bob"), Limit: aws.Int32(1)}),
		func(out *kms.ListRetirableGrantsOutput) []string { return ids(out.Grants) }), *grant.GrantId)

	fails(t, "AccessDeniedException", ada.RetireGrant, kms.RetireGrantInput{KeyId: id, GrantId: passed.GrantId})
	call(t, bob.RetireGrant, kms.RetireGrantInput{KeyId: id, GrantId: grant.GrantId})
	fails(t, "AccessDeniedException", ada.Encrypt, use)
	raises[*types.NotFoundException](t, client.RevokeGrant, kms.RevokeGrantInput{KeyId: id, GrantId: grant.GrantId})
	call(t, client.RevokeGrant, kms.RevokeGrantInput{KeyId: id, GrantId: passed.GrantId})
	fails(t, "AccessDeniedException", bob.Encrypt, use)
	used := slices.DeleteFunc(b.record(cfg, "Encrypt"), func(e event) bool { return e.ErrorCode != "" })
	if len(used) != 2 || !used[0].about(*id) || used[0].context("site") != "Cork" {
		t.Fatalf("of two uses by grant the record has %d", len(used))
	}
	for i, grant := range []*string{passed.GrantId, grant.GrantId} { // the newest first
		if !strings.Contains(used[i].raw, `"grantIds":["`+*grant+`"]`) {
			t.Errorf("the record does not tell the grant:\n%s", used[i].raw)
		}
	}
}
