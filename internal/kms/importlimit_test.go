package kms

import (
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// Material that is imported and deleted again leaves a row: there is an end to that. What
// the key had before still comes back.
func TestLimitOfImports(t *testing.T) {
	l := newLife(t)
	k := l.external(t, kms.KeySpecSymmetricDefault, kms.KeyUsageTypeEncryptDecrypt)
	first, second := bytes32(), bytes32()
	l.bring(t, k.Arn, first, kms.ImportKeyMaterialInput{})
	anew := kms.ImportKeyMaterialInput{ImportType: kms.ImportTypeNewKeyMaterial}
	remove := func(id string) {
		t.Helper()
		apitest.Must[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial",
			&kms.DeleteImportedKeyMaterialInput{KeyId: k.KeyId, KeyMaterialId: id})
	}
	remove(l.bring(t, k.Arn, second, anew))
	for range maxImported - 2 {
		remove(l.bring(t, k.Arn, bytes32(), anew))
	}
	refused[kms.ImportKeyMaterialOutput](t, l.admin, "kms:ImportKeyMaterial", l.wrapped(t, k.Arn, bytes32(), anew), "LimitExceededException")
	l.bring(t, k.Arn, first, kms.ImportKeyMaterialInput{})
	l.bring(t, k.Arn, second, anew)
	l.rotate(t, k.KeyId)
	l.opens(t, l.encrypt(t, k.KeyId, "after all"), "after all")
}
