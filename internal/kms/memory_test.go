package kms

import (
	"fmt"
	"slices"
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
	kept := service.keys.Keys()
	if !slices.Contains(kept, small.KeyId) {
		t.Error("the small one is not kept")
	}
	large, light := 0, 0
	for _, text := range service.policies.Keys() {
		if len(text) > largePolicy {
			large++
		} else {
			light++
		}
	}
	if keys := len(kept) - 1; keys != cachedLarge || large != cachedLarge {
		t.Errorf("%d large ones are kept and %d policies, %d may be", keys, large, cachedLarge)
	}
	if light != 1 {
		t.Errorf("%d small policies are kept", light)
	}
}
