package authz_test

import (
	"testing"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
)

// TestGrantsOfOwners: a grant allows for as long as the account that owns the key is
// there, and what the owner's organization forbids it does not allow.
func TestGrantsOfOwners(t *testing.T) {
	h, a := build(t)
	claim := session(authz.Role, "AROATRAIN")
	decrypt := func(owner string) policy.Decision {
		return ask(t, a, claim, authz.Question{
			Action: "kms:Decrypt", Grant: &policy.Grant{ID: "g"},
			Target: authz.Target{ARN: "arn:aws:kms:us-east-1:" + owner + ":key/k", Account: owner, RootOfTrust: true},
		})
	}
	for _, owner := range []string{member, other} {
		if d := decrypt(owner); !d.Allowed || d.Grant != "g" {
			t.Errorf("of %s: %+v", owner, d)
		}
	}
	h.accounts[other].Active = false
	if d := decrypt(other); d.Allowed || d.Grant != "" {
		t.Errorf("of a closed account: %+v", d)
	}
	delete(h.accounts, other)
	if d := decrypt(other); d.Allowed {
		t.Errorf("of an account that is gone: %+v", d)
	}
	h.accounts[member].RCPs = [][]policy.Doc{{doc(t, policy.Identity, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)}}
	if d := decrypt(member); d.Allowed {
		t.Errorf("which the owner's organization does not allow: %+v", d)
	}
}
