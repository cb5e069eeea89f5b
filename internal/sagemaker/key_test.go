package sagemaker

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	iamshape "bawn.dev/internal/shape/iam"
	kmsshape "bawn.dev/internal/shape/kms"
	shape "bawn.dev/internal/shape/sagemaker"
)

// importedKey makes a key of imported material that expires in a day.
func (h *house) importedKey() *kmsshape.KeyMetadata {
	h.t.Helper()
	k := call[kmsshape.CreateKeyOutput](h, h.admin, "kms:CreateKey", &kmsshape.CreateKeyInput{Origin: kmsshape.OriginTypeExternal}).KeyMetadata
	p := call[kmsshape.GetParametersForImportOutput](h, h.admin, "kms:GetParametersForImport", &kmsshape.GetParametersForImportInput{
		KeyId: k.KeyId, WrappingAlgorithm: kmsshape.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kmsshape.WrappingKeySpecRsa2048,
	})
	public, err := x509.ParsePKIXPublicKey(p.PublicKey)
	h.must(err)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), make([]byte, 32), nil)
	h.must(err)
	call[kmsshape.ImportKeyMaterialOutput](h, h.admin, "kms:ImportKeyMaterial", &kmsshape.ImportKeyMaterialInput{
		KeyId: k.KeyId, ImportToken: p.ImportToken, EncryptedKeyMaterial: wrapped, ValidTo: h.Now().Add(24 * time.Hour),
	})
	return k
}

func revokeFirst(h *house, k *kmsshape.KeyMetadata) {
	call[kmsshape.RevokeGrantOutput](h, h.admin, "kms:RevokeGrant", &kmsshape.RevokeGrantInput{KeyId: k.KeyId, GrantId: h.grants(k)[0].GrantId})
}

// However a running job loses the key of its volume, it ends and the volume is locked.
func TestEveryLossOfTheKey(t *testing.T) {
	for name, c := range map[string]struct {
		imported, granted bool
		byService         bool // the grant is SageMaker's own
		lose              func(*house, *kmsshape.KeyMetadata)
		reason            string
	}{
		"to-be-destroyed": {lose: func(h *house, k *kmsshape.KeyMetadata) {
			call[kmsshape.ScheduleKeyDeletionOutput](h, h.admin, "kms:ScheduleKeyDeletion", &kmsshape.ScheduleKeyDeletionInput{KeyId: k.KeyId})
		}, reason: "KMSInvalidStateException"},
		"material-deleted": {imported: true, lose: func(h *house, k *kmsshape.KeyMetadata) {
			call[kmsshape.DeleteImportedKeyMaterialOutput](h, h.admin, "kms:DeleteImportedKeyMaterial", &kmsshape.DeleteImportedKeyMaterialInput{KeyId: k.KeyId})
		}, reason: "KMSInvalidStateException"},
		"material-expired": {imported: true, lose: func(h *house, _ *kmsshape.KeyMetadata) { h.Advance(25 * time.Hour) }, reason: "KMSInvalidStateException"},
		"key-policy": {lose: func(h *house, k *kmsshape.KeyMetadata) {
			call[kmsshape.PutKeyPolicyOutput](h, h.admin, "kms:PutKeyPolicy", &kmsshape.PutKeyPolicyInput{KeyId: k.KeyId, Policy: document(`
				{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + apitest.Account + `:root"},"Action":"kms:*","Resource":"*"},
				{"Effect":"Deny","Principal":{"AWS":"` + h.role + `"},"Action":"kms:Decrypt","Resource":"*"}`)})
		}, reason: "AccessDenied"},
		"role-policy": {lose: func(h *house, _ *kmsshape.KeyMetadata) {
			call[iamshape.DeleteRolePolicyOutput](h, h.admin, "iam:DeleteRolePolicy", &iamshape.DeleteRolePolicyInput{RoleName: "execution", PolicyName: "key"})
		}, reason: "AccessDenied"},
		"grant":     {granted: true, lose: revokeFirst, reason: "AccessDenied"},
		"own-grant": {byService: true, lose: revokeFirst, reason: "AccessDenied"},
		"key-of-own-grant": {byService: true, lose: func(h *house, k *kmsshape.KeyMetadata) {
			call[kmsshape.DisableKeyOutput](h, h.admin, "kms:DisableKey", &kmsshape.DisableKeyInput{KeyId: k.KeyId})
		}, reason: "DisabledException"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, only(untilTold))
			var key *kmsshape.KeyMetadata
			if c.imported {
				key = h.importedKey()
			} else {
				key = h.newKey()
			}
			switch {
			case c.byService:
				h.putPolicy("key", byServiceOnly)
			case c.granted:
				call[kmsshape.CreateGrantOutput](h, h.admin, "kms:CreateGrant", &kmsshape.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: h.role,
					Operations: []kmsshape.GrantOperation{kmsshape.GrantOperationGenerateDataKey, kmsshape.GrantOperationDecrypt}})
			default:
				h.grantKey(key.Arn)
			}
			in := h.request(name)
			in.ResourceConfig.VolumeKmsKeyId = key.KeyId
			id := h.create(in)
			h.settle(id)
			if d := h.describe(name); d.TrainingJobStatus != shape.TrainingJobStatusInProgress || h.machine.locked[name] {
				t.Fatalf("it does not run: %s", d.FailureReason)
			}
			c.lose(h, key)
			h.finish(id)
			h.ended(name, shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, c.reason)
			if !h.machine.locked[name] || !h.machine.removed[name] {
				t.Error("the volume was not locked")
			}
		})
	}
}
