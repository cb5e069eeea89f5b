package kms

import (
	"crypto/elliptic"
	"fmt"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// A stated is a key that was brought into a state, and what was made with it before.
type stated struct {
	id, arn         string
	alias, otherKey string
	grant           string
	blob            []byte
	signature, mac  []byte
	peer            []byte // another's public key
	material        *kms.ImportKeyMaterialInput
	another         string
}

// The states, in the order of the table's columns.
var states = [...]kms.KeyState{kms.KeyStateEnabled, kms.KeyStateDisabled, kms.KeyStatePendingImport, kms.KeyStatePendingDeletion}

const (
	okay        = ""
	disabled    = "DisabledException: %s is disabled."
	importing   = "KMSInvalidStateException: %s is pending import."
	doomed      = "KMSInvalidStateException: %s is pending deletion."
	notDoomed   = "KMSInvalidStateException: %s is not pending deletion."
	notImported = "UnsupportedOperationException: %s origin is EXTERNAL which is not valid for this operation."
)

// stateTable is "Key states of AWS KMS keys" of AWS's developer guide.
var stateTable = []struct {
	action string
	kind   string // of key; "imported" has imported material in every state
	in     func(s *stated) any
	want   [len(states)]string
}{
	{"CancelKeyDeletion", "symmetric", func(s *stated) any { return &kms.CancelKeyDeletionInput{KeyId: s.id} }, [...]string{notDoomed, notDoomed, notDoomed, okay}},
	{"CreateAlias", "symmetric", func(s *stated) any { return &kms.CreateAliasInput{AliasName: s.alias + "-new", TargetKeyId: s.id} }, [...]string{okay, okay, okay, doomed}},
	{"CreateGrant", "symmetric", func(s *stated) any {
		return &kms.CreateGrantInput{KeyId: s.id, GranteePrincipal: "arn:aws:iam::" + apitest.Account + ":user/admin", Operations: []kms.GrantOperation{"Decrypt"}}
	}, [...]string{okay, disabled, importing, doomed}},
	{"Decrypt", "symmetric", func(s *stated) any { return &kms.DecryptInput{CiphertextBlob: s.blob} }, [...]string{okay, disabled, importing, doomed}},
	{"DeleteAlias", "symmetric", func(s *stated) any { return &kms.DeleteAliasInput{AliasName: s.alias} }, [...]string{okay, okay, okay, okay}},
	{"DeleteImportedKeyMaterial", "imported", func(s *stated) any { return &kms.DeleteImportedKeyMaterialInput{KeyId: s.id} }, [...]string{okay, okay, okay, okay}},
	{"DeriveSharedSecret", "agreement", func(s *stated) any {
		return &kms.DeriveSharedSecretInput{KeyId: s.id, KeyAgreementAlgorithm: kms.KeyAgreementAlgorithmSpecEcdh, PublicKey: s.peer}
	}, [...]string{okay, disabled, importing, doomed}},
	{"DescribeKey", "symmetric", func(s *stated) any { return &kms.DescribeKeyInput{KeyId: s.id} }, [...]string{okay, okay, okay, okay}},
	{"DisableKey", "symmetric", func(s *stated) any { return &kms.DisableKeyInput{KeyId: s.id} }, [...]string{okay, okay, importing, doomed}},
	{"DisableKeyRotation", "symmetric", func(s *stated) any { return &kms.DisableKeyRotationInput{KeyId: s.id} }, [...]string{okay, disabled, notImported, doomed}},
	{"EnableKey", "symmetric", func(s *stated) any { return &kms.EnableKeyInput{KeyId: s.id} }, [...]string{okay, okay, importing, doomed}},
	{"EnableKeyRotation", "symmetric", func(s *stated) any { return &kms.EnableKeyRotationInput{KeyId: s.id} }, [...]string{okay, disabled, notImported, doomed}},
	{"Encrypt", "symmetric", func(s *stated) any { return encryptWith(s.id, nil) }, [...]string{okay, disabled, importing, doomed}},
	{"GenerateDataKey", "symmetric", func(s *stated) any { return &kms.GenerateDataKeyInput{KeyId: s.id, KeySpec: kms.DataKeySpecAes256} }, [...]string{okay, disabled, importing, doomed}},
	{"GenerateDataKeyPair", "symmetric", func(s *stated) any {
		return &kms.GenerateDataKeyPairInput{KeyId: s.id, KeyPairSpec: kms.DataKeyPairSpecEccNistP256}
	}, [...]string{okay, disabled, importing, doomed}},
	{"GenerateDataKeyPairWithoutPlaintext", "symmetric", func(s *stated) any {
		return &kms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: s.id, KeyPairSpec: kms.DataKeyPairSpecEccNistP256}
	}, [...]string{okay, disabled, importing, doomed}},
	{"GenerateDataKeyWithoutPlaintext", "symmetric", func(s *stated) any {
		return &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: s.id, KeySpec: kms.DataKeySpecAes256}
	}, [...]string{okay, disabled, importing, doomed}},
	{"GenerateMac", "mac", func(s *stated) any {
		return &kms.GenerateMacInput{KeyId: s.id, Message: []byte("x"), MacAlgorithm: kms.MacAlgorithmSpecHmacSha256}
	}, [...]string{okay, disabled, importing, doomed}},
	{"GetKeyPolicy", "symmetric", func(s *stated) any { return &kms.GetKeyPolicyInput{KeyId: s.id} }, [...]string{okay, okay, okay, okay}},
	// AWS's table is older than rotation of imported material, which this tells of.
	{"GetKeyRotationStatus", "symmetric", func(s *stated) any { return &kms.GetKeyRotationStatusInput{KeyId: s.id} }, [...]string{okay, okay, okay, okay}},
	{"GetParametersForImport", "imported", func(s *stated) any {
		return &kms.GetParametersForImportInput{KeyId: s.id, WrappingAlgorithm: kms.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kms.WrappingKeySpecRsa2048}
	}, [...]string{okay, okay, okay, doomed}},
	{"GetPublicKey", "signing", func(s *stated) any { return &kms.GetPublicKeyInput{KeyId: s.id} }, [...]string{okay, disabled, importing, doomed}},
	{"ImportKeyMaterial", "imported", func(s *stated) any { return s.material }, [...]string{okay, okay, okay, doomed}},
	{"ListAliases", "symmetric", func(s *stated) any { return &kms.ListAliasesInput{KeyId: s.id} }, [...]string{okay, okay, okay, okay}},
	{"ListGrants", "symmetric", func(s *stated) any { return &kms.ListGrantsInput{KeyId: s.id} }, [...]string{okay, okay, okay, okay}},
	{"ListKeyPolicies", "symmetric", func(s *stated) any { return &kms.ListKeyPoliciesInput{KeyId: s.id} }, [...]string{okay, okay, okay, okay}},
	{"ListKeyRotations", "symmetric", func(s *stated) any { return &kms.ListKeyRotationsInput{KeyId: s.id} }, [...]string{okay, okay, okay, okay}},
	{"ListResourceTags", "symmetric", func(s *stated) any { return &kms.ListResourceTagsInput{KeyId: s.id} }, [...]string{okay, okay, okay, okay}},
	{"PutKeyPolicy", "symmetric", func(s *stated) any {
		return &kms.PutKeyPolicyInput{KeyId: s.id, Policy: defaultPolicy(apitest.Account)}
	}, [...]string{okay, okay, okay, okay}},
	{"ReEncrypt", "symmetric", func(s *stated) any { return &kms.ReEncryptInput{CiphertextBlob: s.blob, DestinationKeyId: s.otherKey} }, [...]string{okay, disabled, importing, doomed}},
	{"RetireGrant", "symmetric", func(s *stated) any { return &kms.RetireGrantInput{KeyId: s.arn, GrantId: s.grant} }, [...]string{okay, okay, okay, okay}},
	{"RevokeGrant", "symmetric", func(s *stated) any { return &kms.RevokeGrantInput{KeyId: s.id, GrantId: s.grant} }, [...]string{okay, okay, okay, okay}},
	{"RotateKeyOnDemand", "symmetric", func(s *stated) any { return &kms.RotateKeyOnDemandInput{KeyId: s.id} }, [...]string{okay, disabled, importing, doomed}},
	{"ScheduleKeyDeletion", "symmetric", func(s *stated) any { return &kms.ScheduleKeyDeletionInput{KeyId: s.id} }, [...]string{okay, okay, okay, doomed}},
	{"Sign", "signing", func(s *stated) any {
		return &kms.SignInput{KeyId: s.id, Message: []byte("x"), SigningAlgorithm: kms.SigningAlgorithmSpecEcdsaSha256}
	}, [...]string{okay, disabled, importing, doomed}},
	{"TagResource", "symmetric", func(s *stated) any {
		return &kms.TagResourceInput{KeyId: s.id, Tags: []kms.Tag{{TagKey: "a", TagValue: "b"}}}
	}, [...]string{okay, okay, okay, doomed}},
	{"UntagResource", "symmetric", func(s *stated) any { return &kms.UntagResourceInput{KeyId: s.id, TagKeys: []string{"a"}} }, [...]string{okay, okay, okay, doomed}},
	{"UpdateAlias", "symmetric", func(s *stated) any { return &kms.UpdateAliasInput{AliasName: s.another, TargetKeyId: s.id} }, [...]string{okay, okay, okay, doomed}},
	{"UpdateKeyDescription", "symmetric", func(s *stated) any { return &kms.UpdateKeyDescriptionInput{KeyId: s.id, Description: "x"} }, [...]string{okay, okay, okay, doomed}},
	{"Verify", "signing", func(s *stated) any {
		return &kms.VerifyInput{KeyId: s.id, Message: []byte("x"), Signature: s.signature, SigningAlgorithm: kms.SigningAlgorithmSpecEcdsaSha256}
	}, [...]string{okay, disabled, importing, doomed}},
	{"VerifyMac", "mac", func(s *stated) any {
		return &kms.VerifyMacInput{KeyId: s.id, Message: []byte("x"), Mac: s.mac, MacAlgorithm: kms.MacAlgorithmSpecHmacSha256}
	}, [...]string{okay, disabled, importing, doomed}},
}

