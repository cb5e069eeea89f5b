package kms

import (
	"fmt"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// Who makes keys with policies as large as can be does not fill the memory with them.
func TestLargePoliciesAreNotAllKept(t *testing.T) {
	st, dir := apitest.NewStore(t)
	rig, service := newRigWith(t, st, dir)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	small := newTestKey(t, admin, nil)
	for i := range cachedLarge + 5 {
		text := document(allow(rootARN, `"kms:*"`, ""), allow(rootARN, `[`+strings.Repeat(`"kms:Decrypt",`, 200)+fmt.Sprintf(`"kms:Encrypt"],"Sid":"S%d"`, i), ""))
		k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: text})
		for range 2 {
			apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, nil))
		}
	}
	apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(small.KeyId, nil))
	if kept := service.keys.Keys(); len(kept) != 1 || kept[0] != small.KeyId {
		t.Errorf("%d are kept beside the small one", len(kept)-1)
	}
	if keys, policies := len(service.large.Keys()), len(service.largePolicies.Keys()); keys != cachedLarge || policies != cachedLarge {
		t.Errorf("%d large ones are kept and %d policies, %d may be", keys, policies, cachedLarge)
	}
	if n := len(service.policies.Keys()); n != 1 {
		t.Errorf("%d small policies are kept", n)
	}
}
