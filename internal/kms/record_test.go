package kms

import (
	"fmt"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// What a grant gives to whom stands in the record, however it is padded.
func TestPaddedGrantsAreRecorded(t *testing.T) {
	rig := newRig(t)
	admin, mallory := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "mallory")
	k := newTestKey(t, admin, nil)
	pairs := map[string]string{}
	for i := range maxConstraintPairs {
		pairs[fmt.Sprint(i, strings.Repeat("\x01", 600))] = strings.Repeat("\x02", maxConstraintValue)
	}
	newGrantTo(t, admin, &kms.CreateGrantInput{
		KeyId: k.KeyId, GranteePrincipal: mallory.Entity.ARN, Operations: []kms.GrantOperation{kms.GrantOperationDecrypt},
		Constraints: &kms.GrantConstraints{EncryptionContextSubset: pairs},
	})
	parameters := string(rig.Records(t, apitest.Account, "CreateGrant")[0].RequestParameters)
	for _, want := range []string{`"granteePrincipal":"` + mallory.Entity.ARN + `"`, `"operations":["Decrypt"]`, k.KeyId, `"omitted":true`} {
		if !strings.Contains(parameters, want) {
			t.Errorf("without %s: %.300s", want, parameters)
		}
	}
}

// A record has the whole of an encryption context, with as many pairs as there can be.
func TestRecordedContext(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	context := map[string]string{}
	for i := range maxPairs {
		context[fmt.Sprintf("name%03d", i)] = fmt.Sprintf("value%03d", i)
	}
	apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith(k.KeyId, context))
	parameters := string(rig.Records(t, apitest.Account, "Encrypt")[0].RequestParameters)
	for name, value := range context {
		if !strings.Contains(parameters, `"`+name+`":"`+value+`"`) {
			t.Fatalf("without %s", name)
		}
	}
}