// into makes a key of a kind and brings it into a state.
func (l *life) into(t *testing.T, kind string, state kms.KeyState, n int) *stated {
	t.Helper()
	in := &kms.CreateKeyInput{}
	material := bytes32()
	switch kind {
	case "signing", "agreement":
		in.KeySpec, in.KeyUsage = kms.KeySpecEccNistP256, kms.KeyUsageTypeSignVerify
		if kind == "agreement" {
			in.KeyUsage = kms.KeyUsageTypeKeyAgreement
		}
		material = encoded(t, newECC(t, elliptic.P256()))
	case "mac":
		in.KeySpec, in.KeyUsage = kms.KeySpecHmac256, kms.KeyUsageTypeGenerateVerifyMac
	}
	external := kind == "imported" || state == kms.KeyStatePendingImport
	if external {
		in.Origin = kms.OriginTypeExternal
	}
	k := newTestKey(t, l.admin, in)
	s := &stated{id: k.KeyId, arn: k.Arn, alias: fmt.Sprint("alias/key-", n), another: fmt.Sprint("alias/other-", n)}
	if external {
		s.material = l.wrapped(t, k.Arn, material, kms.ImportKeyMaterialInput{})
		apitest.Must[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", s.material)
	}
	s.otherKey = newTestKey(t, l.admin, nil).KeyId
	for alias, target := range map[string]string{s.alias: s.id, s.another: s.otherKey} {
		apitest.Must[kms.CreateAliasOutput](t, l.admin, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: alias, TargetKeyId: target})
	}
	switch kind {
	case "signing":
		s.signature = apitest.Must[kms.SignOutput](t, l.admin, "kms:Sign", &kms.SignInput{KeyId: s.id, Message: []byte("x"), SigningAlgorithm: kms.SigningAlgorithmSpecEcdsaSha256}).Signature
	case "mac":
		s.mac = apitest.Must[kms.GenerateMacOutput](t, l.admin, "kms:GenerateMac", &kms.GenerateMacInput{KeyId: s.id, Message: []byte("x"), MacAlgorithm: kms.MacAlgorithmSpecHmacSha256}).Mac
	case "agreement":
		s.peer = apitest.Must[kms.GetPublicKeyOutput](t, l.admin, "kms:GetPublicKey", &kms.GetPublicKeyInput{KeyId: s.id}).PublicKey
	default:
		s.blob = l.encrypt(t, s.id, "x")
		s.grant = apitest.Must[kms.CreateGrantOutput](t, l.admin, "kms:CreateGrant", &kms.CreateGrantInput{
			KeyId: s.id, GranteePrincipal: l.admin.Entity.ARN, RetiringPrincipal: l.admin.Entity.ARN, Operations: []kms.GrantOperation{"Decrypt"},
		}).GrantId
	}
	switch state {
	case kms.KeyStateDisabled:
		apitest.Must[kms.DisableKeyOutput](t, l.admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: s.id})
	case kms.KeyStatePendingImport:
		apitest.Must[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: s.id})
	case kms.KeyStatePendingDeletion:
		l.doom(t, s.id, 7)
	}
	if m := l.describe(t, s.id); m.KeyState != state {
		t.Fatalf("it is %s, not %s", m.KeyState, state)
	}
	return s
}

func TestKeyStates(t *testing.T) {
	l := newLife(t)
	n := 0
	for _, row := range stateTable {
		for i, state := range states {
			n++
			t.Run(row.action+"/"+string(state), func(t *testing.T) {
				s := l.into(t, row.kind, state, n)
				want := row.want[i]
				if strings.Contains(want, "%s") {
					want = fmt.Sprintf(want, s.arn)
				}
				_, err := try(t, l.Rig, l.admin, row.action, row.in(s))
				if got := said(err); got != want {
					t.Errorf("it answers %q, not %q", got, want)
				}
			})
		}
	}
}

func said(err *api.Error) string {
	if err == nil {
		return ""
	}
	return err.Code + ": " + err.Message
}

// An operation on a key that joins the service is in the table.
func TestKeyStatesAreComplete(t *testing.T) {
	without := []string{"CreateKey", "GenerateRandom", "ListKeys", "ListRetirableGrants"}
	for _, e := range newLife(t).Door.Entries() {
		name, ok := strings.CutPrefix(e.Name, "kms:")
		if !ok || slices.Contains(without, name) {
			continue
		}
		listed := false
		for _, row := range stateTable {
			listed = listed || row.action == name
		}
		if !listed {
			t.Errorf("%s is not in the table of key states", name)
		}
	}
}
